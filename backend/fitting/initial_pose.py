"""First head poses: an affine camera per frame, made orthogonal. Needs no start value and knows no mirror pose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

F64 = NDArray[np.float64]

# How far (in standard deviations of a frame's affine residual) a point may lie before the second pass drops it.
OUTLIER = 2.5


def _affine(points: F64, image: F64, weight: F64) -> F64:
    """Weighted least-squares affine cameras (T,2,4) from head points (N,3) to image points (T,N,2)."""
    homogeneous = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    normal = np.einsum("tn,ni,nj->tij", weight, homogeneous, homogeneous)
    right = np.einsum("tn,ni,tnc->tic", weight, homogeneous, image)
    scale = np.maximum(np.trace(normal, axis1=1, axis2=2), 1e-12)[:, None, None]
    return np.linalg.solve(normal + 1e-9 * scale * np.eye(4), right).transpose(0, 2, 1)


def initial_poses(
    points: F64, mu: F64, weight: F64, focal: float, principal_point: tuple[float, float]
) -> tuple[F64, F64]:
    """Head poses of frames that have points: rotations (T,3,3) and translations (T,3), head to camera space.

    ``points (N,3)`` head space, metres; ``mu (T,N,2)`` pixels; ``weight (T,N)`` ≥ 0. A weak-perspective camera (image
    = s·R₁₂·x + c) is fitted to each frame, twice, the second time without outliers; depth is focal/s.
    """
    for _ in range(2):
        affine = _affine(points, mu, weight)
        error = np.linalg.norm(np.einsum("tci,ni->tnc", affine[..., :3], points) + affine[:, None, :, 3] - mu, axis=-1)
        spread = np.sqrt((weight * error**2).sum(1) / np.maximum(weight.sum(1), 1e-12))
        weight = weight * (error < OUTLIER * spread[:, None] + 1e-9)
    # The closest scaled orthogonal 2×3 matrix completes to a rotation by the cross product of its rows.
    u, singular, vt = np.linalg.svd(affine[..., :3], full_matrices=False)
    rows = u @ vt
    rotation = np.concatenate([rows, np.cross(rows[:, 0], rows[:, 1])[:, None]], axis=1)
    scale = singular.mean(axis=1)
    centre = affine[..., 3]
    depth = focal / np.maximum(scale, 1e-9)
    offset = (centre - np.asarray(principal_point)) / focal * depth[:, None]
    return rotation, np.concatenate([offset, depth[:, None]], axis=1)


def bridge(found: NDArray[np.bool_], rotation: F64, translation: F64) -> tuple[F64, F64]:
    """Fill poses of frames without a face: interpolated between their neighbours, held at both ends.

    ``found (T,)`` has at least one True; ``rotation`` and ``translation`` belong to the found frames only.
    """
    index = np.flatnonzero(found)
    frames = np.clip(np.arange(len(found)), index[0], index[-1])
    filled = np.stack([np.interp(frames, index, translation[:, axis]) for axis in range(3)], axis=1)
    if len(index) == 1:
        return np.repeat(rotation, len(found), axis=0), filled
    return Slerp(index, Rotation.from_matrix(rotation))(frames).as_matrix(), filled
