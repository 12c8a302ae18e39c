"""Where a viewport that looks through a camera shows the camera's picture: moved and scaled.

A pixel is one of the view's picture as it is displayed: (0,0) is its top left corner.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .picture_lines import Eye

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Projected:
    """``origin (2,)`` is where the picture's top left is in the viewport, ``scale (2,)`` how large a pixel; from the
    viewport's bottom left and upwards, as Blender counts."""

    origin: F64
    scale: F64

    def to_region(self, pixels: NDArray[Any]) -> F64:
        """Places (n,2) in the viewport of pixels (n,2)."""
        return np.asarray(self.origin + self.scale * np.asarray(pixels, np.float64))

    def to_pixels(self, places: NDArray[Any]) -> F64:
        """Pixels (n,2) at places (n,2) of the viewport."""
        return np.asarray((np.asarray(places, np.float64) - self.origin) / self.scale)


def projected(eye: Eye, size: tuple[int, int], perspective: Any, width: int, height: int) -> Projected:
    """How a viewport of (width, height) that looks through a camera shows its picture of ``size``.

    ``perspective (4,4)`` takes the scene to the viewport's clip space, as ``RegionView3D.perspective_matrix`` does.
    """
    corners = np.array([(0.0, 0.0), size])
    clip = np.column_stack([eye.points(corners, np.ones(2)), np.ones(2)]) @ np.array(perspective, np.float64).T
    places = (clip[:, :2] / clip[:, 3:] + 1) / 2 * (width, height)
    return Projected(places[0], (places[1] - places[0]) / corners[1])
