"""Alignments of a take that never was: a head that performs, seen by cameras around it. Pure numerics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.fitting.types import KnownCamera, View
from backend.head_model.model import HeadModel, SurfacePoints, posed_vertices
from backend.head_model.render import vertex_normals
from backend.observations import PointSet, ViewAlignment
from backend.synthesis.performance import Performance, demo_performance

F64 = NDArray[np.float64]

EVERY_VERTEX = "every_vertex"  # the point set's name in the head's landmarks
IMAGE_SIDE = 1024
FOCAL_PX = 1400.0
MIDDLE = np.array([0.0, 0.0, 0.55])  # metres; where the demo's head moves about
LOOP = 75  # frames of the demo's performance, which begins and ends at rest


def with_every_vertex(head: HeadModel) -> HeadModel:
    """The head with one more point set: each of its vertices, as a dense aligner sees them."""
    triangle = np.zeros(head.vertex_count, np.int32)
    for corner in head.triangles.T:
        triangle[corner] = np.arange(len(head.triangles))
    barycentric = (head.triangles[triangle] == np.arange(head.vertex_count)[:, None]).astype(np.float32)
    return replace(head, landmarks={**head.landmarks, EVERY_VERTEX: SurfacePoints(triangle, barycentric)})


def looped_performance(head: HeadModel, frames: int, seed: int = 11) -> Performance:
    """The demo's performance for ``frames`` frames: heads go on turning, expressions begin anew every 3 seconds."""
    once = demo_performance(head, seed=seed, frame_count=LOOP)
    long = demo_performance(head, seed=seed, frame_count=frames)
    return replace(long, expression=once.expression[np.arange(frames) % LOOP])


def ring(cameras: int) -> F64:
    """World-to-camera matrices (C,3,4): from the front, then alternately left and right up to 75°, high and low."""
    matrices = []
    for j in range(cameras):
        share = (j + 1) // 2 / max(1, cameras // 2)
        yaw, pitch = (-1) ** j * 75.0 * share, (0.0, 18.0, -18.0)[j % 3]
        turn = Rotation.from_euler("YX", [yaw, pitch], degrees=True).as_matrix() if j else np.eye(3)
        distance = 0.55 if j == 0 else 0.7 + 0.1 * (j % 3)
        matrices.append(np.concatenate([turn, (np.array([0, 0, distance]) - turn @ MIDDLE)[:, None]], axis=1))
    return np.stack(matrices)


def dense_views(
    head: HeadModel, frames: int, cameras: int, *, noise_px: float = 1.0, seed: int = 11
) -> tuple[View, ...]:
    """Views by unknown ``cameras`` of every vertex (point set ``EVERY_VERTEX``) that faces them, with noise of σ.

    Each vertex's error is half new in every frame and half the same in all of them, as aligners' errors are.
    """
    truth = looped_performance(head, frames, seed)
    count = head.vertex_count
    matrices = ring(cameras)
    mu = np.empty((cameras, frames, count, 2), np.float32)
    valid = np.empty((cameras, frames, count), bool)
    rotation = Rotation.from_rotvec(truth.head_rotation).as_matrix()
    rng = np.random.default_rng(seed)
    repeated = rng.normal(scale=noise_px * np.sqrt(0.5), size=(cameras, count, 2)).astype(np.float32)
    neutral = head.neutral(truth.identity)
    for t in range(frames):
        local = posed_vertices(head, neutral, truth.expression[t : t + 1], truth.gaze[t : t + 1])[0].astype(np.float64)
        world = local @ rotation[t].T + truth.head_translation[t]
        normal = vertex_normals(world, head.triangles)
        seen = np.einsum("cij,vj->cvi", matrices[..., :3], world) + matrices[:, None, :, 3]
        facing = np.einsum("cij,vj->cvi", matrices[..., :3], normal)
        mu[:, t] = seen[..., :2] / seen[..., 2:] * FOCAL_PX + IMAGE_SIDE / 2
        mu[:, t] += repeated + rng.normal(scale=noise_px * np.sqrt(0.5), size=(cameras, count, 2))
        valid[:, t] = (facing * seen).sum(-1) < 0
    sigma = np.full((frames, count), noise_px, np.float32)
    views = []
    for j in range(cameras):
        seen = PointSet.of(EVERY_VERTEX, mu[j], sigma, valid[j])
        size = (IMAGE_SIDE, IMAGE_SIDE)
        views.append(View(ViewAlignment.of(seen, image_size=size, frame_rate=truth.frame_rate), KnownCamera()))
    return tuple(views)
