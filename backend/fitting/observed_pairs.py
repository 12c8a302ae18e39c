"""The pairs of a take's points as a term of the energy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from backend.fitting.cameras import CameraUnknowns
from backend.fitting.observed_mediapipe import mediapipe_points
from backend.fitting.observed_points import ObservedPoints
from backend.fitting.point_basis import PointBasis
from backend.fitting.terms.pairs import PairsTerm
from backend.fitting.types import EnergyWeights, View
from backend.observations.point_pairs import PairTable


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
    told = mediapipe_points(basis, points, views)
    if told is None:
        return None
    device = basis.skin.device
    return PairsTerm(
        first=told.skin(table.first),
        second=told.skin(table.second),
        difference=torch.as_tensor(np.stack([table.difference(s) for s in told.seen]), device=device),
        precision=weights.pairs * torch.as_tensor(np.stack([table.precision(s) for s in told.seen]), device=device),
        robust_scale=weights.robust_scale,
        unknowns=unknowns,
    )
