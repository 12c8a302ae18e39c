"""The check that a network's answer can be a face at all: it always answers, also where there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.alignment.crop import Crop

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Bounds:
    """The bounds that an answer must keep to.

    ``spread`` is the median σ of the face's points over the crop's side. ``misfit`` is what an affine camera leaves of
    the mean head's face, RMS over the face's extent in the image: 0.005 to 0.011 on photographed neutral faces, at most
    0.036 on 400 random people with four actions each, turned by up to 80° and as near as 0.3 m; 0.2 to 0.4 on noise.
    ``growth`` is how much larger or smaller than it was expected the face may be, and ``away`` how far its middle may
    lie from the crop's, in sides.
    """

    spread: float = 0.05
    misfit: float = 0.08
    growth: float = 2.5
    away: float = 0.6


@dataclass(frozen=True, eq=False)
class FaceShape:
    """The mean head's face, to compare answers with. ``points (F,4)`` homogeneous, ``solve (4,F)`` their inverse."""

    points: F64
    solve: F64

    @classmethod
    def of(cls, vertices: NDArray[np.floating[Any]]) -> FaceShape:
        """From vertices (F,3) in head space."""
        points = np.column_stack([vertices.astype(np.float64), np.ones(len(vertices))])
        return cls(points, np.linalg.pinv(points))

    def misfit(self, mu: F64) -> float:
        """RMS distance of image points (F,2) from the mean face under the affine camera that suits them best, over
        their extent; infinite where that camera looks at the back of the head or sees it mirrored."""
        camera = self.solve @ mu
        extent = float(np.ptp(mu, axis=0).max())
        # Of a face turned to profile the two rows' cross product lies across; beyond, it is seen from behind.
        axis = np.cross(camera[:3, 0], camera[:3, 1])
        if extent <= 0 or axis[2] > 0.35 * np.linalg.norm(axis):
            return float("inf")
        return float(np.sqrt(np.square(self.points @ camera - mu).sum(axis=1).mean())) / extent


def plausible(bounds: Bounds, shape: FaceShape, mu: F64, spread: float, looked: Crop, laid: Crop) -> bool:
    """True where face points ``mu (F,2)`` in image pixels, seen in the crop ``looked`` with ``spread``, are a face.

    ``laid`` is the crop that suits them.
    """
    return bool(
        np.isfinite(mu).all()
        and spread <= bounds.spread
        and 1 / bounds.growth <= laid.side / looked.side <= bounds.growth
        and np.hypot(laid.x - looked.x, laid.y - looked.y) <= bounds.away * looked.side
        and shape.misfit(mu) <= bounds.misfit
    )
