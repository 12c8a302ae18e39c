"""The turned square of an image that a face network looks at, and how it is cut out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

CROP = 192  # px; the network's input is square


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


def cut(image: NDArray[np.uint8], crop: Crop) -> NDArray[np.uint8]:
    """The crop's pixels (size,size,3), black outside the image; averaged, not skipped, where the image is finer."""
    affine = crop.to_image
    shrink = crop.side / crop.size
    if shrink > 1.5:
        image, affine = _shrunk(image, crop, affine, shrink)
    # OpenCV counts from pixel centres, DESIGN §3 from the image's corner.
    affine = affine.copy()
    affine[:, 2] += affine[:, :2] @ (0.5, 0.5) - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(image, affine, (crop.size, crop.size), flags=flags), np.uint8)


def _shrunk(
    image: NDArray[np.uint8], crop: Crop, affine: NDArray[np.float64], shrink: float
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The part of the image that the crop sees at about the crop's own resolution, and the map into that part."""
    height, width = image.shape[:2]
    reach = crop.side * 0.75
    left, right = max(0, int(crop.x - reach)), min(width, int(crop.x + reach) + 1)
    top, bottom = max(0, int(crop.y - reach)), min(height, int(crop.y + reach) + 1)
    if right - left < 2 or bottom - top < 2:
        return image, affine
    size = max(1, round((right - left) / shrink)), max(1, round((bottom - top) / shrink))
    part = cv2.resize(image[top:bottom, left:right], size, interpolation=cv2.INTER_AREA)
    scale = np.array([size[0] / (right - left), size[1] / (bottom - top)])
    moved = affine.copy()
    moved[:, 2] -= (left, top)
    return np.asarray(part, np.uint8), moved * scale[:, None]
