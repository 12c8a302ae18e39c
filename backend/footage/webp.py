"""The canvas and the frames of a WebP, by its chunks alone: Google's WebP container specification."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO, NamedTuple

from backend.footage.kinds import open_file

MAX_CHUNKS = 1_000_000


class WebpHeader(NamedTuple):
    """Size in pixels, and how many milliseconds each frame of an animation shows; () for a still."""

    width: int
    height: int
    durations: tuple[int, ...]


def read_webp(path: Path, at_most: int) -> WebpHeader:
    """Size and the first ``at_most`` frames. Raises OSError, ValueError and struct.error for what is no WebP."""
    with open_file(path) as file:
        file.seek(12)
        width = height = 0
        durations: list[int] = []
        for _ in range(MAX_CHUNKS):
            if len(durations) == at_most or len(head := file.read(8)) < 8:
                break
            name, size = struct.unpack("<4sI", head)
            if not name.strip().isalnum():
                raise ValueError("no chunk")
            start = file.read(min(size, 16))
            if name == b"VP8X":
                width, height = _int24(start, 4) + 1, _int24(start, 7) + 1
            elif name in (b"VP8 ", b"VP8L") and not width:
                width, height = _bitstream_size(name, start)
            elif name == b"ANMF":
                durations.append(_int24(start, 12))
            _skip(file, size + size % 2 - len(start))
    if not width:
        raise ValueError("no size")
    return WebpHeader(width, height, tuple(durations))


def _int24(data: bytes, at: int) -> int:
    if len(data) < at + 3:
        raise ValueError("a chunk that is too short")
    return int.from_bytes(data[at : at + 3], "little")


def _bitstream_size(name: bytes, data: bytes) -> tuple[int, int]:
    if name == b"VP8 ":
        width, height = struct.unpack_from("<2H", data, 6)
        return width & 0x3FFF, height & 0x3FFF
    (bits,) = struct.unpack_from("<I", data, 1)
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


def _skip(file: IO[bytes], count: int) -> None:
    file.seek(max(0, count), 1)
