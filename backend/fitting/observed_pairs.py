"""The pairs of a take's points as a term of the energy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from backend.fitting.cameras import CameraUnknowns
from backend.fitting.observed_points import ObservedPoints
from backend.fitting.point_basis import PointBasis
from backend.fitting.terms.pairs import PairsTerm
from backend.fitting.terms.rows import SkinPoints
from backend.fitting.types import EnergyWeights, View
from backend.observations import PointSetId
from backend.observations.point_pairs import PairTable

TOLD = PointSetId("mediapipe478", "mediapipe")
"""The points whose errors the table was measured on."""


def pairs_term(
    basis: PointBasis,
    points: ObservedPoints,
    views: Sequence[View],
    table: PairTable,
    weights: EnergyWeights,
    unknowns: CameraUnknowns,
) -> PairsTerm | None:
    """E_pairs of what ``views`` saw, each pair counted ``weights.pairs`` times.

    None where none of them was aligned by MediaPipe's networks.
    """
    ids = [own.id for own in points.sets]
    if TOLD not in ids:
        return None
    number = ids.index(TOLD)
    start = sum(own.count for own in points.sets[:number])
    seen = [points.in_view(view)[number] for view in views]
    device = basis.skin.device

    def skin(index: NDArray[np.int64]) -> SkinPoints:
        return SkinPoints(basis.skin[torch.searchsorted(basis.skin_index, torch.as_tensor(start + index).to(device))])

    return PairsTerm(
        first=skin(table.first),
        second=skin(table.second),
        difference=torch.as_tensor(np.stack([table.difference(s) for s in seen]), device=device),
        precision=weights.pairs * torch.as_tensor(np.stack([table.precision(s) for s in seen]), device=device),
        robust_scale=weights.robust_scale,
        unknowns=unknowns,
    )
