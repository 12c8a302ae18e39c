"""First guesses of a take: a head pose per frame and the cameras' places, from each view's own weak perspective."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from backend.errors import ErrorCode, UserError
from backend.fitting.observed_points import ObservedPoints
from backend.fitting.types import FitOptions, View
from backend.head_model.rigid import nearest_rotation

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Start:
    """First guesses: head poses in the world (T,3,3), (T,3); cameras [R | t] (C,3,4); focal lengths (C,) in pixels."""

    rotation: F64
    translation: F64
    world_to_camera: F64
    focal_px: F64


@dataclass(frozen=True, eq=False)
class _Poses:
    """One view's head poses in its camera's space (T,3,3), (T,3), where ``found (T,)``; ``trust (T,)`` ≥ 0."""

    found: NDArray[np.bool_]
    rotation: F64
    translation: F64
    trust: F64


def first_guess(mean: F64, points: ObservedPoints, views: Sequence[View], options: FitOptions) -> Start:
    """Start values for a fit; ``mean (N,3)`` are the observed points on the mean head, head space.

    Raises ``UserError`` ``views_apart`` where an unknown camera sees the face in no frame that is synchronised with one
    of another.
    """
    focal = np.array([_supposed_focal(v, options) for v in views])
    poses = [_view_poses(mean, points, view, f) for view, f in zip(views, focal, strict=True)]
    extrinsics = _camera_poses(views, poses, options)
    rotation, translation, found = _in_world(poses, extrinsics)
    rotation, translation = bridge(found, rotation[found], translation[found])
    return Start(rotation, translation, extrinsics, focal)


def _supposed_focal(view: View, options: FitOptions) -> float:
    camera = view.camera
    told = camera.focal_told.focal_px if camera.focal_told else options.usual_focal * max(view.alignment.image_size)
    return camera.focal_px or told


def _view_poses(mean: F64, points: ObservedPoints, view: View, focal: float) -> _Poses:
    alignment = view.alignment
    found = alignment.tells_pose
    frames = len(found)
    rotation, translation = np.tile(np.eye(3), (frames, 1, 1)), np.zeros((frames, 3))
    trust = np.zeros(frames)
    if found.any():
        (mu,), (precision,) = points.stacked([view])
        width, height = alignment.image_size
        weight = precision[found].astype(np.float64)
        centre = view.camera.principal_point or (width / 2, height / 2)
        rotation[found], translation[found] = initial_poses(
            mean, mu[found].astype(np.float64), weight, float(focal), centre
        )
        # Weak perspective tells frontal faces best, and sharply seen ones.
        trust[found] = np.sqrt(weight.sum(1)) * np.abs(rotation[found, 2, 2]) ** 2 + 1e-9
    return _Poses(found, rotation, translation, trust)


def _camera_poses(views: Sequence[View], poses: list[_Poses], options: FitOptions) -> F64:
    """World-to-camera matrices (C,3,4): the known ones as they are, the others by the poses they share."""
    posed: dict[int, F64] = {}
    known = {j: view.camera.world_to_camera for j, view in enumerate(views)}
    for j, matrix in known.items():
        if matrix is not None:
            posed[j] = np.array(matrix, np.float64)
    if not posed:
        posed[0] = np.eye(3, 4)
    elif not options.metric_cameras and len(posed) > 1:
        scale = _rig_scale(posed, poses)
        for matrix in posed.values():
            matrix[:, 3] *= scale
    while len(posed) < len(views):
        pairs = [
            (int((poses[i].found & poses[j].found).sum()), i, j)
            for i in posed
            for j in range(len(views))
            if j not in posed
        ]
        shared, i, j = max(pairs, key=lambda pair: (pair[0], -pair[1], -pair[2]))
        if not shared:
            raise UserError(
                ErrorCode.VIEWS_APART,
                f"View {j + 1} of {len(views)} never shows the face in a frame synchronised with one of another view.",
                "Check the views' offsets, or give a calibration.",
            )
        posed[j] = _relative(poses[i], poses[j], posed[i])
    return np.stack([posed[j] for j in range(len(views))])


def _relative(known: _Poses, other: _Poses, extrinsics: F64) -> F64:
    """(3,4) of the other camera, from the head poses that both saw: other⁻¹ of the known one, averaged over frames."""
    shared = known.found & other.found
    weight = np.minimum(known.trust, other.trust)[shared]
    between = other.rotation[shared] @ known.rotation[shared].transpose(0, 2, 1)
    rotation = _mean_rotation(between, weight)
    shift = other.translation[shared] - known.translation[shared] @ rotation.T
    translation = (weight[:, None] * shift).sum(0) / weight.sum()
    return np.concatenate([rotation @ extrinsics[:, :3], (rotation @ extrinsics[:, 3] + translation)[:, None]], axis=1)


def _mean_rotation(rotations: F64, weight: F64) -> F64:
    """The rotation (…,3,3) closest to a weighted sum over the axis before the last two."""
    return nearest_rotation((weight[..., None, None] * rotations).sum(-3))


def _in_world(poses: list[_Poses], extrinsics: F64) -> tuple[F64, F64, NDArray[np.bool_]]:
    """Head poses in the world, averaged over the views that saw each frame by how far they are to be trusted."""
    turn = extrinsics[:, None, :, :3].transpose(0, 1, 3, 2)
    rotation = turn @ np.stack([p.rotation for p in poses])
    shift = np.stack([p.translation for p in poses]) - extrinsics[:, None, :, 3]
    translation = (turn @ shift[..., None])[..., 0]
    trust = np.stack([p.trust for p in poses])
    found = trust.sum(0) > 0
    trust[:, ~found] = 1.0
    share = trust / trust.sum(0)
    return (
        _mean_rotation(rotation.swapaxes(0, 1), share.T),
        (share[..., None] * translation).sum(0),
        found,
    )


def _rig_scale(posed: dict[int, F64], poses: list[_Poses]) -> float:
    """Metres per unit of a rig's extrinsics: heads are of a known size, so each view knows its distance from them.

    With h_j the head in camera j and w its place in the world, R_j w + s t_j = h_j for every view; least squares over
    all frames, w eliminated. Raises ``UserError`` ``rig_scale`` where no two views see the face at once.
    """
    top = bottom = 0.0
    for t in range(len(poses[0].found)):
        seen = [j for j in posed if poses[j].found[t]]
        if len(seen) < 2:
            continue
        centre = np.stack([posed[j][:, :3].T @ posed[j][:, 3] for j in seen])
        head = np.stack([posed[j][:, :3].T @ poses[j].translation[t] for j in seen])
        centre, head = centre - centre.mean(0), head - head.mean(0)
        top += float((centre * head).sum())
        bottom += float((centre * centre).sum())
    if top <= 0 or not math.isfinite(top / max(bottom, 1e-30)):
        raise UserError(
            ErrorCode.RIG_SCALE,
            "The calibration's scale is unconstrained: no two calibrated views show the face in synchronised frames.",
            "Give the unit of the calibration, or check the views' offsets.",
        )
    return top / bottom


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
