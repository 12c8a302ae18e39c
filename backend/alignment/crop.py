"""The turned square of an image that a face network looks at, and how it is cut out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

CROP = 256  # px; the landmark network's input is square


@dataclass(frozen=True)
class Crop:
    """A square of the image, turned: centre and side in pixels, roll in radians clockwise, optionally mirrored.

    ``size`` is how many pixels it has along a side once it is cut out.
    """

    x: float
    y: float
    side: float
    roll: float = 0.0
    mirrored: bool = False
    size: int = CROP

    @property
    def to_image(self) -> NDArray[np.float64]:
        """Affine map (2,3) from crop coordinates (0…size, corners at integers) to image pixels."""
        scale = self.side / self.size
        c, s = np.cos(self.roll) * scale, np.sin(self.roll) * scale
        turn = np.array([[-c if self.mirrored else c, -s], [-s if self.mirrored else s, c]])
        return np.column_stack([turn, np.array([self.x, self.y]) - turn @ (self.size / 2, self.size / 2)])

    def points_to_image(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Crop coordinates (…,2) as image pixels."""
        affine = self.to_image
        return points @ affine[:, :2].T + affine[:, 2]

    def points_from_image(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Image pixels (…,2) as crop coordinates."""
        affine = self.to_image
        return np.asarray((points - affine[:, 2]) @ np.linalg.inv(affine[:, :2]).T)


def alike(a: Crop, b: Crop, *, shift: float, stretch: float, turn: float) -> bool:
    """True where two crops differ by at most ``shift`` of a side, a factor ``stretch`` and ``turn`` radians."""
    side = max(a.side, b.side)
    turned = (a.roll - b.roll + np.pi) % (2 * np.pi) - np.pi
    near = np.hypot(a.x - b.x, a.y - b.y) <= shift * side
    return bool(near and side <= stretch * min(a.side, b.side) and abs(turned) <= turn)


def mirrored(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pixels (H,W,3) with left and right exchanged."""
    return np.asarray(cv2.flip(pixels, 1), np.uint8)


def cut(image: NDArray[np.uint8], crop: Crop) -> NDArray[np.uint8]:
    """The crop's pixels (size,size,3), black outside the image; averaged, not skipped, where the image is finer."""
    affine = crop.to_image
    factor = int(crop.side / crop.size)
    if factor >= 2:
        image, affine = _shrunk(image, crop, affine, factor)
    # OpenCV counts from pixel centres, DESIGN §3 from the image's corner.
    affine = affine.copy()
    affine[:, 2] += affine[:, :2] @ (0.5, 0.5) - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(image, affine, (crop.size, crop.size), flags=flags), np.uint8)


def _shrunk(
    image: NDArray[np.uint8], crop: Crop, affine: NDArray[np.float64], factor: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The part of the image that the crop sees, ``factor`` times smaller each way, and the map into that part.

    Whole factors, as averaging by those is five times as fast as by others.
    """
    height, width = image.shape[:2]
    reach = crop.side * (abs(np.cos(crop.roll)) + abs(np.sin(crop.roll))) / 2 + factor
    left, top = max(0, int(crop.x - reach)), max(0, int(crop.y - reach))
    across = (min(width, int(crop.x + reach) + 1) - left) // factor
    down = (min(height, int(crop.y + reach) + 1) - top) // factor
    if across < 2 or down < 2:
        return image, affine
    seen = image[top : top + down * factor, left : left + across * factor]
    part = cv2.resize(seen, (across, down), interpolation=cv2.INTER_AREA)
    moved = affine.copy()
    moved[:, 2] -= (left, top)
    return np.asarray(part, np.uint8), moved / factor
