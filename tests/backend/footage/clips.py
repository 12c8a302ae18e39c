"""Video files that tests write themselves, with the frame number drawn into every picture."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

BITS = 10
CELL = 16  # px; large enough to survive compression


def stamped(number: int, width: int = CELL * BITS, height: int = 2 * CELL) -> NDArray[np.uint8]:
    """A picture (H,W,3) whose top row of squares is ``number`` in binary, least bit first."""
    picture = np.full((height, width, 3), 96, np.uint8)
    for bit in range(BITS):
        picture[:CELL, bit * CELL : (bit + 1) * CELL] = 235 if number >> bit & 1 else 20
    return picture


def read_stamp(picture: NDArray[np.uint8]) -> int:
    """The number that ``stamped`` drew."""
    row = picture[CELL // 4 : 3 * CELL // 4].mean(axis=(0, 2))
    return sum(int(row[bit * CELL + 4 : (bit + 1) * CELL - 4].mean() > 127) << bit for bit in range(BITS))


def write_video(
    path: Path,
    pictures: Sequence[NDArray[np.uint8]],
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    rate: Fraction | int = 25,
    times: Sequence[Fraction] | None = None,
    time_base: Fraction | None = None,
    rotation_ccw: int | None = None,
    pixel_aspect: Fraction | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Encode pictures (H,W,3) uint8 or uint16 RGB; ``times`` in seconds make the rate vary."""
    time_base = time_base or Fraction(1, 1200) if times is not None else 1 / Fraction(rate)
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = time_base
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if rotation_ccw is not None:
            stream.set_display_rotation(rotation_ccw)
        for index, picture in enumerate(pictures):
            source = "rgb48le" if picture.dtype == np.uint16 else "rgb24"
            frame = av.VideoFrame.from_ndarray(picture, format=source)
            frame.pts = index if times is None else round(times[index] / time_base)
            frame.time_base = time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
