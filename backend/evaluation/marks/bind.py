"""Points of a picture bound to the surface of the mesh that is seen there, and where the mesh has them later."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.types import MeshSequence
from backend.head_model.model import SurfacePoints

F64 = NDArray[np.float64]


def bind(mesh: MeshSequence, frame: int, points: F64) -> SurfacePoints:
    """The surface points that image positions ``points (K,2)`` show in a frame, pixels; triangle -1 where none does.

    Of the triangles there the nearest is seen. Weights are those in camera space (perspective-correct).
    """
    triangle, weights = np.full(len(points), -1, np.int32), np.zeros((len(points), 3), np.float32)
    vertices = mesh.vertices[frame].astype(np.float64)
    if not mesh.tracked[frame] or not np.isfinite(vertices).all():
        return SurfacePoints(triangle, weights)
    seen = vertices[:, :2] / vertices[:, 2:] * mesh.focal_px[frame] + mesh.principal_point
    corners, near = seen[mesh.triangles], 1 / vertices[mesh.triangles, 2]
    low, high = corners.min(axis=1), corners.max(axis=1)
    for number, point in enumerate(points):
        about = np.flatnonzero(((low <= point) & (point <= high)).all(axis=1))
        flat = _weights(corners[about], point)
        held = (flat >= 0).all(axis=1)
        scaled = flat[held] * near[about[held]]  # linear in the image
        if not len(scaled):
            continue
        closeness = scaled.sum(axis=1)
        first = int(closeness.argmax())
        triangle[number] = about[held][first]
        weights[number] = scaled[first] / closeness[first]
    return SurfacePoints(triangle, weights)


def _weights(corners: F64, point: F64) -> F64:
    """(n,3) barycentric weights of a point in triangles ``corners (n,3,2)``; NaN where one has no area."""
    a, b, to = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0], point - corners[:, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        area = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
        v = (to[:, 0] * b[:, 1] - to[:, 1] * b[:, 0]) / area
        w = (a[:, 0] * to[:, 1] - a[:, 1] * to[:, 0]) / area
    return np.stack([1 - v - w, v, w], axis=1)


def project(mesh: MeshSequence, points: SurfacePoints, frames: NDArray[np.integer[Any]]) -> F64:
    """(K,n,2) pixels where the mesh has surface points in ``frames (n,)``; NaN of those unbound and in lost frames."""
    corners = mesh.triangles[np.maximum(points.triangle, 0)]
    there = np.einsum(
        "kc,nkcd->knd", points.barycentric.astype(np.float64), mesh.vertices[frames][:, corners].astype(np.float64)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        seen = there[..., :2] / there[..., 2:] * mesh.focal_px[frames][None, :, None] + mesh.principal_point
    seen[points.triangle < 0] = np.nan
    seen[:, ~mesh.tracked[frames]] = np.nan
    return np.asarray(seen)
