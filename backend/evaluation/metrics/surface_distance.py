"""The closest point of a triangle mesh, exactly and fast: k-d trees only choose which triangles are measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

F64 = NDArray[np.float64]

_FIRST_CANDIDATES = 8
_CHUNK_PAIRS = 400_000


@dataclass(frozen=True, eq=False)
class ClosestPoints:
    """For N points: the triangle (N,), barycentric weights (N,3), position (N,3) and distance (N,) of the closest."""

    triangle: NDArray[np.intp]
    barycentric: F64
    position: F64
    distance: F64


class MeshSurface:
    """A triangle mesh prepared for closest-point queries.

    Triangles are kept in one k-d tree of centroids per octave of size. A query looks at ever more of the nearest
    centroids until none further away can belong to a closer triangle (centroid distance − largest radius ≥ best), so
    the answer is that of measuring every triangle. Triangles with a corner that is not finite are left out.
    Raises ValueError where no triangle is left.
    """

    def __init__(self, vertices: NDArray[np.floating[Any]], triangles: NDArray[np.integer[Any]]) -> None:
        corners = np.asarray(vertices, np.float64)[triangles]
        kept = np.flatnonzero(np.isfinite(corners).all(axis=(1, 2)))
        if not len(kept):
            raise ValueError("the mesh has no finite triangle")
        self._corners, self._kept = corners, kept
        centroid = corners.mean(axis=1)
        radius = np.linalg.norm(corners - centroid[:, None], axis=2).max(axis=1)
        octave = np.floor(np.log2(np.maximum(radius, 1e-12)))
        self._all = cKDTree(centroid[kept])
        groups = [kept[octave[kept] == level] for level in np.unique(octave[kept])]
        groups.sort(key=len, reverse=True)  # the many find a good bound for the few
        self._trees = [(group, cKDTree(centroid[group]), float(radius[group].max())) for group in groups]
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        self.normals: F64 = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-30)
        """(F,3) unit normals of the triangles."""

    def closest(self, points: NDArray[np.floating[Any]], normals: F64 | None = None) -> ClosestPoints:
        """The closest surface point to each of ``points (N,3)``.

        With ``normals (N,3)`` only triangles that face the same way (positive dot product) count; a point that has none
        gets triangle -1, no position (NaN) and infinite distance.
        """
        points = np.asarray(points, np.float64)
        query = _Query(points, normals, np.full(len(points), -1, np.intp), np.full(len(points), np.inf))
        everyone = np.arange(len(points))
        self._improve(query, everyone, self._kept[self._all.query(points)[1]][:, None])
        for group, tree, radius in self._trees:
            active, wanted = everyone, _FIRST_CANDIDATES
            while len(active):
                wanted = min(wanted, len(group))
                away, index = tree.query(points[active], np.arange(1, wanted + 1))
                near = away < np.sqrt(query.squared[active])[:, None] + radius
                step = max(1, _CHUNK_PAIRS // wanted)
                for start in range(0, len(active), step):
                    part = slice(start, start + step)
                    self._improve(query, active[part], np.where(near[part], group[index[part]], -1))
                undecided = away[:, -1] < np.sqrt(query.squared[active]) + radius
                active = active[undecided] if wanted < len(group) else active[:0]
                wanted *= 4
        weights, _ = closest_in_triangles(points, self._corners[query.triangle])
        position = np.einsum("nk,nkc->nc", weights, self._corners[query.triangle])
        position[query.triangle < 0] = np.nan
        return ClosestPoints(query.triangle, weights, position, np.sqrt(query.squared))

    def _improve(self, query: _Query, rows: NDArray[np.intp], candidates: NDArray[np.intp]) -> None:
        """Measure ``candidates (n,k)`` (-1 for none) for the points ``rows (n,)``; keep what is closer than before."""
        row, column = np.nonzero(candidates >= 0)
        triangle = candidates[row, column]
        if query.normals is not None:
            facing = np.einsum("mc,mc->m", self.normals[triangle], query.normals[rows[row]]) > 0
            row, column, triangle = row[facing], column[facing], triangle[facing]
        squared = np.full(candidates.shape, np.inf)
        squared[row, column] = closest_in_triangles(query.points[rows[row]], self._corners[triangle])[1]
        best = squared.argmin(axis=1)
        each = np.arange(len(rows))
        better = squared[each, best] < query.squared[rows]
        query.squared[rows[better]] = squared[each, best][better]
        query.triangle[rows[better]] = candidates[each, best][better]


@dataclass(frozen=True, eq=False)
class _Query:
    """Points being asked for, and the closest triangle and its squared distance found so far (filled in place)."""

    points: F64
    normals: F64 | None
    triangle: NDArray[np.intp]
    squared: F64


def closest_in_triangles(points: F64, corners: F64) -> tuple[F64, F64]:
    """Barycentric weights (…,3) and squared distance (…) of the point of each triangle (…,3,3) closest to a point."""
    a = corners[..., 0, :]
    ab, ac, ap = corners[..., 1, :] - a, corners[..., 2, :] - a, points - a
    d00, d01, d11 = _dot(ab, ab), _dot(ab, ac), _dot(ac, ac)
    p0, p1 = _dot(ap, ab), _dot(ap, ac)
    area = np.maximum(d00 * d11 - d01 * d01, 1e-300)
    v, w = (d11 * p0 - d01 * p1) / area, (d00 * p1 - d01 * p0) / area
    outside = (v < 0) | (w < 0) | (v + w > 1)
    edge = np.maximum(d00 + d11 - 2 * d01, 1e-300)
    along_ab = np.clip(p0 / np.maximum(d00, 1e-300), 0, 1)
    along_ac = np.clip(p1 / np.maximum(d11, 1e-300), 0, 1)
    along_bc = np.clip((p1 - p0 + d00 - d01) / edge, 0, 1)
    zero = np.zeros_like(v)
    best: tuple[F64, F64, F64] | None = None
    for cv, cw in ((along_ab, zero), (zero, along_ac), (1 - along_bc, along_bc)):
        distance = _squared(ap, ab, ac, cv, cw)
        if best is None:
            best = (cv, cw, distance)
        else:
            nearer = distance < best[2]
            pairs = zip((cv, cw, distance), best, strict=True)
            kv, kw, kd = (np.where(nearer, new, old) for new, old in pairs)
            best = (kv, kw, kd)
    assert best is not None
    plane = _squared(ap, ab, ac, v, w)
    second, third = np.where(outside, best[0], v), np.where(outside, best[1], w)
    return np.stack([1 - second - third, second, third], axis=-1), np.where(outside, best[2], plane)


def _dot(one: F64, other: F64) -> F64:
    return np.einsum("...c,...c->...", one, other)


def _squared(ap: F64, ab: F64, ac: F64, v: F64, w: F64) -> F64:
    rest = ap - v[..., None] * ab - w[..., None] * ac
    return _dot(rest, rest)
