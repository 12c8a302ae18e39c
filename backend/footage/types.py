"""The types of footage: facts about it, its frames, and the bounds within which it is read."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError

FootageKind = Literal["video", "sequence", "still"]

MAX_SIDE = 16384  # px
MAX_PIXELS = 150_000_000
MAX_PICTURES = 100_000  # of an animated image: an hour of it
MAX_PICTURES_PIXELS = 200 * 10**9  # of all of them: half an hour of 2K
MAX_FRAMES = 1_048_574  # the last frame of Blender's timeline
DEFAULT_SEQUENCE_RATE = 24.0  # frames per second; Blender's own default for image sequences


@dataclass(frozen=True)
class FootageInfo:
    """Facts about a piece of footage, read without decoding it whole.

    Sizes are in pixels. ``width × height`` is the picture as displayed: pixel aspect applied by scaling the stored
    width, then mirrored left to right where ``mirrored``, then turned clockwise by ``rotation`` degrees. Numbers follow
    Blender: the frames of a video count from 1, an image sequence uses the numbers in its file names where Blender's
    timeline has them, a still is frame 1.
    """

    path: Path  # a video, a still, or the first image of a sequence
    kind: FootageKind
    width: int
    height: int
    frame_count: int  # frames that are there, exact
    first_frame: int
    last_frame: int
    frame_rate: float  # frames per second: the file's own where its times bear it out, else by them (see rates.py)
    duration: float  # seconds from the first frame's start to the last frame's start
    rotation: int  # 0, 90, 180 or 270 degrees clockwise, from the file's display matrix or EXIF tag
    stored_width: int
    stored_height: int
    pixel_aspect: float  # width of a stored pixel over its height
    variable_rate: bool
    codec: str
    pixel_format: str
    missing_frames: int = 0  # frames that the file promises, or gaps in a sequence's numbers, that are not there
    mirrored: bool = False  # as EXIF 2, 4, 5 and 7 and display matrices of determinant −1 ask
    files: tuple[Path, ...] = ()  # images of a sequence or still, in order; () for one file of many frames
    numbers: tuple[int, ...] = ()  # the frame number of each of ``files``, ascending
    notes: tuple[str, ...] = ()  # sentences for the user: renumbered, retimed, guessed
    stream: int = 0  # which of the file's video streams was read; players show the first


@dataclass(frozen=True, eq=False)
class FootageFrame:
    """One decoded picture: ``image (H,W,3)`` uint8 RGB, contiguous, as displayed.

    ``time`` is in seconds since the footage's first frame, from the file. ``scene_frame`` is the frame of Blender's
    timeline on which a clip that starts at frame 1 shows it (for sequences: the number); it is whole but where more
    pictures of a video of varying rate fall on one frame than its neighbours can take (see ``rates.snapped``).
    """

    number: int
    time: float
    scene_frame: float
    image: NDArray[np.uint8]


class Footage(Protocol):
    """Footage opened for reading. Iterating decodes lazily and may be repeated; each pass starts afresh."""

    @property
    def info(self) -> FootageInfo: ...

    @property
    def total(self) -> int:
        """The number of frames that a pass is expected to give."""
        ...

    @property
    def skipped(self) -> tuple[int, ...]:
        """Numbers of frames that the latest pass could not decode."""
        ...

    def part(self, frames: tuple[int, int]) -> Footage:
        """The same footage, of it the frames (first, last), inclusive, of its own numbers; nothing is looked for anew.

        Raises UserError ``frames_out_of_range``.
        """
        ...

    def after(self, number: int) -> Footage | None:
        """The same footage, of its frames those behind one; None where there are none."""
        ...

    def begins(self, number: int) -> int:
        """The number of the frame with which decoding begins in order to come to a frame."""
        ...

    def __iter__(self) -> Iterator[FootageFrame]: ...


class CountedFootage:
    """Footage of one file, whose frames count from 1: the part of them that a pass gives, and what it left out."""

    info: FootageInfo
    _first: int
    _last: int
    _skipped: tuple[int, ...] = ()

    def part(self, frames: tuple[int, int]) -> Self:
        """The frames (first, last) of it, without reading the file anew. Raises UserError ``frames_out_of_range``."""
        part = copy(self)
        part._choose(frames)
        part._skipped = ()
        return part

    def after(self, number: int) -> Self | None:
        """See ``Footage``."""
        return self.part((max(number + 1, self._first), self._last)) if number < self._last else None

    def begins(self, number: int) -> int:
        """See ``Footage``: such files are decoded from their start."""
        return min(number, 1)

    def _choose(self, frames: tuple[int, int] | None) -> None:
        self._first, self._last = select_range(1, self.info.frame_count, frames, self.info.path)

    @property
    def total(self) -> int:
        """See ``Footage``."""
        return self._last - self._first + 1

    @property
    def skipped(self) -> tuple[int, ...]:
        """See ``Footage``."""
        return self._skipped


def check_size(width: int, height: int, path: Path) -> None:
    """Refuse a picture size before anything of that size is allocated. Raises UserError ``footage_too_large``."""
    if width < 1 or height < 1:
        raise UserError(ErrorCode.FOOTAGE_UNREADABLE, f"{path} says that its picture is {width} × {height} pixels.")
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise UserError(
            ErrorCode.FOOTAGE_TOO_LARGE,
            f"{path} is {width} × {height} pixels; at most {MAX_SIDE} a side and {MAX_PIXELS // 10**6} million in all "
            "are read.",
            "Scale it down first.",
        )


def check_animation(count: int, width: int, height: int, path: Path) -> None:
    """Refuse an image file of too many moving pictures, in all or together. Raises UserError ``footage_too_large``."""
    if count > MAX_PICTURES or count * width * height > MAX_PICTURES_PIXELS:
        raise UserError(
            ErrorCode.FOOTAGE_TOO_LARGE,
            f"{path} holds more pictures than are read from one image file: at most {MAX_PICTURES}, and "
            f"{MAX_PICTURES_PIXELS // 10**9} billion pixels in all.",
            "Export it as a video.",
        )


def select_range(first: int, last: int, frames: tuple[int, int] | None, path: Path) -> tuple[int, int]:
    """The part of first…last (inclusive) that ``frames`` asks for. Raises UserError ``frames_out_of_range``."""
    if frames is None:
        return first, last
    start, stop = max(frames[0], first), min(frames[1], last)
    if start > stop:
        raise UserError(
            ErrorCode.FRAMES_OUT_OF_RANGE,
            f"{path} has frames {first} to {last}; {frames[0]} to {frames[1]} was asked for.",
            "Choose a range inside the footage.",
        )
    return start, stop
