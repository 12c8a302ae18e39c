"""A PNG by its chunks alone: the pictures of an animation, and what may turn it (PNG, third edition)."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

from backend.footage.kinds import open_file

MAX_CHUNKS = 1_000_000
MAX_SAID = 10_000  # chunks that are no picture's, which decoders take their time for; real files have about ten
_PICTURES = frozenset({b"IDAT", b"fdAT", b"fcTL"})
_TURNING = (b"Raw profile type exif", b"Raw profile type APP1", b"XML:com.adobe.xmp")  # of texts that hold EXIF, XMP


class ApngHeader(NamedTuple):
    """How many seconds each picture of the animation shows; ``apart`` where the still is not one of them."""

    durations: tuple[float, ...]
    apart: bool


def read_apng(path: Path, at_most: int) -> ApngHeader:
    """The first ``at_most`` pictures; none of a PNG that is a still. Raises OSError, ValueError and struct.error."""
    durations: list[float] = []
    animated = apart = False
    with open_file(path) as file:
        file.seek(8)
        for _ in range(MAX_CHUNKS):
            if len(durations) == at_most or len(head := file.read(8)) < 8:
                return ApngHeader(tuple(durations), apart)
            size, name = struct.unpack(">I4s", head)
            if not name.isalpha():
                raise ValueError("no chunk")
            start = file.read(min(size, 26))
            if name == b"acTL":
                animated = True
            elif name == b"fcTL":
                shown, of = struct.unpack_from(">2H", start, 20)
                durations.append(shown / (of or 100))
            elif name == b"IDAT" and not animated:
                return ApngHeader((), apart=False)
            elif name == b"IDAT" and not durations:
                apart = True
            elif name == b"IEND":
                return ApngHeader(tuple(durations), apart)
            file.seek(size + 4 - len(start), 1)
    raise ValueError("more chunks than are read")


def may_be_turned(path: Path) -> bool:
    """True where some chunk of a PNG, before or behind its picture, may say an orientation.

    Raises OSError and struct.error, and ValueError for more chunks than are read.
    """
    said = chunks = 0
    turned = False
    with open_file(path) as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            size, name = struct.unpack(">I4s", head)
            chunks, said = chunks + 1, said + (name not in _PICTURES)
            if said > MAX_SAID or chunks > MAX_CHUNKS:
                raise ValueError("more chunks than are read")
            if name == b"IEND":
                break
            start = file.read(min(size, 24)) if name in (b"zTXt", b"iTXt", b"tEXt") else b""
            turned = turned or name == b"eXIf" or start.startswith(_TURNING)
            file.seek(size + 4 - len(start), 1)
    return turned
