"""The eight ways in which a stored picture can lie, from EXIF tags and display matrices. Pure.

A picture is displayed by mirroring it left to right where ``mirrored``, then turning it clockwise by ``degrees``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Orientation(NamedTuple):
    """How a stored picture becomes the displayed one: mirrored first, then turned clockwise by ``degrees``."""

    mirrored: bool = False
    degrees: int = 0  # 0, 90, 180 or 270

    @property
    def sideways(self) -> bool:
        """True where width and height change places."""
        return self.degrees % 180 != 0


UPRIGHT = Orientation()

_EXIF = {
    1: UPRIGHT,
    2: Orientation(True, 0),
    3: Orientation(False, 180),
    4: Orientation(True, 180),
    5: Orientation(True, 270),
    6: Orientation(False, 90),
    7: Orientation(True, 90),
    8: Orientation(False, 270),
}


def from_exif(value: object) -> Orientation:
    """The orientation of EXIF's and TIFF's tag 274; upright for what is none of its values."""
    return _EXIF.get(value, UPRIGHT) if isinstance(value, int) else UPRIGHT


def from_matrix(matrix: NDArray[np.int32]) -> Orientation:
    """The orientation nearest to a display matrix (3,3): FFmpeg's av_display_rotation, ISO 14496-12's tkhd matrix.

    A stored point (x, y), y down, is displayed at (a·x + c·y, b·x + d·y) with [[a, b], [c, d]] the matrix's corner.
    """
    (a, b), (c, d) = matrix[:2, :2].astype(np.float64)
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    # Both columns of a turn by θ say (cos θ, sin θ); their sum is least disturbed by what is no exact turn.
    degrees = round(float(np.degrees(np.arctan2(b - c, a + d))) / 90) * 90 % 360
    return Orientation(bool(mirrored), degrees)


def displayed(image: NDArray[np.uint8], orientation: Orientation) -> NDArray[np.uint8]:
    """The picture (H,W,…) as displayed, contiguous."""
    if orientation.mirrored:
        image = image[:, ::-1]
    return np.ascontiguousarray(np.rot90(image, -(orientation.degrees // 90)) if orientation.degrees else image)
