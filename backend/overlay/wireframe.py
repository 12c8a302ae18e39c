"""The edges of a mesh that a camera sees, and those among them that are the diagonals of quads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_NEARER = 0.006  # m by which something must be in front to hide a vertex


_LATTICE = np.array([(i, j, 3 - i - j) for i in range(4) for j in range(4 - i)]) / 3  # (10,3) barycentric


def _edges(triangles: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Edges (E,2) of a mesh and their one or two triangles (E,2); a border edge names its triangle twice."""
    pairs = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1).astype(np.int64)
    edges, inverse = np.unique(pairs, axis=0, return_inverse=True)
    owner = np.repeat(np.arange(len(triangles)), 3)
    order = np.argsort(inverse.ravel(), kind="stable")
    start = np.searchsorted(inverse.ravel()[order], np.arange(len(edges)))
    stop = np.append(start[1:], len(order))
    return edges, np.column_stack([owner[order[start]], owner[order[stop - 1]]])


def diagonals(
    vertices: NDArray[np.float64], triangles: NDArray[np.int32], edges: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Edges (E,) that are the longest side of both their triangles: the diagonals of a mesh made of quads.

    Artists think in quads, and half the lines say as much. Lengths are those seen in the image.
    """
    corners = vertices[triangles, :2]
    lengths = np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=-1)
    longest = lengths.argmax(axis=1)
    rows = np.arange(len(triangles))
    ends = np.sort(np.column_stack([triangles[rows, longest], triangles[rows, (longest + 1) % 3]]), axis=1)
    size = len(vertices)
    keys, counts = np.unique(ends[:, 0].astype(np.int64) * size + ends[:, 1], return_counts=True)
    return np.isin(edges[:, 0] * size + edges[:, 1], keys[counts == 2])


def visible_edges(
    vertices: NDArray[np.float64],
    triangles: NDArray[np.int32],
    edges: NDArray[np.int64],
    edge_triangles: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """The edges (E,) that the camera sees: they border a triangle that faces it, and nothing lies before their ends.

    ``vertices (V,3)`` are pixels and distance. What hides what is told from the nearest point of a facing triangle in
    each cell of a grid about as fine as the mesh.
    """
    corners = vertices[triangles, :2]
    a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    facing = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0] < 0  # y points down in the image
    facing &= (vertices[triangles, 2] > 0).all(axis=1)
    near = np.zeros(len(vertices), bool)
    near[triangles[facing]] = True
    if not near.any():
        return np.zeros(len(edges), bool)
    # Enough points inside each triangle that large ones leave no holes in the grid.
    inside = np.einsum("lk,fkc->flc", _LATTICE, vertices[triangles[facing]]).reshape(-1, 3)
    points = np.concatenate([vertices[near], inside])
    cell = max(1.0, 1.5 * float(np.median(np.linalg.norm(a[facing], axis=1))))
    low = points[:, :2].min(axis=0)
    grid = np.floor((points[:, :2] - low) / cell).astype(np.int64) + 1
    width, height = (int(n) for n in grid.max(axis=0) + 2)
    if width * height > 16_000_000:
        return facing[edge_triangles].any(axis=1)
    depth = np.full(width * height, np.inf)
    np.minimum.at(depth, grid[:, 1] * width + grid[:, 0], points[:, 2])
    free = np.zeros(len(vertices), bool)
    here = grid[: int(near.sum())]
    # A tilted surface differs in depth inside one cell, a coarse one more.
    tilt = float(np.percentile(np.ptp(vertices[triangles[facing], 2], axis=1), 75))
    free[near] = vertices[near, 2] <= depth[here[:, 1] * width + here[:, 0]] + _NEARER + 2 * tilt
    return facing[edge_triangles].any(axis=1) & free[edges].all(axis=1)
