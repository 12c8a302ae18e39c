"""Video files opened through PyAV: which formats are videos, which of a file's streams is the footage, its index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.footage.kinds import require_file
from backend.footage.types import MAX_FRAMES, MAX_PIXELS, check_size

# What FFmpeg may take a file for. Playlists, scripts that name other files, image patterns, single images and text that
# it draws as pictures are left out: of those it would show something else than the user gave.
_VIDEO_FORMATS = (
    "mov,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h261,h263,h264,hevc,vvc,evc,av1,obu,ivf,apv,avs2,avs3,cavsvideo,"
    "dirac,dnxhd,vc1,vc1test,flv,live_flv,kux,asf,asf_o,ogg,nut,mxf,gxf,lxf,rm,ivr,dv,wtv,nsv,nuv,pva,ty,mjpeg,"
    "mjpeg_2000,smjpeg,yuv4mpegpipe,gif,flic,r3d,cine,mlv,mv,mtv,dhav,ifv,ser,xmv,vivo,film_cpk,bink,smk,roq,swf,"
    "amv,lmlm4,mgsts,ingenient,pmp,psxstr,thp,usm,4xm,ipmovie,idcin,dxa,filmstrip,moflex,tmv,"
    "wav,w64,mp3,flac,aac,aiff,caf,au"  # sound, in which covers may lie: refused by what it is
)
_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": _VIDEO_FORMATS,
    "max_pixels": str(MAX_PIXELS),  # for decoders that are tried while a file is opened
}
# Formats that carry no times of presentation, or (ASF, MXF) none that are right behind B-frames: tried with stamped
# pictures in tests/backend/footage/test_containers.py.
_UNTIMED_FORMATS = frozenset(
    {
        "avi",
        "asf",
        "asf_o",
        "mxf",
        "h261",
        "h263",
        "h264",
        "hevc",
        "vvc",
        "evc",
        "m4v",
        "mpegvideo",
        "vc1",
        "cavsvideo",
        "avs2",
        "avs3",
    }
    | {"dirac", "dnxhd", "mjpeg", "obu", "av1"}
)
_PATCHED_FORMATS = frozenset({"gif"})  # each picture is patched onto the one before: none to start from
BROKEN = (FFmpegError, IndexError)  # what demuxing raises of a damaged file; the latter where a stream comes too late
_FIRST_PACKETS = 500  # that tell a film from a single picture beside it
_THUMBNAIL = 4  # a stream of so many times fewer pixels than another is no film but its preview
_NO_FOOTAGE = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image


@dataclass(frozen=True, eq=False)
class Index:
    """The place of every frame of a video, in presentation order.

    ``pts (n,)`` in units of ``time_base``, by which a decoded picture is known; None where the file's do not say which
    picture is which, and only counting is left. ``times (n,)`` in the same units, ascending, of which some may come
    twice; None where there are none at all.
    """

    pts: NDArray[np.int64] | None
    times: NDArray[np.int64] | None
    keyframes: NDArray[np.int64]  # presentation times of the pictures that decoding can start from, ascending
    time_base: Fraction
    count: int
    hidden: int  # packets that an edit list keeps from showing


@contextmanager
def opened(path: Path, demuxer: str | None = None) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and the stream of it that is the footage; ``demuxer`` names the format where it is known.

    Raises UserError ``footage_unreadable``, ``footage_no_video``, ``footage_too_large``.
    """
    with _container(path, demuxer) as container:
        streams = moving_streams(container)
        counts = _packet_counts(path, demuxer) if len(streams) > 1 else Counter()
        stream = max(streams, key=_worth(streams, counts), default=None)
        if stream is None and any(not s.disposition & _NO_FOOTAGE for s in container.streams.video):
            raise UserError(
                ErrorCode.FOOTAGE_UNREADABLE,
                f"The video in {path} is packed by a codec that is not known here.",
                "Convert it, to H.264 in an MP4 for example.",
            )
        if stream is None:
            raise UserError(
                ErrorCode.FOOTAGE_NO_VIDEO, f"{path} holds no moving pictures.", "Choose a file with a video stream."
            )
        context = stream.codec_context
        check_size(context.width or 1, context.height or 1, path)
        context.options = {"max_pixels": str(MAX_PIXELS)}
        stream.thread_type = "AUTO"
        yield container, stream


def moving_streams(container: InputContainer) -> list[VideoStream]:
    """The video streams that are no covers, thumbnails or single pictures, and that a decoder is there for."""
    streams = [stream for stream in container.streams.video if not stream.disposition & _NO_FOOTAGE]
    return [stream for stream in streams if stream.codec_context is not None]


def _worth(
    streams: Sequence[VideoStream], counts: Counter[int]
) -> Callable[[VideoStream], tuple[bool, bool, int, int]]:
    """What makes a stream the footage: that it moves, is marked as default and no thumbnail, is large, is the first."""
    areas = {s.index: (s.codec_context.width or 0) * (s.codec_context.height or 0) for s in streams}
    largest = max(areas.values(), default=0)

    def worth(stream: VideoStream) -> tuple[bool, bool, int, int]:
        area = areas[stream.index]
        moving = counts[stream.index] > 1 and stream.frames != 1
        meant = bool(stream.disposition & Disposition.default) and area * _THUMBNAIL >= largest
        return moving, meant, area, -stream.index

    return worth


def _packet_counts(path: Path, demuxer: str | None) -> Counter[int]:
    """How many packets of each stream are among a file's first."""
    counts: Counter[int] = Counter()
    with _container(path, demuxer) as container:
        try:
            for packet, _ in zip(container.demux(video=True), range(_FIRST_PACKETS), strict=False):
                counts[packet.stream.index] += bool(packet.size)
        except BROKEN:
            pass
    return counts


def _container(path: Path, demuxer: str | None) -> InputContainer:
    require_file(path)
    try:
        return av.open(str(path), format=demuxer, options=dict(_OPTIONS))
    except (FFmpegError, OSError, ValueError) as error:
        raise UserError(
            ErrorCode.FOOTAGE_UNREADABLE,
            f"{path} is not a video that can be read.",
            "Give a video file, an image, or a folder of numbered images; of a playlist, the video that it names.",
        ) from error


def scan(path: Path, demuxer: str | None = None) -> Index:
    """Read every packet's times without decoding: fast, and the only exact answer to how many frames there are."""
    shown: list[int | None] = []
    decoded: list[int | None] = []
    keyframes: list[int] = []
    hidden = 0
    with opened(path, demuxer) as (container, stream):
        time_base = stream.time_base or Fraction(1, 1000)
        untimed = container.format.name in _UNTIMED_FORMATS
        reordered = stream.codec_context.has_b_frames
        whole = container.format.name not in _PATCHED_FORMATS
        try:
            for packet in container.demux(stream):
                if not packet.size:
                    continue
                if packet.is_discard:
                    hidden += 1
                    continue
                shown.append(packet.pts)
                decoded.append(packet.dts)
                if whole and packet.is_keyframe and packet.pts is not None:
                    keyframes.append(packet.pts)
                if len(shown) > MAX_FRAMES:
                    raise too_long(path)
        except BROKEN:
            pass  # a truncated file: what was read so far is what there is
    times = _ordered(shown)
    if times is None or (untimed and (reordered or shown != decoded)):
        pts, times = None, _ordered(decoded)  # the demuxer's guess, or the order of decoding
    else:
        pts = times if (np.diff(times) > 0).all() else None
    return Index(pts, times, np.unique(np.asarray(keyframes, np.int64)), time_base, len(shown), hidden)


def too_long(path: Path) -> UserError:
    return UserError(
        ErrorCode.FOOTAGE_TOO_LARGE,
        f"{path} has more frames than Blender's timeline, which ends at {MAX_FRAMES}.",
        "Cut it into shorter takes first.",
    )


def _ordered(values: list[int | None]) -> NDArray[np.int64] | None:
    """The values in order; None where one is missing."""
    known = [value for value in values if value is not None]
    return np.sort(np.asarray(known, np.int64)) if len(known) == len(values) else None


def pictures(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Pictures in presentation order; damaged ones are left out, and the file ends where it cannot be read on."""
    try:
        for packet in container.demux(stream):
            yield from decoded(packet)
    except BROKEN:
        return


def decoded(packet: Packet[VideoStream]) -> list[VideoFrame]:
    """The pictures that come out as ``packet`` goes in; none where it is damaged."""
    try:
        return [frame for frame in packet.decode() if isinstance(frame, VideoFrame)]
    except FFmpegError:
        return []
