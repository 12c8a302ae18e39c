"""Stills and image sequences as footage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from pathlib import Path

from backend.errors import ErrorCode, UserError
from backend.footage.animated import moves
from backend.footage.sequences import ImageFiles
from backend.footage.stills import read_header, read_image
from backend.footage.types import DEFAULT_SEQUENCE_RATE, FootageFrame, FootageInfo, select_range


class ImageFootage:
    """A still or an image sequence, of files that are known. ``frame_rate`` times a sequence.

    Raises UserError ``image_unreadable``, ``footage_missing``, ``footage_too_large``, ``frames_out_of_range``.
    """

    def __init__(
        self,
        found: ImageFiles,
        frames: tuple[int, int] | None = None,
        frame_rate: float = DEFAULT_SEQUENCE_RATE,
    ) -> None:
        first_file, numbers = found.files[0], found.numbers
        header = read_header(first_file)
        if moves(first_file, header.kind):
            raise UserError(
                ErrorCode.IMAGE_UNREADABLE,
                f"{first_file} is an animation, not one picture of a sequence.",
                "Give it alone, or export its pictures to files of their own.",
            )
        self.info = FootageInfo(
            path=first_file,
            kind=found.kind,
            width=header.size[0],
            height=header.size[1],
            frame_count=len(numbers),
            first_frame=numbers[0],
            last_frame=numbers[-1],
            frame_rate=frame_rate,
            duration=(numbers[-1] - numbers[0]) / frame_rate,
            rotation=header.orientation.degrees,
            stored_width=header.stored[0],
            stored_height=header.stored[1],
            pixel_aspect=1.0,
            variable_rate=False,
            codec=header.kind.value,
            pixel_format=header.mode,
            missing_frames=numbers[-1] - numbers[0] + 1 - len(numbers),
            mirrored=header.orientation.mirrored,
            files=found.files,
            numbers=numbers,
            notes=found.notes + ((header.note,) if header.note else ()),
        )
        self._files = self._chosen(frames)

    def part(self, frames: tuple[int, int]) -> ImageFootage:
        """Those of its files that are numbered (first, last). Raises UserError ``frames_out_of_range``."""
        part = copy(self)
        part._files = self._chosen(frames)
        return part

    def after(self, number: int) -> ImageFootage | None:
        """See ``Footage``."""
        rest = copy(self)
        rest._files = [(n, file) for n, file in self._files if n > number]
        return rest if rest._files else None

    def begins(self, number: int) -> int:
        """See ``Footage``: every picture is a file."""
        return number

    def _chosen(self, frames: tuple[int, int] | None) -> Sequence[tuple[int, Path]]:
        info = self.info
        first, last = select_range(info.first_frame, info.last_frame, frames, info.path)
        chosen = [(n, file) for n, file in zip(info.numbers, info.files, strict=True) if first <= n <= last]
        if not chosen:
            select_range(0, -1, (first, last), info.path)
        return chosen

    @property
    def total(self) -> int:
        return len(self._files)

    @property
    def skipped(self) -> tuple[int, ...]:
        return ()

    def __iter__(self) -> Iterator[FootageFrame]:
        info = self.info
        for number, file in self._files:
            image = read_image(file)
            if image.shape[:2] != (info.height, info.width):
                raise UserError(
                    ErrorCode.FOOTAGE_SIZES_DIFFER,
                    f"{file} is {image.shape[1]} × {image.shape[0]} pixels, but {info.path.name} is "
                    f"{info.width} × {info.height}.",
                    "All images of a sequence need one size; choose frames A:A to track a single image.",
                )
            time = (number - info.first_frame) / info.frame_rate
            scene = 1.0 if info.kind == "still" else float(number)
            yield FootageFrame(number, time, scene, image)
