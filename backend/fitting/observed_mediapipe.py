"""MediaPipe's own points among those of a take: what was measured of their errors speaks of no other aligner's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from backend.fitting.observed_points import ObservedPoints
from backend.fitting.point_basis import PointBasis
from backend.fitting.terms.rows import SkinPoints
from backend.fitting.types import View
from backend.observations import PointSet, PointSetId

TOLD = PointSetId("mediapipe478", "mediapipe")
"""The points whose errors were measured."""


@dataclass(frozen=True, eq=False)
class MediaPipePoints:
    """``seen`` of each view; ``start`` is the first one's place among all observed points."""

    basis: PointBasis
    start: int
    seen: tuple[PointSet, ...]

    def skin(self, index: NDArray[np.int64]) -> SkinPoints:
        """Those of mediapipe478 at ``index``, which have to lie on skin."""
        at = torch.as_tensor(self.start + index).to(self.basis.skin.device)
        return SkinPoints(self.basis.skin[torch.searchsorted(self.basis.skin_index, at)])


def mediapipe_points(basis: PointBasis, points: ObservedPoints, views: Sequence[View]) -> MediaPipePoints | None:
    """What ``views`` saw; None where none of them was aligned by MediaPipe's networks."""
    ids = [own.id for own in points.sets]
    if TOLD not in ids:
        return None
    number = ids.index(TOLD)
    start = sum(own.count for own in points.sets[:number])
    return MediaPipePoints(basis, start, tuple(points.in_view(view)[number] for view in views))
