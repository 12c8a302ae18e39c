"""What all views together say of a take's lids, as a term of the energy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from backend.fitting.point_basis import PointBasis
from backend.fitting.terms.lids import LidClosure
from backend.fitting.types import View
from backend.head_model.lids import LID_PAIRS
from backend.observations import ViewAlignment

F64 = NDArray[np.float64]


def lid_closure_term(views: Sequence[View], basis: PointBasis, weight: float) -> LidClosure | None:
    """What ``views`` saw of the lids; None where nobody saw them close, or the head has no blink.

    Of lids that are hardly closed their points tell better how far: ``weight`` counts by the closure's sixth power.
    """
    told = np.nan_to_num(told_closure(views))
    if basis.closure is None or not told.any():
        return None

    def tensor(array: F64) -> torch.Tensor:
        return torch.as_tensor(array, dtype=torch.float64, device=basis.prior.device)

    return LidClosure(basis.closure, tensor(told), tensor(weight * told**6))


def told_closure(views: Sequence[View]) -> F64:
    """(T,2) the mean of what the views say of each eye's closure, by how well they see it; NaN where none does.

    An eye that no view sees closes with the other one.
    """
    frames = views[0].alignment.frame_count
    total, weight = np.zeros((frames, 2)), np.zeros((frames, 2))
    for view in views:
        told = view.alignment.lid_closure
        if told is None:
            continue
        seen = np.isfinite(told) & view.alignment.tells_pose[:, None]
        own = np.where(seen, _sharpness(view.alignment), 0)
        total += own * np.where(seen, told, 0)
        weight += own
    with np.errstate(invalid="ignore"):
        closure = np.where(weight > 0, total / weight, np.nan)
    return np.where(np.isfinite(closure), closure, closure[:, ::-1])


def _sharpness(view: ViewAlignment) -> F64:
    """(T,2) how well a view sees the (left, right) lids: 1/σ² of their points in units of the face's size; else 1."""
    for seen in view.point_sets:
        if seen.mu.shape[1] == 478:
            where = np.where(seen.valid[..., None], seen.mu.astype(np.float64), np.nan)
            found = seen.valid.any(axis=1)
            size = np.ones((len(found), 1))
            size[found, 0] = np.linalg.norm(np.nanmax(where[found], 1) - np.nanmin(where[found], 1), axis=-1)
            sides = [seen.sigma[:, np.array(pairs).ravel()].astype(np.float64).mean(axis=1) for pairs in LID_PAIRS]
            return np.asarray((size / np.stack(sides, axis=1)) ** 2)
    return np.ones((view.frame_count, 2))
