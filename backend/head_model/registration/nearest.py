"""Closest points on large meshes: exact distances to a shortlist of nearby triangles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from backend.head_model.model import IntArray

F64 = NDArray[np.float64]

SHORTLIST = 24
"""Triangles tried per point: the ones with the nearest centroids, over samples dense enough for long triangles."""

OPPOSED_PENALTY = 0.02
"""Metres added to the distance of a triangle that faces the other way, so that it loses to any rightly facing one
nearby."""


@dataclass(frozen=True, eq=False)
class Foot:
    """Where points (N) fall on a surface: triangle (N,) of the mesh, barycentric (N,3), point (N,3), distance (N,)
    metres and the triangle's unit normal (N,3).
    """

    triangle: NDArray[np.int64]
    barycentric: F64
    point: F64
    distance: F64
    normal: F64

    def of(self, values: NDArray[Any], triangles: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Values (V,…) of a mesh's vertices at these points (N,…)."""
        return np.asarray(np.einsum("nk,nk...->n...", self.barycentric, values[triangles[self.triangle]]))


class NearestSurface:
    """The surface of ``vertices (V,3)`` and the chosen ``triangles (F,3)``; answers with rows of ``triangles``."""

    def __init__(
        self, vertices: NDArray[np.floating[Any]], triangles: IntArray, chosen: NDArray[np.bool_] | None = None
    ) -> None:
        self._rows = np.arange(len(triangles)) if chosen is None else np.flatnonzero(chosen)
        if not len(self._rows):
            raise ValueError("there is no triangle to be near to")
        corners = np.asarray(vertices, np.float64)[triangles[self._rows]]
        self._a = corners[:, 0]
        self._ab, self._ac = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        normal = np.cross(self._ab, self._ac)
        self.normals = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-20)
        centre = corners.mean(axis=1)
        long = np.linalg.norm(corners - centre[:, None], axis=2).max(axis=1)
        split = long > 2.0 * np.median(long)
        inner = (corners[split] + centre[split][:, None]) / 2
        samples = np.concatenate([centre, inner.reshape(-1, 3)])
        self._owner = np.concatenate([np.arange(len(centre)), np.repeat(np.flatnonzero(split), 3)])
        self._tree = cKDTree(samples)
        self._count = min(SHORTLIST, len(samples))

    def closest(self, points: NDArray[np.floating[Any]], facing: NDArray[np.floating[Any]] | None = None) -> Foot:
        """The closest point of the surface to each of ``points (N,3)``.

        With unit normals ``facing (N,3)``, triangles whose normal points the other way count as farther by up to
        ``OPPOSED_PENALTY``, which tells the two lips and the two sides of a lid apart.
        """
        target = np.asarray(points, np.float64)
        _, found = self._tree.query(target, k=self._count)
        shortlist = self._owner[found.reshape(len(target), self._count)]
        weights, squared = self._project(target, shortlist)
        score = np.sqrt(squared)
        if facing is not None:
            agreement = np.einsum("nkc,nc->nk", self.normals[shortlist], np.asarray(facing, np.float64))
            score = score + OPPOSED_PENALTY * np.clip(0.3 - agreement, 0, 1)
        best = score.argmin(axis=1)
        row = np.arange(len(target))
        triangle, barycentric = shortlist[row, best], weights[row, best]
        point = self._a[triangle] + barycentric[:, 1:2] * self._ab[triangle] + barycentric[:, 2:3] * self._ac[triangle]
        distance = np.sqrt(squared[row, best])
        return Foot(self._rows[triangle], barycentric, point, distance, self.normals[triangle])

    def _project(self, points: F64, shortlist: NDArray[np.int64]) -> tuple[F64, F64]:
        """Barycentric weights (N,k,3) and squared distances (N,k) of the closest point of each listed triangle."""
        ab, ac, ap = self._ab[shortlist], self._ac[shortlist], points[:, None] - self._a[shortlist]
        d00, d01, d11 = _dot(ab, ab), _dot(ab, ac), _dot(ac, ac)
        p0, p1 = _dot(ap, ab), _dot(ap, ac)
        area = np.maximum(d00 * d11 - d01 * d01, 1e-30)
        v, w = (d11 * p0 - d01 * p1) / area, (d00 * p1 - d01 * p0) / area
        inside = (v >= 0) & (w >= 0) & (v + w <= 1)
        bc = ac - ab
        on_ab = np.clip(p0 / np.maximum(d00, 1e-30), 0, 1)
        on_ac = np.clip(p1 / np.maximum(d11, 1e-30), 0, 1)
        on_bc = np.clip(_dot(ap - ab, bc) / np.maximum(_dot(bc, bc), 1e-30), 0, 1)
        zero = np.zeros_like(v)
        seconds = np.stack([v, on_ab, zero, 1 - on_bc])
        thirds = np.stack([w, zero, on_ac, on_bc])
        squared = np.stack(
            [
                _squared(ap - second[..., None] * ab - third[..., None] * ac)
                for second, third in zip(seconds, thirds, strict=True)
            ]
        )
        squared[0] = np.where(inside, squared[0], np.inf)
        best = squared.argmin(axis=0)[None]
        second = np.take_along_axis(seconds, best, 0)[0]
        third = np.take_along_axis(thirds, best, 0)[0]
        return np.stack([1 - second - third, second, third], axis=-1), squared.min(axis=0)


def _dot(one: F64, other: F64) -> F64:
    return np.asarray(np.einsum("nkc,nkc->nk", one, other))


def _squared(vectors: F64) -> F64:
    return _dot(vectors, vectors)
