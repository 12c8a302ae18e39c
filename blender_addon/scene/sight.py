"""What a camera sees: from a place in the scene to a pixel of its picture, to the viewport, and back.

A pixel is one of the view's picture as it is displayed: (0,0) is its top left corner. A viewport that looks through the
camera shows the same picture, moved and scaled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import axes

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sight:
    """A camera on one frame: its axes as columns (3,3) and its location (3,) in the scene, and its lens.

    ``focal_px`` and ``principal_point (2,)`` are in pixels of the picture, whose (width, height) is ``size``.
    """

    axes: F64
    location: F64
    focal_px: float
    principal_point: F64
    size: tuple[int, int]

    def pixels(self, points: NDArray[Any]) -> F64:
        """The pixels (n,2) of points (n,3) of the scene; NaN of those that are not before the camera."""
        seen = (np.asarray(points, np.float64) - self.location) @ self.axes
        depth = np.where(seen[:, 2:] < 0, -seen[:, 2:], np.nan)
        return np.asarray(self.focal_px * seen[:, :2] * (1, -1) / depth + self.principal_point)

    def rays(self, pixels: NDArray[Any]) -> F64:
        """The directions (n,3) in the scene in which pixels (n,2) are seen; each is one unit deep."""
        aside = (np.asarray(pixels, np.float64) - self.principal_point) / self.focal_px * (1, -1)
        return np.asarray(np.column_stack([aside, np.full(len(aside), -1.0)]) @ self.axes.T)

    def holds(self, pixel: tuple[float, float]) -> bool:
        """True where a pixel is within the picture."""
        return all(0 <= value <= size for value, size in zip(pixel, self.size, strict=True))


def sight_of(camera: Any, size: tuple[int, int]) -> Sight:
    """The sight of an evaluated camera object, which films pictures of (width, height) pixels.

    Its scale, which it has where its take is scaled, is none of what it sees: Blender ignores it, too.
    """
    matrix, data = np.array(camera.matrix_world.normalized(), np.float64), camera.data
    lens = axes.Lens(data.sensor_fit, data.sensor_width, data.sensor_height, data.shift_x, data.shift_y)
    focal_px, principal_point = axes.pinhole(lens, data.lens, size)
    return Sight(matrix[:3, :3], matrix[:3, 3], focal_px, np.array(principal_point), size)


@dataclass(frozen=True, eq=False)
class Projected:
    """Where a viewport shows the picture: ``origin (2,)`` of its top left and ``scale (2,)`` per pixel, from its own
    bottom left and upwards as Blender counts."""

    origin: F64
    scale: F64

    def to_region(self, pixels: NDArray[Any]) -> F64:
        """Places (n,2) in the viewport of pixels (n,2)."""
        return np.asarray(self.origin + self.scale * np.asarray(pixels, np.float64))

    def to_pixels(self, places: NDArray[Any]) -> F64:
        """Pixels (n,2) at places (n,2) of the viewport."""
        return np.asarray((np.asarray(places, np.float64) - self.origin) / self.scale)


def projected(sight: Sight, perspective: Any, width: int, height: int) -> Projected:
    """How a viewport of (width, height) that looks through the camera shows its picture.

    ``perspective (4,4)`` takes the scene to the viewport's clip space, as ``RegionView3D.perspective_matrix`` does.
    """
    corners = np.array([(0.0, 0.0), sight.size])
    points = sight.location + sight.rays(corners)
    clip = np.column_stack([points, np.ones(2)]) @ np.array(perspective, np.float64).T
    places = (clip[:, :2] / clip[:, 3:] + 1) / 2 * (width, height)
    scale = (places[1] - places[0]) / corners[1]
    return Projected(places[0], scale)
