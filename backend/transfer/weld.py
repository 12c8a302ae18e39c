"""Seams closed where a mesh's vertices were split for its textures or normals, as game meshes' are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from backend.transfer.types import F64, Triangles

SAME = 1e-6  # of the mesh's size: vertices that are nearer were one
SMOOTH = 0.3
"""Least cosine between the faces on both sides of a seam: lips and lids that touch face each other's way less."""


def weld(vertices: F64, triangles: Triangles) -> NDArray[np.int32]:
    """The number (V,) of the vertex of the closed mesh that each vertex is; they are numbered from 0.

    Two border edges at one place are one where their faces run on into each other.
    """
    size = float(np.ptp(vertices, axis=0).max())
    _, place = np.unique(np.round(vertices / (SAME * size)).astype(np.int64), axis=0, return_inverse=True)
    place = place.reshape(-1)
    corners = vertices[triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-30)
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]).astype(np.int64)
    face = np.tile(np.arange(len(triangles)), 3)
    count = len(vertices)
    key, back = edges[:, 0] * count + edges[:, 1], edges[:, 1] * count + edges[:, 0]
    border = ~np.isin(key, back)
    edges, face = edges[border], face[border]
    there, here = place[edges[:, 0]] * count + place[edges[:, 1]], place[edges[:, 1]] * count + place[edges[:, 0]]
    order = np.argsort(there, kind="stable")
    at = np.searchsorted(there[order], here)
    found = (at < len(order)) & (there[order][np.minimum(at, len(order) - 1)] == here)
    one, other = np.flatnonzero(found), order[at[found]]
    smooth = np.einsum("ec,ec->e", normal[face[one]], normal[face[other]]) > SMOOTH
    one, other = one[smooth], other[smooth]
    pairs = np.concatenate([edges[one], edges[other][:, ::-1]], axis=1)
    rows, columns = np.concatenate([pairs[:, [0, 2]], pairs[:, [1, 3]]]).T
    links = sparse.coo_matrix((np.ones(len(rows)), (rows, columns)), (count, count))
    return np.asarray(connected_components(links, directed=False)[1], np.int32)
