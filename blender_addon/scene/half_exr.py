"""An OpenEXR file of half floats: what Blender packs itself of an image of floats is four times as large.

Layout after "Technical Introduction to OpenEXR" and "OpenEXR File Layout" (openexr.com): scan lines, blocks of 16 under
ZIP compression, whose bytes are parted into even and odd ones and told by their differences.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

MAGIC, VERSION = 20000630, 2
HALF, ZIP, LINES = 1, 3, 16
"""A channel's type of pixels, the compression, and the scan lines of its blocks."""


def half_exr(pixels: NDArray[np.float16]) -> bytes:
    """The file of ``pixels (H,W,3)``: red, green, blue; row 0 is the top."""
    height, width = pixels.shape[:2]
    head = _header(width, height)
    planes = np.ascontiguousarray(np.moveaxis(pixels[..., ::-1], 2, 1), "<f2")  # of a line B, G, R: by their letters
    blocks = []
    for first in range(0, height, LINES):
        raw = planes[first : first + LINES].tobytes()
        packed = _packed(raw)
        data = packed if len(packed) < len(raw) else raw
        blocks.append(struct.pack("<ii", first, len(data)) + data)
    starts = len(head) + 8 * len(blocks) + np.cumsum([0, *map(len, blocks[:-1])])
    return b"".join([head, starts.astype("<u8").tobytes(), *blocks])


def _header(width: int, height: int) -> bytes:
    channels = b"".join(name + b"\0" + struct.pack("<iB3xii", HALF, 0, 1, 1) for name in (b"B", b"G", b"R")) + b"\0"
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    attributes = (
        (b"channels", b"chlist", channels),
        (b"compression", b"compression", bytes([ZIP])),
        (b"dataWindow", b"box2i", window),
        (b"displayWindow", b"box2i", window),
        (b"lineOrder", b"lineOrder", b"\0"),
        (b"pixelAspectRatio", b"float", struct.pack("<f", 1.0)),
        (b"screenWindowCenter", b"v2f", struct.pack("<2f", 0.0, 0.0)),
        (b"screenWindowWidth", b"float", struct.pack("<f", 1.0)),
    )
    told = (name + b"\0" + kind + b"\0" + struct.pack("<i", len(data)) + data for name, kind, data in attributes)
    return struct.pack("<ii", MAGIC, VERSION) + b"".join(told) + b"\0"


def _packed(raw: bytes) -> bytes:
    data = np.frombuffer(raw, np.uint8)
    parted = np.concatenate([data[::2], data[1::2]])
    steps = parted.copy()
    steps[1:] = parted[1:] - parted[:-1] + np.uint8(128)  # modulo 256
    return zlib.compress(steps.tobytes(), 4)
