"""The points that an aligner without bias would see of a known performance."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.head_model.model import HeadModel, posed_vertices, surface_positions
from backend.observations import PointSet, ViewAlignment
from backend.synthesis.performance import Performance


def view_of(
    point_set: str,
    mu: NDArray[np.floating[Any]],
    sigma: NDArray[np.floating[Any]],
    valid: NDArray[np.bool_],
    image_size: tuple[int, int],
    frame_rate: float = 30.0,
    lid_closure: NDArray[np.float32] | None = None,
) -> ViewAlignment:
    """A view in which one point set was seen."""
    seen = PointSet.of(point_set, mu.astype(np.float32), sigma.astype(np.float32), valid)
    return ViewAlignment.of(seen, image_size=image_size, frame_rate=frame_rate, lid_closure=lid_closure)


def changed(seen: ViewAlignment, **arrays: NDArray[Any]) -> ViewAlignment:
    """The same view with other arrays in its one point set."""
    (only,) = seen.point_sets
    return replace(seen, point_sets=(replace(only, **arrays),))


def pinhole(
    points: NDArray[np.float64],
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
    focal: float,
    centre: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Pixels (T,N,2) of points (T,N,3) in head space."""
    camera = np.einsum("tij,tvj->tvi", rotation, points) + translation[:, None]
    return camera[..., :2] / camera[..., 2:] * focal + centre


def observed(head: HeadModel, truth: Performance, noise: NDArray[np.float64], sigma: float) -> ViewAlignment:
    """MediaPipe's 478 points of a performance, with ``noise`` (T,478,2) or (1,478,2) pixels added."""
    vertices = posed_vertices(head, head.neutral(truth.identity), truth.expression, truth.gaze).astype(np.float64)
    points = surface_positions(head.landmarks["mediapipe478"], head.triangles, vertices)
    rotation = Rotation.from_rotvec(truth.head_rotation).as_matrix()
    mu = pinhole(points, rotation, truth.head_translation, float(truth.focal_px[0]), truth.principal_point) + noise
    every, seen = np.full(mu.shape[:2], sigma), np.ones(mu.shape[:2], bool)
    return view_of("mediapipe478", mu, every, seen, truth.image_size, truth.frame_rate)
