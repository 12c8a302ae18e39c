"""What a view saw of a face from the front, laid onto the mean head: points without the pose that a fit found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.fitting.types import FitResult, View
from backend.head_model.dense_points import joined_points
from backend.head_model.model import HeadModel, SurfacePoints

F64 = NDArray[np.float64]
Bools = NDArray[np.bool_]

POINTS = 440
"""The points that are looked at, about: the default aligner's without lids and irises; of more, every few."""
SEEN_OFTEN = 0.95  # the share of the frames in which a point must be valid
RESTLESS = ("lids", "left_eyeball", "right_eyeball", "eye_sockets")
"""The regions that no rest holds still: eyes look and blink."""
FRONTAL = np.radians(25.0)
"""The yaw and pitch up to which points in a picture tell shape and expression apart as in a portrait."""


@dataclass(frozen=True, eq=False)
class FacesSeen:
    """N surface points as one view saw them in n frames, in head space.

    ``offsets (n,N,2)`` metres from the mean head across the line of sight, ``sigma (N,)`` metres, ``home (N,3)`` where
    they lie on the mean head and ``shapes (K,N,3)`` how the identity moves them.
    """

    offsets: F64
    sigma: F64
    home: F64
    shapes: F64


OPEN_BELOW = 0.5
"""The closure below which lids count as open; one that is not seen closes nothing."""


def rotation_in_view(fit: FitResult, view: int) -> F64:
    """(T,3,3) from head space to a camera's."""
    return np.einsum("ij,tjk->tik", fit.cameras[view].world_to_camera[:, :3], fit.head_rotation)


def frontal(view: View, fit: FitResult, number: int) -> Bools:
    """(T,) frames in which a view, ``number`` of the fit, shows the face from the front with open eyes."""
    rotation = rotation_in_view(fit, number)
    yaw = np.arctan2(rotation[:, 0, 2], -rotation[:, 2, 2])
    pitch = np.arcsin(np.clip(rotation[:, 1, 2], -1.0, 1.0))
    alignment = view.alignment
    found = alignment.tells_pose & (np.abs(yaw) < FRONTAL) & (np.abs(pitch) < FRONTAL)
    closure = alignment.lid_closure
    return found if closure is None else found & ~(closure > OPEN_BELOW).any(axis=1)


def faces_seen(
    head: HeadModel, view: View, fit: FitResult, number: int, frames: NDArray[np.int64], components: int
) -> FacesSeen:
    """What a view saw in ``frames (n,)``, each point at the depth at which the fit has it.

    ``components`` of the identity are told of; a point that a frame does not show lies where the fit puts it.
    """
    sets = view.alignment.point_sets
    surface = joined_points(*(s.surface_points(head.landmarks) for s in sets))
    valid = np.concatenate([s.valid[frames] for s in sets], axis=1)
    used = np.flatnonzero(_still(head, surface) & (valid.mean(axis=0) >= SEEN_OFTEN))
    used = used[:: max(1, len(used) // POINTS)]
    corners, share = head.triangles[surface.triangle[used]], surface.barycentric[used].astype(np.float64)

    def at_points(fields: NDArray[np.floating[Any]]) -> F64:
        return np.asarray(np.einsum("nc,...ncd->...nd", share, fields[..., corners, :].astype(np.float64)))

    home, shapes = at_points(head.template), at_points(head.shape_basis[:components])
    own = home + np.tensordot(fit.identity[:components], shapes, 1) + at_points(fit.deformation)
    posed = own + np.tensordot(fit.expression[frames], at_points(head.expression_basis), 1)
    camera, rotation = fit.cameras[number], rotation_in_view(fit, number)[frames]
    shift = fit.head_translation[frames] @ camera.world_to_camera[:, :3].T + camera.world_to_camera[:, 3]
    there = posed @ rotation.transpose(0, 2, 1) + shift[:, None]
    metres_per_px = there[..., 2:] / camera.focal_px
    image = there[..., :2] / metres_per_px + np.asarray(camera.principal_point)
    mu, sigma = view.alignment.mu[frames][:, used], view.alignment.sigma[frames][:, used]
    across = np.where(valid[:, used, None], mu - image, 0.0) * metres_per_px
    back = np.einsum("tnj,tji->tni", across, rotation[:, :2])
    return FacesSeen(
        offsets=(posed + back - home)[..., :2],
        sigma=np.median(sigma * metres_per_px[..., 0], axis=0),
        home=home,
        shapes=shapes,
    )


def _still(head: HeadModel, surface: SurfacePoints) -> Bools:
    """(N,) the points on the part of the face that a rest holds still."""
    still = head.regions["face"].copy()
    for name in RESTLESS:
        if name in head.regions:
            still &= ~head.regions[name]
    return np.asarray(still[head.triangles[surface.triangle]].all(axis=1))
