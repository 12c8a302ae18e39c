"""The closest point of a triangle mesh, exactly and fast: k-d trees only choose which triangles are measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from backend.head_model.model import SurfacePoints

F64 = NDArray[np.float64]
Indices = NDArray[np.intp]
Penalty = Callable[[Indices, Indices], F64]
"""By how much ≥ 0 (m,) triangles (m,) count as farther from the queried points (m,), in length; inf for not at all."""

NEARBY = 24
"""Places of the surface around a point, nearest first, whose triangles ``closest_nearby`` measures."""

OPPOSED_PENALTY = 0.02
"""Metres that a triangle facing the other way counts as farther, so that it loses to any rightly facing one nearby."""

_FIRST_GUESSES = 2  # triangles by whose distances the search is bounded from its beginning
_FIRST_CANDIDATES = 16
_TOGETHER = 2_000
"""Points asked for at once, those of similar bounds: the farthest one's bound is that of the search for all."""
_CHUNK_PAIRS = 400_000
_SLIVER = 1e-14  # squared sine of an angle below which a triangle is measured by its edges alone


@dataclass(frozen=True, eq=False)
class ClosestPoints:
    """For N points: the triangle (N,), barycentric weights (N,3), position (N,3) and distance (N,) of the closest."""

    triangle: Indices
    barycentric: F64
    position: F64
    distance: F64

    def of(self, values: NDArray[Any], triangles: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Values (V,…) of a mesh's vertices at these points (N,…)."""
        return np.asarray(np.einsum("nk,nk...->n...", self.barycentric, values[triangles[self.triangle]]))


class MeshSurface:
    """A triangle mesh prepared for closest-point queries.

    It has ``vertices (V,3)`` and ``triangles (F,3)``, or those of them that are ``chosen (F,)``.

    Triangles are kept in one k-d tree of centroids per octave of size. A query looks at ever more of the nearest
    centroids until none further away can belong to a closer triangle (centroid distance − largest radius ≥ best), and
    measures those that can (centroid distance − own radius < best), so the answer is that of measuring every triangle.
    Triangles with a corner that is not finite are left out.
    Raises ValueError where no triangle is left.
    """

    def __init__(
        self,
        vertices: NDArray[np.floating[Any]],
        triangles: NDArray[np.integer[Any]],
        chosen: NDArray[np.bool_] | None = None,
    ) -> None:
        corners = np.asarray(vertices, np.float64)[triangles]
        finite = np.isfinite(corners).all(axis=(1, 2))
        kept = np.flatnonzero(finite if chosen is None else finite & chosen)
        if not len(kept):
            raise ValueError("the mesh has no finite triangle")
        self._corners, self._kept = corners, kept
        centroid = corners.mean(axis=1)
        radius = np.linalg.norm(corners - centroid[:, None], axis=2).max(axis=1)
        octave = np.floor(np.log2(np.maximum(radius, 1e-12)))
        self._all = cKDTree(centroid[kept])
        groups = [kept[octave[kept] == level] for level in np.unique(octave[kept])]
        groups.sort(key=len, reverse=True)  # the many find a good bound for the few
        self._radius = radius
        self._trees = [(group, cKDTree(centroid[group]), float(radius[group].max())) for group in groups]
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        self.normals: F64 = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-30)
        """(F,3) unit normals of the triangles."""

    def facing(self, normals: NDArray[np.floating[Any]]) -> Penalty:
        """Only triangles that face the same way as ``normals (N,3)`` of the points (positive dot product) count."""
        return lambda point, triangle: np.where(self._agreement(normals, point, triangle) > 0, 0.0, np.inf)

    def _agreement(self, normals: NDArray[np.floating[Any]], point: Indices, triangle: Indices) -> F64:
        return np.asarray(np.einsum("mc,mc->m", self.normals[triangle], np.asarray(normals, np.float64)[point]))

    def closest(self, points: NDArray[np.floating[Any]], penalty: Penalty | None = None) -> ClosestPoints:
        """The closest surface point to each of ``points (N,3)``; distances count with the ``penalty``, if any, on top.

        A point none of whose triangles count gets triangle -1, no position (NaN) and infinite distance.
        """
        points = np.asarray(points, np.float64)
        query = _Query(points, penalty, np.full(len(points), -1, np.intp), np.full(len(points), np.inf))
        guesses = np.arange(1, min(_FIRST_GUESSES, len(self._kept)) + 1)
        self._improve(query, np.arange(len(points)), self._kept[self._all.query(points, guesses)[1]])
        alike = np.array_split(np.argsort(query.squared), max(1, len(points) // _TOGETHER))
        for together in alike:
            for group, tree, radius in self._trees:
                self._search(query, together, group, tree, radius)
        return self._found(query)

    def _search(self, query: _Query, rows: Indices, group: Indices, tree: cKDTree, radius: float) -> None:
        """Look for what is closer to the points ``rows (n,)`` among the triangles ``group``, none over ``radius``."""
        active, wanted = rows, _FIRST_CANDIDATES
        while len(active):
            wanted = min(wanted, len(group))
            bound = np.sqrt(query.squared[active])
            nearest = np.arange(1, wanted + 1)
            away, index = tree.query(query.points[active], nearest, distance_upper_bound=bound.max() + radius)
            triangle = group[np.minimum(index, len(group) - 1)]  # where there is none so near, its distance is inf
            near = away < bound[:, None] + self._radius[triangle]
            step = max(1, _CHUNK_PAIRS // wanted)
            for start in range(0, len(active), step):
                part = slice(start, start + step)
                self._improve(query, active[part], np.where(near[part], triangle[part], -1))
            undecided = away[:, -1] < np.sqrt(query.squared[active]) + radius
            active = active[undecided] if wanted < len(group) else active[:0]
            wanted *= 4

    def closest_nearby(
        self, points: NDArray[np.floating[Any]], normals: NDArray[np.floating[Any]] | None = None
    ) -> ClosestPoints:
        """The closest surface point to each of ``points (N,3)`` among the triangles around it (``NEARBY``).

        Triangles that do not face as the points' own unit ``normals (N,3)`` count as farther, by up to
        ``OPPOSED_PENALTY``: that tells the two lips and the two sides of a lid apart. Where none of those around faces
        the right way, one is found all the same.
        """
        points = np.asarray(points, np.float64)
        places, triangle = self._places
        _, near = places.query(points, k=np.arange(1, min(NEARBY, len(triangle)) + 1))
        candidates = triangle[near]
        weights, squared = closest_in_triangles(points[:, None], self._corners[candidates])
        score = np.sqrt(squared)
        if normals is not None:
            facing = np.einsum("nkc,nc->nk", self.normals[candidates], np.asarray(normals, np.float64))
            score = score + OPPOSED_PENALTY * np.clip(0.3 - facing, 0, 1)
        row, best = np.arange(len(points)), score.argmin(axis=1)
        return self._at(candidates[row, best], weights[row, best], squared[row, best])

    @cached_property
    def _places(self) -> tuple[cKDTree, Indices]:
        """The triangles' centroids, of long ones also three places nearer to their corners, and whose each is."""
        corners = self._corners[self._kept]
        centroid = corners.mean(axis=1)
        radius = np.linalg.norm(corners - centroid[:, None], axis=2).max(axis=1)
        long = np.flatnonzero(radius > 2.0 * np.median(radius))
        inner = (corners[long] + centroid[long][:, None]) / 2
        places = np.concatenate([centroid, inner.reshape(-1, 3)])
        return cKDTree(places), np.concatenate([self._kept, self._kept[np.repeat(long, 3)]])

    def _found(self, query: _Query) -> ClosestPoints:
        weights, squared = closest_in_triangles(query.points, self._corners[query.triangle])
        found = self._at(query.triangle, weights, squared)
        nothing = query.triangle < 0
        found.position[nothing], found.distance[nothing] = np.nan, np.inf
        return found

    def _at(self, triangle: Indices, weights: F64, squared: F64) -> ClosestPoints:
        a, b, c = np.moveaxis(self._corners[triangle], 1, 0)
        position = a + weights[:, 1:2] * (b - a) + weights[:, 2:3] * (c - a)
        return ClosestPoints(triangle, weights, position, np.sqrt(squared))

    def _improve(self, query: _Query, rows: Indices, candidates: Indices) -> None:
        """Measure ``candidates (n,k)`` (-1 for none) for the points ``rows (n,)``; keep what is closer than before."""
        row, column = np.nonzero(candidates >= 0)
        triangle = candidates[row, column]
        measured = closest_in_triangles(query.points[rows[row]], self._corners[triangle])[1]
        if query.penalty is not None:
            farther = query.penalty(rows[row], triangle)
            measured = np.where(farther > 0, (np.sqrt(measured) + farther) ** 2, measured)
        squared = np.full(candidates.shape, np.inf)
        squared[row, column] = measured
        best = squared.argmin(axis=1)
        each = np.arange(len(rows))
        better = squared[each, best] < query.squared[rows]
        query.squared[rows[better]] = squared[each, best][better]
        query.triangle[rows[better]] = candidates[each, best][better]


@dataclass(frozen=True, eq=False)
class _Query:
    """Points being asked for, and the closest triangle and its squared distance found so far (filled in place)."""

    points: F64
    penalty: Penalty | None
    triangle: Indices
    squared: F64


def closest_in_triangles(points: F64, corners: F64) -> tuple[F64, F64]:
    """Barycentric weights (…,3) and squared distance (…) of the point of each triangle (…,3,3) closest to a point."""
    a = corners[..., 0, :]
    ab, ac, ap = corners[..., 1, :] - a, corners[..., 2, :] - a, points - a
    d00, d01, d11 = _dot(ab, ab), _dot(ab, ac), _dot(ac, ac)
    p0, p1 = _dot(ap, ab), _dot(ap, ac)
    double = d00 * d11 - d01 * d01
    area = np.maximum(double, 1e-300)
    v, w = (d11 * p0 - d01 * p1) / area, (d00 * p1 - d01 * p0) / area
    outside = (v < 0) | (w < 0) | (v + w > 1) | (double <= _SLIVER * d00 * d11)
    bc = ac - ab
    along_ab = np.clip(p0 / np.maximum(d00, 1e-300), 0, 1)
    along_ac = np.clip(p1 / np.maximum(d11, 1e-300), 0, 1)
    along_bc = np.clip(_dot(ap - ab, bc) / np.maximum(_dot(bc, bc), 1e-300), 0, 1)
    zero = np.zeros_like(v)
    best = v, w, np.where(outside, np.inf, _squared(ap, ab, ac, v, w))
    for second, third in ((along_ab, zero), (zero, along_ac), (1 - along_bc, along_bc)):
        candidate = second, third, _squared(ap, ab, ac, second, third)
        nearer = candidate[2] < best[2]
        kv, kw, kd = (np.where(nearer, new, old) for new, old in zip(candidate, best, strict=True))
        best = kv, kw, kd
    second, third, squared = best
    return np.stack([1 - second - third, second, third], axis=-1), squared


def _dot(one: F64, other: F64) -> F64:
    return np.einsum("...c,...c->...", one, other)


def _squared(ap: F64, ab: F64, ac: F64, v: F64, w: F64) -> F64:
    rest = ap - v[..., None] * ab - w[..., None] * ac
    return _dot(rest, rest)


def closest_allowed_points(
    points: NDArray[np.floating[Any]],
    vertices: NDArray[np.floating[Any]],
    triangles: NDArray[np.integer[Any]],
    allowed: NDArray[np.bool_],
) -> SurfacePoints:
    """The point of the surface closest to each of ``points (N,3)`` among the triangles ``allowed (N,F)`` to it.

    Raises ValueError where a point has none.
    """

    def only(point: Indices, triangle: Indices) -> F64:
        return np.where(allowed[point, triangle], 0.0, np.inf)

    found = MeshSurface(vertices, triangles).closest(points, only)
    if (found.triangle < 0).any():
        raise ValueError("a point has no allowed triangle")
    return SurfacePoints(found.triangle.astype(np.int32), found.barycentric.astype(np.float32))
