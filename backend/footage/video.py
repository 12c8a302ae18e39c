"""Video files through PyAV: exact times, rotation, any bit depth, frame-accurate seeking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.sidedata.sidedata import SideData, Type
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from backend.errors import ErrorCode, UserError
from backend.footage.containers import Index, moving_streams, opened, pictures, scan
from backend.footage.orientation import UPRIGHT, Orientation, displayed, from_matrix
from backend.footage.rates import FALLBACK_RATE, Clock, clock_for, told_apart
from backend.footage.types import CountedFootage, FootageFrame, FootageInfo, check_animation, check_size

_NO_RATE = frozenset({"gif"})  # formats that say how long each picture shows; FFmpeg makes up a rate


class VideoFootage(CountedFootage):
    """A video file; ``demuxer`` names its format for FFmpeg where that is known.

    Raises UserError ``footage_unreadable``, ``footage_no_video``, ``footage_too_large``, ``frames_out_of_range``.
    """

    def __init__(self, path: Path, frames: tuple[int, int] | None = None, *, demuxer: str | None = None) -> None:
        self._path = path
        self._demuxer = demuxer
        self._index = scan(path, demuxer)
        self.info = self._read_info()
        self._choose(frames)

    def _read_info(self) -> FootageInfo:
        index, path = self._index, self._path
        picture = self._first_picture() if index.count else None
        if picture is None:
            with opened(path, self._demuxer) as (_, stream):
                codec = stream.codec_context.name
            raise UserError(
                ErrorCode.FOOTAGE_UNREADABLE,
                f"No picture in {path} can be decoded (its codec is {codec}).",
                "The file may be cut short or damaged, or of a variety of its codec that is not read: export it again.",
            )
        if self._demuxer == "gif":
            check_animation(index.count, picture.width, picture.height, path)
        with opened(path, self._demuxer) as (container, stream):
            claimed = None if container.format.name in _NO_RATE else stream.guessed_rate or stream.average_rate
            aspect = float(stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or 1) or 1.0
            promised = stream.frames
            codec = stream.codec_context.name
            chosen = list(container.streams.video).index(stream)
            notes = _several(path, container, stream)
        self._clock = _clock(index, float(claimed) if claimed else None)
        orientation = _orientation(picture)
        width, height = max(1, round(picture.width * aspect)), picture.height
        check_size(width, height, path)
        if orientation.sideways:
            width, height = height, width
        return FootageInfo(
            path=path,
            kind="video",
            width=width,
            height=height,
            frame_count=index.count,
            first_frame=1,
            last_frame=index.count,
            frame_rate=self._clock.rate,
            duration=float(self._clock.times[-1]),
            rotation=orientation.degrees,
            stored_width=picture.width,
            stored_height=picture.height,
            pixel_aspect=aspect,
            variable_rate=self._clock.variable,
            codec=codec,
            pixel_format=picture.format.name,
            missing_frames=max(0, promised - index.count - index.hidden),
            mirrored=orientation.mirrored,
            notes=notes + self._clock.notes,
            stream=chosen,
        )

    def _first_picture(self) -> VideoFrame | None:
        with opened(self._path, self._demuxer) as (container, stream):
            return next(pictures(container, stream), None)

    def _frame(self, number: int, picture: VideoFrame) -> FootageFrame | None:
        """The picture as displayed; None where it is damaged."""
        info = self.info
        # The stored size is what the index was read with; a stream that changes size midway is scaled to it.
        width = max(1, round(info.stored_width * info.pixel_aspect))
        try:
            image = np.asarray(picture.to_ndarray(format="rgb24", width=width, height=info.stored_height), np.uint8)
        except (FFmpegError, ValueError):
            return None
        upright = displayed(image, Orientation(info.mirrored, info.rotation))
        time, scene = self._clock.times[number - 1], self._clock.scene_frames[number - 1]
        return FootageFrame(number, float(time), float(scene), upright)

    def __iter__(self) -> Iterator[FootageFrame]:
        found: set[int] = set()
        with opened(self._path, self._demuxer) as (container, stream):
            for number, picture in self._numbered(container, stream):
                if number > self._last:
                    break
                frame = self._frame(number, picture) if number >= self._first and number not in found else None
                if frame is not None:
                    found.add(number)
                    yield frame
                if number == self._last:
                    break
        self._skipped = tuple(n for n in range(self._first, self._last + 1) if n not in found)

    @cached_property
    def _number_of(self) -> dict[int, int]:
        """The number of the frame that shows at each presentation time."""
        return {} if self._index.pts is None else {int(t): i + 1 for i, t in enumerate(self._index.pts)}

    def _numbered(self, container: InputContainer, stream: VideoStream) -> Iterator[tuple[int, VideoFrame]]:
        """Decoded pictures with their numbers, starting at or before the first one wanted."""
        pts = self._index.pts
        if pts is None:
            yield from enumerate(pictures(container, stream), start=1)
            return
        for start in self._seek_points(int(pts[self._first - 1])):
            container.seek(start, stream=stream, backward=True)
            shown = pictures(container, stream)
            # What comes before a key picture lacks those that it was made from.
            first = next((picture for picture in shown if picture.key_frame), None)
            # Some containers land too late; then an earlier point is tried, at last the very start.
            if first is None or first.pts is None or first.pts > pts[self._first - 1]:
                continue
            if first.pts in self._number_of:
                yield self._number_of[first.pts], first
            for picture in shown:
                if picture.pts in self._number_of:
                    yield self._number_of[picture.pts], picture
            return
        yield from self._from_the_start()

    def _from_the_start(self) -> Iterator[tuple[int, VideoFrame]]:
        with opened(self._path, self._demuxer) as (container, stream):
            for picture in pictures(container, stream):
                if picture.pts in self._number_of:
                    yield self._number_of[picture.pts], picture

    def begins(self, number: int) -> int:
        """See ``Footage``: a key picture."""
        index = self._index
        if index.pts is None or not 1 <= number <= index.count:
            return 1
        usable = index.keyframes[index.keyframes <= index.pts[number - 1]]
        return self._number_of.get(int(usable[-1]), 1) if len(usable) else 1

    def _seek_points(self, target: int) -> list[int]:
        """Times to seek to, best first; none where reading from the start is what is wanted anyway."""
        keys = self._index.keyframes
        usable = keys[keys <= target]
        if self._first == 1 or len(usable) < 2:
            return []
        return [int(t) for t in usable[-1 : -min(4, len(usable)) : -1]]


def _clock(index: Index, claimed: float | None) -> Clock:
    if index.times is None:
        rate = claimed or FALLBACK_RATE
        note = f"The file carries no times: its pictures were taken to come {rate:.6g} a second."
        even = clock_for(np.arange(index.count) / rate, rate, 0.0)
        return even if claimed else Clock(even.times, even.scene_frames, rate, variable=False, notes=(note,))
    tick = float(index.time_base)
    return clock_for(told_apart((index.times - index.times[0]) * tick, tick), claimed, tick)


def _orientation(picture: VideoFrame) -> Orientation:
    try:
        data = cast(Mapping[Type, SideData], picture.side_data)[Type.DISPLAYMATRIX]
    except KeyError:
        return UPRIGHT
    except ValueError:  # beside it there is something that this PyAV has no name for: then the turn alone is told
        return Orientation(False, round(-picture.rotation / 90) * 90 % 360)
    return from_matrix(np.frombuffer(bytes(data), np.int32).reshape(3, 3))


def _several(path: Path, container: InputContainer, stream: VideoStream) -> tuple[str, ...]:
    """What to say of a file with several films in it."""
    count = sum(other.frames != 1 for other in moving_streams(container))
    if count < 2:
        return ()
    number = list(container.streams.video).index(stream) + 1
    size = f"{stream.codec_context.width} × {stream.codec_context.height}"
    return (f"{path.name} holds {count} video streams; number {number}, of {size} pixels, was read.",)
