"""Whether Blender plays a piece of footage picture by picture as it was tracked.

Blender shows, on frame i of a video (from 0), the latest picture whose time is not after the video's start + i /
av_guess_frame_rate, and takes the video to end with the frames that its duration has (its movie_read.cc). Which
containers it finds every picture of, also out of order, was tried in bpy 4.5 with stamped pictures
(tests/blender/scene/test_playback.py keeps a sample): Matroska and MP4 in every codec below, with and without B-frames,
edit lists and late starts, but not open groups of pictures (of HEVC it loses the last before a key picture); AVI and
MXF only without dependent pictures, since their times are those of decoding; MPEG-TS, MPEG-PS, NUT and bare streams
not at all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from backend.footage.kinds import FileKind
from backend.footage.orientation import UPRIGHT
from backend.footage.stills import read_header
from backend.footage.types import FootageInfo

INTRA_CODECS = frozenset(
    {"mjpeg", "prores", "dnxhd", "cfhd", "ffv1", "huffyuv", "ffvhuff", "utvideo", "rawvideo", "png", "qtrle", "dvvideo"}
)
"""Codecs of which every picture is decoded by itself."""
CODECS = INTRA_CODECS | {"h264", "hevc", "vp8", "vp9", "av1", "libdav1d", "mpeg4", "mpeg2video"}
PLAYED = {"mov": CODECS, "matroska": CODECS, "avi": INTRA_CODECS, "mxf": INTRA_CODECS, "gif": frozenset({"gif"})}
"""Codecs that Blender plays exactly, by the first of libavformat's names of their container."""
PICTURES = {
    FileKind.PNG: (".png",),
    FileKind.JPEG: (".jpg", ".jpeg"),
    FileKind.TIFF: (".tif", ".tiff"),
    FileKind.BMP: (".bmp",),
    FileKind.WEBP: (".webp",),
    FileKind.JPEG2000: (".jp2",),
    FileKind.TGA: (".tga",),
    FileKind.EXR: (".exr",),
    FileKind.HDR: (".hdr",),
}
"""Images that Blender opens and shows as bright as they were tracked, and how their names end; it opens DPX too, but
brighter."""
TURNED = "it is stored turned, which Blender does not undo in images"
LARGEST_NUMBER = 999_999_999
"""Numbers in file names from 2³¹ on overflow in Blender."""

_PHOTOGRAPHS = frozenset({FileKind.JPEG, FileKind.TIFF, FileKind.WEBP, FileKind.PNG})  # whose headers are read at once
_CRUMB = 1e-6  # of a tick
_SOUND_STARTS = 0.05  # seconds: how much of a file's duration sound that begins earlier may have taken up
_LAST_NUMBER = re.compile(r"(?P<digits>\d+)\D*$")


@dataclass(frozen=True, eq=False)
class VideoTimes:
    """How a video's container times its pictures. ``times (n,)``, ascending, and ``start`` are in ``ticks`` a second.

    ``playable`` is the number of frames after which Blender takes the video to end.
    """

    container: str
    codec: str
    times: NDArray[np.int64]
    start: int
    ticks: float
    rate: float  # frames per second, libavformat's guess
    playable: int
    open_groups: bool  # pictures before a key picture are stored after it: who starts there misses them


def read_times(path: Path) -> VideoTimes | None:
    """The times in a video's first stream, read without decoding; None where libavformat does not tell them all."""
    times: list[int] = []
    key, open_groups = None, False
    try:
        with av.open(str(path), options={"protocol_whitelist": "file"}) as container:
            stream = container.streams.video[0]
            rate, base, start = stream.guessed_rate, stream.time_base, stream.start_time
            if not rate or not base or start is None:
                return None
            for packet in container.demux(stream):
                if packet.size and not packet.is_discard:
                    if packet.pts is None:
                        return None
                    times.append(packet.pts)
                    key = packet.pts if packet.is_keyframe else key
                    open_groups |= key is not None and packet.pts < key
            codec, name = stream.codec_context.codec.canonical_name, container.format.name.split(",")[0]
            if stream.duration:
                playable = int(stream.duration * base * rate + 0.5)
            else:
                ends = (container.duration or 0) / 1e6 - _SOUND_STARTS * bool(container.streams.audio)
                playable = int((ends - float(start * base)) * float(rate) + 0.5)
            playable = min(playable, stream.frames) if stream.frames else playable
            return VideoTimes(
                container=name,
                codec=codec,
                times=np.unique(np.array(times, np.int64)),
                start=start,
                ticks=1 / float(base),
                rate=float(rate),
                playable=playable,
                open_groups=open_groups,
            )
    except (FFmpegError, OSError, ValueError, IndexError):
        return None


def proxy_reason(info: FootageInfo, times: VideoTimes | None, last: int | None = None) -> str | None:
    """Why Blender cannot show this footage as it was tracked, the end of a sentence; None where it can.

    ``times`` are a video's (``read_times``), not looked at for images. ``last`` is the last frame that is wanted.
    """
    if info.mirrored:
        return "it is stored mirrored, which Blender does not undo"
    if info.kind == "video":
        return _video_reason(info, times, info.last_frame if last is None else last)
    if not any(info.codec == kind and info.path.suffix.lower() in endings for kind, endings in PICTURES.items()):
        return f"Blender does not show {info.codec.upper()} images in {info.path.suffix} files as they were tracked"
    if info.rotation:
        return TURNED
    if info.kind == "sequence" and not counts_by_names(info.files, info.numbers):
        return "Blender cannot count its files by their names"
    return None


def any_turned(info: FootageInfo) -> bool:
    """True where any of a sequence's photographs is to be turned or mirrored for display, not only the first.

    Raises UserError as reading them does.
    """
    return info.codec in _PHOTOGRAPHS and any(read_header(file).orientation != UPRIGHT for file in info.files)


def counts_by_names(files: Sequence[Path], numbers: Sequence[int]) -> bool:
    """True where Blender, given a sequence's first file, finds all ``files`` on frames of their ``numbers``.

    It counts up the last digits of the first file's name, as wide as they are there, in steps of one.
    """
    first = _LAST_NUMBER.search(files[0].stem) if files else None
    if first is None or max(numbers) > LARGEST_NUMBER:
        return False
    before, after, width = files[0].stem[: first.start()], files[0].stem[first.end("digits") :], len(first["digits"])
    start = int(first["digits"])
    return all(
        number == start + step and file == files[0].with_name(f"{before}{number:0{width}d}{after}{files[0].suffix}")
        for step, (file, number) in enumerate(zip(files, numbers, strict=True))
    )


def _video_reason(info: FootageInfo, times: VideoTimes | None, last: int) -> str | None:
    if info.variable_rate:
        return "its pictures do not come at a constant rate, while Blender plays one each frame"
    if info.stream:
        return "Blender shows another of its video streams"
    if times is None:
        return "Blender cannot tell when its pictures are shown"
    if times.codec not in PLAYED.get(times.container, ()):
        return f"Blender does not find every picture of {times.codec} in a file of this kind ({times.container})"
    if times.open_groups:
        return "Blender misses pictures of its open groups"
    if len(times.times) != info.frame_count or not counts_by_times(times):
        return "Blender counts its pictures differently"
    if last > times.playable:
        return "Blender takes it to end before its last picture"
    return None


def counts_by_times(video: VideoTimes) -> bool:
    """True where Blender shows picture i (from 0) of a video on its frame i, for all of them."""
    # Half a tick rounds up; what rounding leaves of it, too.
    at = np.arange(len(video.times)) * (video.ticks / video.rate)
    wanted = video.start + np.floor(at + 0.5 + _CRUMB).astype(np.int64)
    return bool((video.times <= wanted).all() and (wanted[:-1] < video.times[1:]).all())
