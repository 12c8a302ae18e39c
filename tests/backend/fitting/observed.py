"""What an aligner without bias would see of a known performance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.fitting import Observations
from backend.head_model.model import HeadModel, posed_vertices, surface_positions
from backend.synthesis.performance import Performance


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


def observed(head: HeadModel, truth: Performance, noise: NDArray[np.float64], sigma: float) -> Observations:
    """MediaPipe's 478 points of a performance, with ``noise`` (T,478,2) or (1,478,2) pixels added."""
    vertices = posed_vertices(head, head.neutral(truth.identity), truth.expression, truth.gaze).astype(np.float64)
    points = surface_positions(head.landmarks["mediapipe478"], head.triangles, vertices)
    rotation = Rotation.from_rotvec(truth.head_rotation).as_matrix()
    mu = pinhole(points, rotation, truth.head_translation, float(truth.focal_px[0]), truth.principal_point) + noise
    return Observations(
        landmarks="mediapipe478",
        mu=mu.astype(np.float32),
        sigma=np.full(mu.shape[:2], sigma, np.float32),
        valid=np.ones(mu.shape[:2], bool),
        image_size=truth.image_size,
        frame_rate=truth.frame_rate,
    )
