"""The pages of a TIFF, by its directories alone (TIFF 6.0 and BigTIFF): no picture is decoded for it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from backend.footage.kinds import open_file

_SUBFILE, _WIDTH, _HEIGHT, _PHOTOMETRIC, _ORIENTATION, _DNG = 254, 256, 257, 262, 274, 50706
_WANTED = frozenset({_SUBFILE, _WIDTH, _HEIGHT, _PHOTOMETRIC, _ORIENTATION, _DNG})
_SENSOR = frozenset({32803, 34892})  # colour filter array, linear raw
_MAX_ENTRIES = 4096  # of a directory; real ones have fewer than a hundred
_FORMATS = {1: "B", 3: "H", 4: "I", 16: "Q"}


class TiffPage(NamedTuple):
    """One directory: its place in the file's order, ``width × height`` stored pixels, EXIF ``orientation``."""

    place: int
    width: int
    height: int
    orientation: int
    is_preview: bool  # a smaller copy or a mask of another page
    is_raw: bool  # what a sensor saw, which is no picture yet


def read_pages(path: Path, at_most: int) -> list[TiffPage]:
    """The pages of a TIFF, ``at_most`` so many. Raises OSError, ValueError and struct.error for what is no TIFF."""
    with open_file(path) as file:
        return [page for page, _ in zip(_directories(file), range(at_most), strict=False)]


def moving_pages(pages: list[TiffPage]) -> list[TiffPage]:
    """The pages that follow each other as pictures of one size; the first alone where the file is a still."""
    whole = [page for page in pages if not page.is_preview] or pages[:1]
    return [page for page in whole if (page.width, page.height) == (whole[0].width, whole[0].height)]


def _directories(file: IO[bytes]) -> Iterator[TiffPage]:
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = struct.unpack_from(f"{order}H", head, 2)[0] == 43
    count, entry, link = (f"{order}Q", 20, f"{order}Q") if big else (f"{order}H", 12, f"{order}I")
    at = struct.unpack_from(link, head, 8 if big else 4)[0]
    seen: set[int] = set()
    while at and at not in seen:
        seen.add(at)
        file.seek(at)
        entries = struct.unpack(count, file.read(struct.calcsize(count)))[0]
        if entries > _MAX_ENTRIES:
            raise ValueError(f"a directory of {entries} entries")
        data = file.read(entries * entry + struct.calcsize(link))
        yield _page(len(seen) - 1, dict(_values(data, entries, entry, order)))
        at = struct.unpack_from(link, data, entries * entry)[0]


def _values(data: bytes, entries: int, size: int, order: str) -> Iterator[tuple[int, int]]:
    value_at = 8 if size == 12 else 12
    for at in range(0, entries * size, size):
        tag, kind = struct.unpack_from(f"{order}2H", data, at)
        if tag in _WANTED and kind in _FORMATS:
            yield tag, struct.unpack_from(f"{order}{_FORMATS[kind]}", data, at + value_at)[0]


def _page(index: int, values: dict[int, int]) -> TiffPage:
    return TiffPage(
        index,
        values.get(_WIDTH, 0),
        values.get(_HEIGHT, 0),
        values.get(_ORIENTATION, 1),
        is_preview=bool(values.get(_SUBFILE, 0) & 0b101),
        is_raw=_DNG in values or values.get(_PHOTOMETRIC) in _SENSOR,
    )
