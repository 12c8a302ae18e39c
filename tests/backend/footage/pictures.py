"""Image files that tests write themselves."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image

T = Image.Transpose
STORED = {1: None, 2: T.FLIP_LEFT_RIGHT, 3: T.ROTATE_180, 4: T.FLIP_TOP_BOTTOM, 5: T.TRANSPOSE, 6: T.ROTATE_90}
STORED |= {7: T.TRANSVERSE, 8: T.ROTATE_270}
"""How an upright picture has to be stored to be upright once EXIF's orientation is followed."""

Picture = NDArray[np.uint8]


def colours(width: int = 96, height: int = 64) -> Picture:
    """A smooth picture (H,W,3) that no turn and no mirror maps onto itself."""
    y, x = np.mgrid[0:height, 0:width]
    red = 40 + 180 * x / width
    green = 30 + 200 * y / height
    blue = 128 + 90 * np.sin(x / width * 5) * np.cos(y / height * 2)
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


def linear(picture: Picture) -> NDArray[np.float32]:
    """Light of an sRGB picture, by IEC 61966-2-1."""
    value = picture / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(np.float32)


def oriented(path: Path, orientation: int, picture: Picture, **options: object) -> Path:
    """A file that shows ``picture`` once its EXIF orientation is followed."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    how = STORED[orientation]
    image = Image.fromarray(picture)
    (image if how is None else image.transpose(how)).save(path, exif=exif.tobytes(), **options)
    return path


def by_ffmpeg(path: Path, codec: str, pixels: str, picture: NDArray[np.generic], source: str = "rgb24") -> Path:
    """One image file of a codec's."""
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as out:
        stream = out.add_stream(codec, rate=25)
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = pixels
        frame = av.VideoFrame.from_ndarray(picture, format=source).reformat(format=pixels)
        frame.pts = 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def exr(path: Path, light: NDArray[np.float32], layer: str = "") -> Path:
    """An uncompressed OpenEXR of (H,W,3) linear light; ``layer`` names the layer its channels are in."""
    height, width = light.shape[:2]
    names = sorted(f"{layer}.{name}" if layer else name for name in "RGB")
    channels = b"".join(name.encode() + b"\0" + struct.pack("<iIii", 2, 0, 1, 1) for name in names) + b"\0"
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)

    def attribute(name: bytes, kind: bytes, value: bytes) -> bytes:
        return name + b"\0" + kind + b"\0" + struct.pack("<i", len(value)) + value

    header = (
        b"\x76\x2f\x31\x01\x02\0\0\0"
        + attribute(b"channels", b"chlist", channels)
        + attribute(b"compression", b"compression", b"\0")
        + attribute(b"dataWindow", b"box2i", window)
        + attribute(b"displayWindow", b"box2i", window)
        + attribute(b"lineOrder", b"lineOrder", b"\0")
        + attribute(b"pixelAspectRatio", b"float", struct.pack("<f", 1))
        + attribute(b"screenWindowCenter", b"v2f", struct.pack("<2f", 0, 0))
        + attribute(b"screenWindowWidth", b"float", struct.pack("<f", 1))
        + b"\0"
    )
    size = 8 + 12 * width
    offsets = [len(header) + 8 * height + row * size for row in range(height)]
    rows = (struct.pack("<2i", y, 12 * width) + light[y, :, ::-1].T.astype("<f4").tobytes() for y in range(height))
    path.write_bytes(header + struct.pack(f"<{height}Q", *offsets) + b"".join(rows))
    return path


def tiled_heic(path: Path, picture: Picture, tile: int = 64) -> Path:
    """What iPhones write: a grid of square HEVC tiles that are one picture (ISO 23008-12)."""
    pillow_heif.from_pillow(Image.fromarray(picture)).save(path, quality=95, tile_size=tile)
    return path
