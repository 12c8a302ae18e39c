"""The distance of a track from a performance that is known. Pure numerics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.head_model.model import HeadModel, gaze_rotation, surface_positions
from backend.synthesis.performance import Performance, world_vertices
from backend.track.geometry import seen_vertices
from backend.track.types import Track

F64 = NDArray[np.float64]

OUTER_EYE_CORNERS = (36, 45)  # in iBUG-68


@dataclass(frozen=True)
class TruthReport:
    """Distances between a track and the truth, over the frames that were tracked.

    ``vertex_error_percent_iod``: mean distance in the image between the two heads' face vertices, in % of the
    inter-ocular distance (outer eye corners of the true neutral, seen frontally at the head's depth).
    ``rotation_error_degrees``: mean angle between the two head rotations; ``rotation_error_aligned_degrees``: the same
    after taking out the mean difference, which a tracker may put into the shape instead (where is "straight ahead"?).
    ``gaze_error_degrees``: mean angle between the eyes' directions in the world. ``focal_ratio``: tracked over true.
    """

    frames: int
    vertex_error_percent_iod: float
    rotation_error_degrees: float
    rotation_error_aligned_degrees: float
    gaze_error_degrees: float
    focal_ratio: float


def compare(head: HeadModel, truth: Performance, track: Track) -> TruthReport:
    """Measure ``track`` against ``truth``; both speak of ``head``, and frame i of one is frame i of the other.

    Raises ValueError where the two differ in length or nothing was tracked.
    """
    if len(track.expression) != truth.frame_count:
        raise ValueError(f"the track has {len(track.expression)} frames and the truth {truth.frame_count}")
    if not track.tracked.any():
        raise ValueError("no frame of the track is tracked")
    used = np.flatnonzero(track.tracked)
    tracked_rotation, true_rotation = (
        Rotation.from_rotvec(r[used]) for r in (track.head_rotation, truth.head_rotation)
    )
    difference = tracked_rotation * true_rotation.inv()
    offset = (true_rotation.inv() * tracked_rotation).mean()
    aligned = tracked_rotation * (true_rotation * offset).inv()
    return TruthReport(
        frames=len(used),
        vertex_error_percent_iod=float(_vertex_errors(head, truth, track)[used].mean()),
        rotation_error_degrees=float(np.rad2deg(difference.magnitude()).mean()),
        rotation_error_aligned_degrees=float(np.rad2deg(aligned.magnitude()).mean()),
        gaze_error_degrees=float(_gaze_errors(truth, track)[used].mean()),
        focal_ratio=float(np.mean(track.cameras[0].focal_px[used] / truth.focal_px[used])),
    )


def inter_ocular_px(head: HeadModel, truth: Performance) -> F64:
    """(T,) distance of the outer eye corners of the true neutral, seen frontally at their depth, in pixels."""
    neutral = head.neutral(truth.identity).astype(np.float64)
    corners = surface_positions(head.landmarks["ibug68"], head.triangles, neutral)[list(OUTER_EYE_CORNERS)]
    rotation = Rotation.from_rotvec(truth.head_rotation)
    depth = rotation.apply(corners.mean(axis=0))[:, 2] + truth.head_translation[:, 2]
    return np.linalg.norm(corners[0] - corners[1]) * truth.focal_px / depth


def project(points: NDArray[Any], focal_px: F64, principal_point: F64) -> F64:
    """Camera-space points (T,N,3) to pixels (T,N,2); ``focal_px (T,)``, ``principal_point (2,)`` or (T,2)."""
    points = np.asarray(points, np.float64)
    return points[..., :2] / points[..., 2:] * focal_px[:, None, None] + np.atleast_2d(principal_point)[:, None]


def _vertex_errors(head: HeadModel, truth: Performance, track: Track) -> F64:
    """(T,) mean distance of the face's vertices in the image, % of the inter-ocular distance."""
    face = np.flatnonzero(head.regions["face"])
    true_image = project(world_vertices(head, truth)[:, face], truth.focal_px, truth.principal_point)
    seen = seen_vertices(head, track, np.arange(len(track.frames)), vertices=face)[..., :2]
    distance = np.linalg.norm(seen - true_image, axis=-1).mean(axis=1)
    return 100.0 * distance / inter_ocular_px(head, truth)


def _gaze_errors(truth: Performance, track: Track) -> F64:
    """(T,) mean angle over both eyes between the directions they look in, in the world, degrees."""
    true_direction = _eye_directions(truth.head_rotation, truth.gaze)
    direction = _eye_directions(track.head_rotation, track.gaze)
    cosine = np.clip(np.sum(true_direction * direction, axis=-1), -1.0, 1.0)
    return np.rad2deg(np.arccos(cosine)).mean(axis=1)


def _eye_directions(head_rotation: F64, gaze: NDArray[Any]) -> F64:
    """(T,2,3) unit vectors in world space."""
    rotation = Rotation.from_rotvec(np.array(head_rotation)).as_matrix()  # a copy: scipy refuses read-only arrays
    return np.einsum("tij,tsj->tsi", rotation, gaze_rotation(gaze)[..., 2])
