"""The jaw's outline in a take's points as a term of the energy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from backend.fitting.cameras import CameraUnknowns
from backend.fitting.observed_mediapipe import mediapipe_points
from backend.fitting.observed_points import ObservedPoints
from backend.fitting.point_basis import PointBasis
from backend.fitting.terms.outline import OutlineTerm
from backend.fitting.types import View
from backend.observations.jaw_outline import JawOutline


def outline_term(
    basis: PointBasis,
    points: ObservedPoints,
    views: Sequence[View],
    outline: JawOutline,
    robust_scale: float,
    unknowns: CameraUnknowns,
) -> OutlineTerm | None:
    """E_outline of what ``views`` saw; None where none of them was aligned by MediaPipe's networks."""
    told = mediapipe_points(basis, points, views)
    if told is None:
        return None

    def tensor(arrays: Sequence[NDArray[np.float64]]) -> torch.Tensor:
        return torch.as_tensor(np.stack(arrays), device=basis.skin.device)

    return OutlineTerm(
        points=told.skin(outline.points),
        position=tensor([outline.positions(seen) for seen in told.seen]),
        normal=tensor([outline.normals(seen) for seen in told.seen]),
        precision=tensor([outline.precision(seen) for seen in told.seen]),
        robust_scale=robust_scale,
        unknowns=unknowns,
    )
