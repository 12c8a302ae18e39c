"""Triangles that a registration turned over, and how they are smoothed out again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import spsolve

from backend.head_model.model import BoolArray, IntArray

F64 = NDArray[np.float64]

ROUNDS = 10
LEAST_COSINE = 0.1
"""Between a triangle's normal before and after, below which it is smoothed out: a little before it turns over."""


def turned_over(start: F64, moved: F64, triangles: IntArray, least: float = 0.0) -> BoolArray:
    """(F,) whose normal in ``moved (V,3)`` looks away from that in ``start``: by a cosine of ``least`` or less."""
    before, after = _normals(start, triangles), _normals(moved, triangles)
    length = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    return np.asarray((before * after).sum(axis=1) <= least * length)


def _normals(vertices: F64, triangles: IntArray) -> F64:
    corners = vertices[triangles]
    return np.asarray(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))


def unfolded(start: F64, moved: F64, triangles: IntArray, hidden: BoolArray) -> F64:
    """``moved (V,3)``, its displacement from ``start`` made smooth about triangles that turned over.

    ``hidden (V,)`` vertices near them give way first, and others only where that does not do. Each round frees a wider
    neighbourhood, whose displacement becomes the mean of its neighbours'.
    """
    moved = moved.copy()
    count = len(start)
    ends = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    ends = np.unique(np.concatenate([ends, ends[:, ::-1]]), axis=0)
    joined = sparse.coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), (count, count)).tocsr()
    laplacian = (sparse.diags(np.asarray(joined.sum(axis=1)).ravel()) - joined).tocsr()
    for n in range(ROUNDS):
        bad = turned_over(start, moved, triangles, LEAST_COSINE)
        if not bad.any():
            break
        free = np.zeros(count, bool)
        free[triangles[bad]] = True
        for _ in range(1 + n // 2):
            free |= (joined @ free.astype(np.float64)) > 0
        if n < ROUNDS // 2:
            free &= hidden
        rows = np.flatnonzero(free)
        if len(rows):
            moved[rows] = start[rows] + _harmonic(laplacian, rows, moved - start)
    return moved


def _harmonic(laplacian: sparse.csr_matrix, rows: NDArray[np.intp], displacement: F64) -> F64:
    """The displacement (n,3) of ``rows`` that is each vertex's mean of its neighbours'."""
    inner = laplacian[rows][:, rows] + 1e-9 * sparse.identity(len(rows))
    outside = displacement.copy()
    outside[rows] = 0
    return np.asarray(spsolve(inner.tocsc(), -(laplacian[rows] @ outside))).reshape(len(rows), 3)
