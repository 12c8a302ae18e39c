"""Image files whose pictures move: animated WebP and PNG, and TIFF of several pages. FFmpeg reads GIF."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from backend.errors import UserError
from backend.footage.apng import read_apng
from backend.footage.kinds import FileKind
from backend.footage.orientation import UPRIGHT, Orientation, displayed, from_exif
from backend.footage.rates import Clock, clock_for
from backend.footage.stills import open_image, read_header, to_rgb, unreadable
from backend.footage.tiff import TiffPage, moving_pages, read_pages
from backend.footage.types import (
    MAX_PICTURES,
    CountedFootage,
    FootageFrame,
    FootageInfo,
    check_animation,
    check_size,
)
from backend.footage.webp import read_webp

_SHORTEST, _INSTEAD = 0.011, 0.1  # seconds: what browsers show instead of a delay that asks for as fast as can be
_MILLISECOND = 0.001


class _Pictures(NamedTuple):
    """Where the pictures of a file are: pages in its own count, and seconds from the first."""

    size: tuple[int, int]
    orientation: Orientation
    pages: tuple[int, ...]
    times: tuple[float, ...] | None  # None: the file carries none
    notes: tuple[str, ...] = ()


def moves(path: Path, kind: FileKind) -> bool:
    """True where an image file holds several pictures that follow each other.

    Raises UserError for a damaged file and for one with more pictures than are read.
    """
    try:
        if kind is FileKind.WEBP:
            return len(read_webp(path, 2).durations) > 1
        if kind is FileKind.TIFF:
            return len(moving_pages(_pages(path))) > 1
        if kind is FileKind.PNG:
            return len(read_apng(path, 2).durations) > 1
        if kind is FileKind.GIF:
            with open_image(path, kind) as image:
                check_size(*image.size, path)
                return bool(getattr(image, "is_animated", False))
    except UserError:
        raise
    except Exception as error:  # decoders raise many unrelated types on bad bytes
        raise unreadable(path, error) from error
    return False


class AnimatedFootage(CountedFootage):
    """An animated WebP or PNG, or a TIFF of several pages, which ``page_rate`` (frames per second) times.

    Raises UserError ``image_unreadable``, ``footage_too_large``, ``frames_out_of_range``.
    """

    def __init__(self, path: Path, kind: FileKind, frames: tuple[int, int] | None, page_rate: float) -> None:
        self._path, self._kind = path, kind
        try:
            self._pictures = _READERS[kind](path)
        except UserError:
            raise
        except Exception as error:  # decoders raise many unrelated types on bad bytes
            raise unreadable(path, error) from error
        self._clock = _clock(self._pictures, page_rate)
        self.info = self._read_info()
        self._choose(frames)

    def _read_info(self) -> FootageInfo:
        pictures, clock = self._pictures, self._clock
        count = len(pictures.pages)
        width, height = pictures.size[::-1] if pictures.orientation.sideways else pictures.size
        return FootageInfo(
            path=self._path,
            kind="video",
            width=width,
            height=height,
            frame_count=count,
            first_frame=1,
            last_frame=count,
            frame_rate=clock.rate,
            duration=float(clock.times[-1]),
            rotation=pictures.orientation.degrees,
            stored_width=pictures.size[0],
            stored_height=pictures.size[1],
            pixel_aspect=1.0,
            variable_rate=clock.variable,
            codec=self._kind.value,
            pixel_format="",
            mirrored=pictures.orientation.mirrored,
            notes=pictures.notes + clock.notes,
        )

    def __iter__(self) -> Iterator[FootageFrame]:
        skipped: list[int] = []
        with ExitStack() as stack:
            try:
                image = stack.enter_context(open_image(self._path, self._kind))
            except UserError:
                raise
            except Exception as error:  # decoders raise many unrelated types on bad bytes
                raise unreadable(self._path, error) from error
            for number in range(self._first, self._last + 1):
                frame = self._frame(image, number)
                if frame is None:
                    skipped.append(number)
                else:
                    yield frame
        self._skipped = tuple(skipped)

    def _frame(self, image: Image.Image, number: int) -> FootageFrame | None:
        """One picture; None where it is damaged."""
        try:
            image.seek(self._pictures.pages[number - 1])
            image.load()
            left = self._pictures.orientation if self._kind is not FileKind.TIFF else UPRIGHT  # Pillow turns TIFF
            picture = displayed(to_rgb(image), left)
        except Exception:  # decoders raise many unrelated types on bad bytes
            return None
        if picture.shape[:2] != (self.info.height, self.info.width):
            return None
        clock = self._clock
        return FootageFrame(number, float(clock.times[number - 1]), float(clock.scene_frames[number - 1]), picture)


def _clock(pictures: _Pictures, page_rate: float) -> Clock:
    if pictures.times is None:
        return clock_for(np.arange(len(pictures.pages)) / page_rate, page_rate, 0.0)
    return clock_for(np.array(pictures.times), None, _MILLISECOND)


def _webp(path: Path) -> _Pictures:
    header, webp = read_header(path), read_webp(path, MAX_PICTURES + 1)
    check_animation(len(webp.durations), *header.stored, path)
    times = _times([duration / 1000 for duration in webp.durations])
    return _Pictures(header.stored, header.orientation, tuple(range(len(times))), times)


def _apng(path: Path) -> _Pictures:
    header, apng = read_header(path), read_apng(path, MAX_PICTURES + 1)
    check_animation(len(apng.durations), *header.stored, path)
    times = _times(apng.durations)
    first = int(apng.apart)
    return _Pictures(header.stored, header.orientation, tuple(range(first, first + len(times))), times)


def _times(durations: Sequence[float]) -> tuple[float, ...]:
    """When each picture begins, of how many seconds each shows."""
    shown = [_INSTEAD if duration < _SHORTEST else duration for duration in durations]
    return tuple(accumulate(shown[:-1], initial=0.0))


def _pages(path: Path) -> list[TiffPage]:
    return read_pages(path, MAX_PICTURES + 1)


def _tiff(path: Path) -> _Pictures:
    header, pages = read_header(path), _pages(path)
    moving = moving_pages(pages)
    check_animation(len(pages), *header.stored, path)
    left_out = sum(not page.is_preview for page in pages) - len(moving)
    pages_left = "1 page" if left_out == 1 else f"{left_out} pages"
    notes = (f"{pages_left} of {path.name}, of another size than its first, left out.",)
    orientation = from_exif(moving[0].orientation)
    return _Pictures(
        (moving[0].width, moving[0].height),
        orientation,
        tuple(page.place for page in moving),
        None,
        notes if left_out > 0 else (),
    )


_READERS: dict[FileKind, Callable[[Path], _Pictures]] = {
    FileKind.WEBP: _webp,
    FileKind.PNG: _apng,
    FileKind.TIFF: _tiff,
}
