"""A head's vertices and triangles in the canonical atlas, across its seams."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from backend.head_model.model import HeadModel, IntArray
from backend.head_model.surface import ClosestPoints, MeshSurface

F64 = NDArray[np.float64]

STRETCH, SLACK = 3.0, 0.01
"""The most that a triangle of the atlas may exceed what its middle expects, as a factor and in atlas units.

Beyond it, the triangle's corners count as lying on two sides of a seam.
"""

REACH = (-0.5, 1.5)
"""The reach of a corner beyond the triangle under its own triangle's middle, in barycentric weights.

Farther out, as on shoulders, lies another island.
"""


@dataclass(frozen=True, eq=False)
class Atlas:
    """``uv (V,2)``, ``uv_vertices (U,2)``, ``uv_triangles (F,3)`` as in ``HeadModel``."""

    uv: F64
    uv_vertices: F64
    uv_triangles: IntArray


def canonical_atlas(vertices: F64, triangles: IntArray, foot: ClosestPoints, open_head: HeadModel, bent: F64) -> Atlas:
    """The atlas of a mesh whose vertices (V,3) have feet on the open head ``bent (V0,3)``.

    A triangle whose corners lie on different sides of a seam is laid out as a whole on the side of its middle: its
    corners become atlas vertices of their own.
    """
    corners = open_head.uv_vertices.astype(np.float64)[open_head.uv_triangles]
    uv = np.einsum("nk,nkc->nc", foot.barycentric, corners[foot.triangle])
    islands = _islands(open_head)
    island = islands[foot.triangle][triangles]
    under = _under_middles(vertices[triangles].mean(axis=1), island, islands, open_head, bent)
    expected = _extended(vertices[triangles], under, corners, open_head.triangles, bent)
    size, wanted = _extent(uv[triangles]), _extent(expected)
    torn = (island != island[:, :1]).any(axis=1) | (size > STRETCH * wanted + SLACK)
    uv_triangles = triangles.astype(np.int32).copy()
    extra = expected[torn].reshape(-1, 2)
    uv_triangles[torn] = len(vertices) + np.arange(len(extra), dtype=np.int32).reshape(-1, 3)
    return Atlas(uv, np.concatenate([uv, np.clip(extra, 0, 1)]), uv_triangles)


def _islands(open_head: HeadModel) -> NDArray[np.int32]:
    """(F0,) the number of the atlas island of each of the open head's triangles."""
    triangles, count = open_head.uv_triangles, len(open_head.uv_vertices)
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]]])
    links = sparse.coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), (count, count))
    return np.asarray(connected_components(links, directed=False)[1][triangles[:, 0]], np.int32)


def _under_middles(
    middle: F64, of_corner: NDArray[np.int32], islands: NDArray[np.int32], open_head: HeadModel, bent: F64
) -> NDArray[np.int64]:
    """(F,) the open head's triangle under each triangle's middle, on the island that most corners (F,3) are on."""
    # two of three corners decide; where all differ, the first does
    wanted = np.where(of_corner[:, 1] == of_corner[:, 2], of_corner[:, 1], of_corner[:, 0])
    under = np.zeros(len(middle), np.int64)
    for island in np.unique(wanted):
        mask = wanted == island
        under[mask] = MeshSurface(bent, open_head.triangles, islands == island).closest_nearby(middle[mask]).triangle
    return under


def _extended(corners: F64, under: NDArray[np.int64], atlas: F64, triangles: IntArray, bent: F64) -> F64:
    """Atlas coordinates (F,3,2) of corners (F,3,3) in the plane of the open head's triangle ``under (F,)``."""
    base = bent[triangles[under]]
    ab, ac = base[:, 1] - base[:, 0], base[:, 2] - base[:, 0]
    ap = corners - base[:, :1]
    d00, d01, d11 = (ab * ab).sum(1), (ab * ac).sum(1), (ac * ac).sum(1)
    area = np.maximum(d00 * d11 - d01 * d01, 1e-30)[:, None]
    p0, p1 = np.einsum("fkc,fc->fk", ap, ab), np.einsum("fkc,fc->fk", ap, ac)
    v = (d11[:, None] * p0 - d01[:, None] * p1) / area
    w = (d00[:, None] * p1 - d01[:, None] * p0) / area
    v, w = np.clip(v, *REACH), np.clip(w, *REACH)
    uv = atlas[under]
    return np.asarray(
        uv[:, None, 0] + v[..., None] * (uv[:, 1] - uv[:, 0])[:, None] + w[..., None] * (uv[:, 2] - uv[:, 0])[:, None]
    )


def _extent(uv: F64) -> F64:
    """Longest side (F,) of atlas triangles (F,3,2)."""
    return np.asarray(np.linalg.norm(uv - np.roll(uv, 1, axis=1), axis=2).max(axis=1))


def signed_areas(uv: F64) -> F64:
    """Twice the signed area (F,) of atlas triangles (F,3,2), positive where counter-clockwise."""
    one, other = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    return np.asarray(one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0])
