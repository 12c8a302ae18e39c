"""What a head's texture may be: a PNG whose size is known before anybody makes room for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .codec import ProtocolError
from .codes import ProtocolCode

MAX_TEXTURE_BYTES = 64 << 20
MAX_TEXTURE_SIDE = 8192
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SIZE_AT = 16  # of width and height, four bytes each, in the header chunk that comes first


def check_texture(data: NDArray[np.uint8]) -> None:
    """Refuse what is no PNG of a size that may be; nothing at all is right, too.

    Raises:
        ProtocolError: ``bad_take``.
    """
    if not data.size:
        return
    start = data[: _SIZE_AT + 8].tobytes()
    width, height = (int.from_bytes(start[at : at + 4], "big") for at in (_SIZE_AT, _SIZE_AT + 4))
    if data.size > MAX_TEXTURE_BYTES or not start.startswith(_SIGNATURE) or start[12:16] != b"IHDR":
        raise ProtocolError(ProtocolCode.BAD_TAKE, "“take/texture” is no PNG, or too large.")
    if not (1 <= width <= MAX_TEXTURE_SIDE and 1 <= height <= MAX_TEXTURE_SIDE):
        sentence = f"“take/texture” is {width} × {height} pixels; {MAX_TEXTURE_SIDE} a side are allowed."
        raise ProtocolError(ProtocolCode.BAD_TAKE, sentence)
