"""Video files through PyAV: exact times, rotation, any bit depth, frame-accurate seeking."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.footage.types import FootageFrame, FootageInfo, check_size, select_range, turned

# Playlists inside a file may not reach for the network or other protocols.
_OPTIONS = {"protocol_whitelist": "file"}
_NO_VIDEO_FORMATS = {"tty"}  # libavformat draws plain text as pictures


@dataclass(frozen=True, eq=False)
class _Index:
    """The place of every frame of a video, in presentation order.

    ``pts (n,)`` in units of ``time_base``; None where the file carries no times and only counting is left.
    """

    pts: NDArray[np.int64] | None
    keyframes: NDArray[np.int64]  # presentation times of the pictures that decoding can start from, ascending
    time_base: Fraction
    count: int
    hidden: int  # packets that an edit list keeps from showing


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its first video stream. Raises UserError where there is none."""
    unreadable = UserError(
        ErrorCode.FOOTAGE_UNREADABLE,
        f"{path} is not a video that can be read.",
        "Give a video file, an image, or a folder of numbered images.",
    )
    try:
        container = av.open(str(path), options=dict(_OPTIONS))
    except (FFmpegError, OSError, ValueError) as error:
        raise unreadable from error
    with container:
        if container.format.name in _NO_VIDEO_FORMATS:
            raise unreadable
        if not container.streams.video:
            raise UserError(
                ErrorCode.FOOTAGE_NO_VIDEO, f"{path} holds no pictures.", "Choose a file with a video stream."
            )
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        yield container, stream


def _scan(path: Path) -> _Index:
    """Read every packet's times without decoding: fast, and the only exact answer to how many frames there are."""
    times: list[int] = []
    keyframes: list[int] = []
    count, hidden, timed = 0, 0, True
    with _opened(path) as (container, stream):
        time_base = stream.time_base or Fraction(1, 1000)
        try:
            for packet in container.demux(stream):
                if not packet.size:
                    continue
                if packet.is_discard:
                    hidden += 1
                    continue
                count += 1
                if packet.pts is None:
                    timed = False
                    continue
                times.append(packet.pts)
                if packet.is_keyframe:
                    keyframes.append(packet.pts)
        except FFmpegError:
            pass  # a truncated file: what was read so far is what there is
    pts = np.unique(np.asarray(times, np.int64))
    timed = timed and len(pts) == count
    return _Index(pts if timed else None, np.unique(np.asarray(keyframes, np.int64)), time_base, count, hidden)


def _first_picture(path: Path) -> VideoFrame | None:
    with _opened(path) as (container, stream):
        check_size(stream.codec_context.width or 1, stream.codec_context.height or 1, path)
        try:
            for packet in container.demux(stream):
                frames = _decoded(packet)
                if frames:
                    return frames[0]
        except FFmpegError:
            pass
    return None


def _decoded(packet: Packet[VideoStream]) -> list[VideoFrame]:
    """The pictures that come out as ``packet`` goes in; none where it is damaged."""
    try:
        return [frame for frame in packet.decode() if isinstance(frame, VideoFrame)]
    except FFmpegError:
        return []


class VideoFootage:
    """A video file. Raises UserError ``footage_unreadable``, ``footage_no_video``, ``footage_too_large``."""

    def __init__(self, path: Path, frames: tuple[int, int] | None = None) -> None:
        self._path = path
        self._range = frames
        self._skipped: tuple[int, ...] = ()
        self._index = _scan(path)
        self.info = self._read_info()
        self._first, self._last = select_range(1, self._index.count, frames, path)

    def _read_info(self) -> FootageInfo:
        index, path = self._index, self._path
        picture = _first_picture(path) if index.count else None
        if picture is None:
            raise UserError(
                ErrorCode.FOOTAGE_UNREADABLE,
                f"No picture in {path} can be decoded.",
                "The file may be cut short or damaged; export it again.",
            )
        with _opened(path) as (_, stream):
            rate = float(stream.guessed_rate or stream.average_rate or 0) or 25.0
            aspect = float(stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or 1) or 1.0
            promised = stream.frames
            codec = stream.codec_context.name
        rotation = round(-picture.rotation / 90) * 90 % 360
        width, height = max(1, round(picture.width * aspect)), picture.height
        check_size(width, height, path)
        if rotation % 180:
            width, height = height, width
        seconds = self._seconds(rate)
        steps = np.diff(seconds) * rate
        return FootageInfo(
            path=path,
            kind="video",
            width=width,
            height=height,
            frame_count=index.count,
            first_frame=1,
            last_frame=index.count,
            frame_rate=rate,
            duration=float(seconds[-1]),
            rotation=rotation,
            stored_width=picture.width,
            stored_height=picture.height,
            pixel_aspect=aspect,
            # Containers such as Matroska round times to a millisecond; that is not a varying rate.
            variable_rate=bool(len(steps) and np.abs(steps - 1).max() > 0.1),
            codec=codec,
            pixel_format=picture.format.name,
            missing_frames=max(0, promised - index.count - index.hidden),
        )

    def _seconds(self, rate: float) -> NDArray[np.float64]:
        index = self._index
        if index.pts is None:
            return np.arange(index.count) / rate
        return (index.pts - index.pts[0]) * float(index.time_base)

    @cached_property
    def _times(self) -> NDArray[np.float64]:
        return self._seconds(self.info.frame_rate)

    @property
    def total(self) -> int:
        return self._last - self._first + 1

    @property
    def skipped(self) -> tuple[int, ...]:
        return self._skipped

    def _frame(self, number: int, picture: VideoFrame) -> FootageFrame:
        info = self.info
        # The stored size is what the index was read with; a stream that changes size midway is scaled to it.
        width = max(1, round(info.stored_width * info.pixel_aspect))
        image = np.asarray(picture.to_ndarray(format="rgb24", width=width, height=info.stored_height), np.uint8)
        time = float(self._times[number - 1])
        scene = 1 + time * info.frame_rate
        # Milliseconds in Matroska and odd time bases leave crumbs; only a truly varying rate is fractional.
        if not info.variable_rate or abs(scene - round(scene)) < 0.02:
            scene = float(round(scene))
        return FootageFrame(number, time, scene, turned(image, info.rotation))

    def __iter__(self) -> Iterator[FootageFrame]:
        found: set[int] = set()
        with _opened(self._path) as (container, stream):
            for number, picture in self._numbered(container, stream):
                if number > self._last:
                    break
                if number >= self._first and number not in found:
                    found.add(number)
                    yield self._frame(number, picture)
                if number == self._last:
                    break
        self._skipped = tuple(n for n in range(self._first, self._last + 1) if n not in found)

    def _numbered(self, container: InputContainer, stream: VideoStream) -> Iterator[tuple[int, VideoFrame]]:
        """Decoded pictures with their numbers, starting at or before the first one wanted."""
        pts = self._index.pts
        if pts is None:
            yield from enumerate(self._pictures(container, stream), start=1)
            return
        number_of = {int(t): i + 1 for i, t in enumerate(pts)}
        for start in self._seek_points(int(pts[self._first - 1])):
            container.seek(start, stream=stream, backward=True)
            pictures = self._pictures(container, stream)
            first = next(pictures, None)
            # Some containers land too late; then an earlier point is tried, at last the very start.
            if first is None or first.pts is None or first.pts > pts[self._first - 1]:
                continue
            if first.pts in number_of:
                yield number_of[first.pts], first
            for picture in pictures:
                if picture.pts in number_of:
                    yield number_of[picture.pts], picture
            return
        yield from self._from_the_start(number_of)

    def _from_the_start(self, number_of: dict[int, int]) -> Iterator[tuple[int, VideoFrame]]:
        with _opened(self._path) as (container, stream):
            for picture in self._pictures(container, stream):
                if picture.pts in number_of:
                    yield number_of[picture.pts], picture

    def _seek_points(self, target: int) -> list[int]:
        """Times to seek to, best first; none where reading from the start is what is wanted anyway."""
        keys = self._index.keyframes
        usable = keys[keys <= target]
        if self._first == 1 or len(usable) < 2:
            return []
        return [int(t) for t in usable[-1 : -min(4, len(usable)) : -1]]

    @staticmethod
    def _pictures(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
        try:
            for packet in container.demux(stream):
                yield from _decoded(packet)
        except FFmpegError:
            return  # the file ends here; what is missing shows in ``skipped``
