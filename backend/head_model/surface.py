"""Points on a triangle mesh: the closest one, and keeping it on a chosen part of the surface."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.model import IntArray, SurfacePoints

_CHUNK_PAIRS = 2_000_000


def closest_surface_points(
    points: NDArray[np.floating[Any]],
    vertices: NDArray[np.floating[Any]],
    triangles: IntArray,
    allowed: NDArray[np.bool_] | None = None,
) -> SurfacePoints:
    """The point of the surface closest to each of ``points (N,3)``, all in the same space.

    ``allowed (F,)`` or ``(N,F)`` says which triangles count, for all points or for each; every point needs at least
    one.
    """
    corners = np.asarray(vertices, np.float64)[triangles]
    count = len(points)
    chosen = np.empty(count, np.int32)
    weights = np.empty((count, 3), np.float32)
    step = max(1, _CHUNK_PAIRS // max(1, len(triangles)))
    for start in range(0, count, step):
        stop = min(count, start + step)
        barycentric, distance = _closest_barycentric(np.asarray(points[start:stop], np.float64), corners)
        if allowed is not None:
            distance = np.where(allowed if allowed.ndim == 1 else allowed[start:stop], distance, np.inf)
        best = distance.argmin(axis=1)
        if not np.isfinite(distance[np.arange(stop - start), best]).all():
            raise ValueError("a point has no allowed triangle")
        chosen[start:stop] = best
        weights[start:stop] = barycentric[np.arange(stop - start), best]
    return SurfacePoints(chosen, weights)


def _closest_barycentric(
    points: NDArray[np.float64], corners: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Barycentric weights (N,F,3) and squared distances (N,F) of the closest point of each triangle (F,3,3)."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    ab, ac = b - a, c - a
    d00, d01, d11 = (ab * ab).sum(1), (ab * ac).sum(1), (ac * ac).sum(1)
    area = np.maximum(d00 * d11 - d01 * d01, 1e-30)
    ap = points[:, None] - a[None]
    p0, p1 = np.einsum("nfc,fc->nf", ap, ab), np.einsum("nfc,fc->nf", ap, ac)
    v, w = (d11 * p0 - d01 * p1) / area, (d00 * p1 - d01 * p0) / area
    inside = (v >= 0) & (w >= 0) & (v + w <= 1)
    along_ab = np.clip(p0 / np.maximum(d00, 1e-30), 0, 1)
    along_ac = np.clip(p1 / np.maximum(d11, 1e-30), 0, 1)
    bc = c - b
    along_bc = np.clip(np.einsum("nfc,fc->nf", ap - ab, bc) / np.maximum((bc * bc).sum(1), 1e-30), 0, 1)
    zero = np.zeros_like(v)
    candidates = [(v, w), (along_ab, zero), (zero, along_ac), (1 - along_bc, along_bc)]
    squared = np.stack([((ap - cv[..., None] * ab - cw[..., None] * ac) ** 2).sum(-1) for cv, cw in candidates], axis=0)
    squared[0] = np.where(inside, squared[0], np.inf)
    best = squared.argmin(axis=0)
    second = np.choose(best, [cv for cv, _ in candidates])
    third = np.choose(best, [cw for _, cw in candidates])
    return np.stack([1 - second - third, second, third], axis=-1), squared.min(axis=0)
