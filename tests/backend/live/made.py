"""A person who performs, and what an aligner would see of them: points where the truth has them, exactly."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from backend.head_model.model import HeadModel, posed_vertices, surface_positions
from backend.live.frame_basis import POINTS
from backend.live.person import Person
from backend.observations import Alignment, FaceBox, PointSet, PointSetId
from backend.synthesis.performance import Performance


def person_of(head: HeadModel, truth: Performance) -> Person:
    """The one of a performance, before its camera."""
    return Person(
        head=head,
        identity=truth.identity,
        focal_px=float(truth.focal_px[0]),
        principal_point=(float(truth.principal_point[0]), float(truth.principal_point[1])),
        image_size=truth.image_size,
        deformation=np.zeros((0, 3), np.float32),
        action_corrections=np.zeros((0, 0, 3), np.float32),
    )


def seen_in(head: HeadModel, truth: Performance, sigma: float = 1.0) -> list[Alignment]:
    """MediaPipe's points of every frame, each where it is; no network told of any action."""
    neutral = head.neutral(truth.identity)
    posed = posed_vertices(head, neutral, truth.expression, truth.gaze)
    points = surface_positions(head.landmarks[POINTS], head.triangles, posed).astype(np.float64)
    turn = Rotation.from_rotvec(truth.head_rotation).as_matrix()
    there = points @ turn.transpose(0, 2, 1) + truth.head_translation[:, None]
    mu = there[..., :2] / there[..., 2:] * truth.focal_px[:, None, None] + truth.principal_point
    found = []
    for own in mu:
        low, high = own.min(axis=0), own.max(axis=0)
        box = FaceBox(float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]), 1.0)
        seen = PointSet(
            PointSetId(POINTS, "mediapipe"),
            own.astype(np.float32),
            np.full(len(own), sigma, np.float32),
            np.ones(len(own), bool),
        )
        found.append(Alignment((seen,), box))
    return found
