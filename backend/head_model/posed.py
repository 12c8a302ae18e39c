"""A head before a camera."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.cameras.distortion import Lens

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PosedHead:
    """A head before an ideal pinhole: ``vertices (V,3)``, metres in camera space.

    ``lens`` is what the real camera bends (None: nothing).
    """

    vertices: NDArray[np.floating[Any]]
    focal_px: float
    principal_point: tuple[float, float]
    lens: Lens | None = None

    def project(self, points: F64) -> F64:
        """Pixels (n,2) of the ideal pinhole of points (n,3) in camera space."""
        return points[:, :2] / points[:, 2:] * self.focal_px + np.array(self.principal_point)
