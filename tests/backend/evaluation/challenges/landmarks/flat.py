"""A flat mesh whose iBUG-68 points lie where a test wants them, and annotation with distances that are easily told."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.types import MeshSequence

F64 = NDArray[np.float64]

FOCAL, SIDE = 500.0, 400


def face_points() -> F64:
    """(68,2) pixels.

    The jaw is a straight line of 17 points, 10 px apart; outer eye corners are 100 px apart, the eyes' middles 60: each
    eye's other five points lie on one place, (6·60 − 100) / 5 = 52 px from the other eye's.
    """
    points = np.random.default_rng(4).uniform(60, 340, (68, 2))
    points[:17] = np.stack([100 + 10 * np.arange(17), np.full(17, 300.0)], axis=1)
    points[36:42], points[42:48] = [174.0, 150.0], [226.0, 150.0]
    points[36], points[45] = [150.0, 150.0], [250.0, 150.0]
    return points


def flat_mesh(points: F64, *, turned_away: Sequence[int] = (), tracked: Sequence[bool] | None = None) -> MeshSequence:
    """A mesh of T frames with landmarks at ``points (T,68,2)``: a small triangle each, in a plane before the camera.

    Those ``turned_away`` have theirs the other way round. It ends at each triangle's edges.
    """
    count = len(points)
    corners = points[:, :, None] + np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    flat = (corners.reshape(count, -1, 2) - SIDE / 2) / FOCAL
    vertices = np.concatenate([flat, np.ones((*flat.shape[:2], 1))], axis=2)
    triangles = np.arange(3 * 68, dtype=np.int32).reshape(68, 3)
    away = list(turned_away)
    triangles[away] = triangles[away][:, [0, 2, 1]]
    return MeshSequence(
        vertices=vertices.astype(np.float32),
        triangles=triangles,
        focal_px=np.full(count, FOCAL),
        principal_point=np.full(2, SIDE / 2),
        image_size=(SIDE, SIDE),
        frame_rate=25.0,
        tracked=np.ones(count, bool) if tracked is None else np.array(tracked),
        landmarks68=(np.arange(68, dtype=np.int32), np.tile(np.array([[1, 0, 0]], np.float32), (68, 1))),
    )
