"""Head rotation and focal length against the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.evaluation.types import MeshSequence
from backend.head_model.rigid import similarity_between

F64 = NDArray[np.float64]

_REWEIGHTINGS = 8


@dataclass(frozen=True, eq=False)
class RotationError:
    """Angles in degrees over the frames that count; ``per_frame (T,)`` and ``aligned_per_frame (T,)`` NaN elsewhere.

    ``mean`` is the angle between the two rotations; ``aligned_mean`` the same after taking out the mean difference,
    which a tracker may put into the shape instead (where is "straight ahead"?).
    """

    mean: float
    aligned_mean: float
    per_frame: F64
    aligned_per_frame: F64


def rotation_error(truth: F64, predicted: F64, tracked: NDArray[np.bool_] | None = None) -> RotationError:
    """Geodesic distance between head rotations (T,3,3), head space to camera space:

        e_t = ∠(R̂_t R_tᵀ),   aligned: e_t = ∠(R̂_t (R_t D)ᵀ) with D the mean of R_tᵀ R̂_t

    The offset D is one turn in head space for the whole take. Frames with NaN or not ``tracked (T,)`` do not count.
    """
    used = np.isfinite(truth).all(axis=(1, 2)) & np.isfinite(predicted).all(axis=(1, 2))
    if tracked is not None:
        used &= tracked
    frames = [np.full(len(truth), np.nan), np.full(len(truth), np.nan)]
    if not used.any():
        return RotationError(float("nan"), float("nan"), frames[0], frames[1])
    true, found = Rotation.from_matrix(truth[used]), Rotation.from_matrix(predicted[used])
    offset = (true.inv() * found).mean()
    frames[0][used] = np.rad2deg((found * true.inv()).magnitude())
    frames[1][used] = np.rad2deg((found * (true * offset).inv()).magnitude())
    return RotationError(float(frames[0][used].mean()), float(frames[1][used].mean()), frames[0], frames[1])


def head_rotations(sequence: MeshSequence) -> F64:
    """(T,3,3) how the head is turned in each frame, NaN where it is lost, from the mesh alone.

    The rotation of a robust similarity (Procrustes, Geman–McClure weights from the median residual) from the person's
    neutral head to the frame's vertices, so that what the expression moves does not count. Without a neutral head the
    first tracked frame stands in: then only the rotation error after taking out the offset means anything.
    """
    good = sequence.tracked & np.isfinite(sequence.vertices).all(axis=(1, 2))
    rotations = np.full((sequence.frame_count, 3, 3), np.nan)
    if not good.any():
        return rotations
    reference = sequence.vertices[good][0] if sequence.neutral is None else sequence.neutral
    for frame in np.flatnonzero(good):
        target = sequence.vertices[frame].astype(np.float64)
        weights = np.ones(len(target))
        for _ in range(_REWEIGHTINGS):
            motion = similarity_between(reference, target, weights)
            residual = np.linalg.norm(motion.apply(reference) - target, axis=1)
            scale = max(float(np.median(residual)), 1e-9)
            weights = 1.0 / (1.0 + (residual / scale) ** 2) ** 2
        rotations[frame] = motion.rotation
    return rotations


def focal_error(
    truth_px: NDArray[np.floating[Any]], predicted_px: NDArray[np.floating[Any]], tracked: NDArray[np.bool_]
) -> float:
    """Mean over tracked frames of |f̂_t / f_t − 1|; both (T,) in pixels. NaN where nothing was tracked."""
    used = tracked & np.isfinite(predicted_px)
    return float(np.abs(predicted_px[used] / truth_px[used] - 1).mean()) if used.any() else float("nan")


@dataclass(frozen=True, eq=False)
class CameraErrors:
    """Errors of C cameras, NaN for those that were not found.

    How far each is turned, degrees, and how far it stands from its true place, in per cent of its true distance from
    what it looks at.
    """

    rotation_deg: F64
    position_percent: F64


def camera_errors(truth: F64, found: F64, target: F64) -> CameraErrors:
    """Errors of cameras ``found (C,3,4)`` = [R | t], which live in a world of their own, against ``truth (C,3,4)``:

        e_j = ∠(R̂_j Gᵀ R_jᵀ),   p_j = ‖s G ĉ_j + h − c_j‖ / ‖c_j − target‖,   c_j = −R_jᵀ t_j

    Nothing tells the two worlds' relation (the gauge), so G is the mean of R_jᵀ R̂_j and s, h lay the centres onto each
    other in the least-squares sense. ``target (3,)`` in the true world. Positions are NaN with fewer than two cameras.
    """
    seen = np.isfinite(found).all(axis=(1, 2))
    rotation, position = np.full(len(truth), np.nan), np.full(len(truth), np.nan)
    if not seen.any():
        return CameraErrors(rotation, position)
    true, guess = Rotation.from_matrix(truth[seen, :, :3]), Rotation.from_matrix(found[seen, :, :3])
    gauge = (true.inv() * guess).mean()
    rotation[seen] = np.rad2deg((guess * gauge.inv() * true.inv()).magnitude())
    if seen.sum() > 1:
        centre = -true.inv().apply(truth[seen, :, 3])
        placed = gauge.apply(-guess.inv().apply(found[seen, :, 3]))
        spread, own = centre - centre.mean(axis=0), placed - placed.mean(axis=0)
        scale = max((spread * own).sum() / (own**2).sum(), 0.0)
        away = np.linalg.norm(scale * own - spread, axis=1)
        position[seen] = 100 * away / np.linalg.norm(centre - target, axis=1)
    return CameraErrors(rotation, position)
