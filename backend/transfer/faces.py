"""The faces of a mesh and their neighbours: gradients evened out among them, and what a deformation turns over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from backend.transfer.types import F64, Mask, Triangles

FOLDED = -0.5
"""Cosine between the normals of two neighbours, which were less than 90° apart, from which they are folded: 120°."""
MOST_RINGS = 2  # about a face that is turned over, that are evened out with it
EVENINGS = 4
LEAST_AREA = 0.02  # share of its area at rest from which a face has collapsed


@dataclass(frozen=True, eq=False)
class Faces:
    """A mesh at rest: vertices (V,3), triangles (F,3), the pairs (E,2) of its triangles that share an edge.

    ``averaging (F,F)`` takes a value of each face to the mean over it and its neighbours, by area.
    """

    vertices: F64
    triangles: Triangles
    neighbours: NDArray[np.int64]
    normals: F64  # (F,3) times twice the area
    against: Mask  # (F,) those that look against their surroundings at rest
    averaging: sparse.csr_matrix
    corners: sparse.csr_matrix  # (F,V) 1 at each corner
    links: sparse.csr_matrix  # (V,V) 1 between the ends of an edge

    @classmethod
    def of(cls, vertices: F64, triangles: Triangles) -> Faces:
        """Edges of more than two triangles make pairs of those that come next to each other."""
        count, faces = len(vertices), len(triangles)
        edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
        owner = np.tile(np.arange(faces), 3)
        order = np.lexsort((edges[:, 1], edges[:, 0]))
        same = (edges[order][1:] == edges[order][:-1]).all(axis=1)
        pairs = np.stack([owner[order][:-1][same], owner[order][1:][same]], axis=1)
        normals = _normals(vertices, triangles)
        areas = np.linalg.norm(normals, axis=1)
        one, other = pairs.T
        weights = sparse.coo_matrix((areas[other], (one, other)), (faces, faces)).tocsr()
        weights = weights + sparse.coo_matrix((areas[one], (other, one)), (faces, faces)).tocsr()
        weights = weights + sparse.diags(np.maximum(areas, 1e-12 * areas.max()))
        averaging = sparse.diags(1 / np.asarray(weights.sum(axis=1)).ravel()) @ weights
        row = np.arange(faces).repeat(3)
        corners = sparse.csr_matrix((np.ones(3 * faces), (row, triangles.ravel())), (faces, count))
        links = sparse.coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), (count, count)).tocsr()
        links = ((links + links.T) > 0).astype(np.float64)
        against = _against(normals, corners)
        return cls(vertices, triangles, pairs, normals, against, averaging.tocsr(), corners, links)

    def turned_over(self, offsets: F64) -> Mask:
        """The faces (F,) that ``offsets (V,3)`` make look against the faces around them, or collapse."""
        normals = _normals(self.vertices + offsets, self.triangles)
        small = np.linalg.norm(normals, axis=1) < LEAST_AREA * np.linalg.norm(self.normals, axis=1)
        return np.asarray((_against(normals, self.corners) & ~self.against) | small)

    def folded(self, offsets: F64) -> Mask:
        """The faces (F,) that ``offsets (V,3)`` fold onto a neighbour, such as the two sides of a deep crease."""
        after = _normals(self.vertices + offsets, self.triangles)
        one, other = self.neighbours.T
        folded = np.zeros(len(self.triangles), bool)
        folded[self.neighbours[(_cosine(self.normals, one, other) > 0) & (_cosine(after, one, other) < FOLDED)]] = True
        return folded

    def around(self, faces: Mask, rings: int) -> Mask:
        """The faces (F,) and those up to ``rings`` corners away."""
        for _ in range(rings):
            faces = self.corners @ (self.corners.T @ faces.astype(np.float64)) > 0
        return faces

    def averaged(self, values: NDArray[np.float64], rounds: int) -> NDArray[np.float64]:
        """Values (F,…) of the faces, averaged among neighbours so many times."""
        flat = values.reshape(len(values), -1)
        for _ in range(rounds):
            flat = self.averaging @ flat
        return np.asarray(flat).reshape(values.shape)

    def mended(self, offsets: F64, pose: F64, rounds: int = 12) -> F64:
        """Offsets (V,3) in which the corners of what is turned over move like their neighbours, where that helps.

        ``pose (V,3)`` is moved besides.
        """
        best, rings = self.turned_over(offsets + pose), 0
        for _ in range(rounds):
            if not best.any() or rings > MOST_RINGS:
                break
            tried = self._evened(offsets, self.around(best, rings))
            over = self.turned_over(tried + pose)
            if over.sum() < best.sum():
                offsets, best = tried, over
            else:
                rings += 1
        return offsets

    def _evened(self, offsets: F64, faces: Mask) -> F64:
        """Offsets (V,3) in which the corners of ``faces (F,)`` move as the mean of their neighbours, nearly."""
        loose = np.flatnonzero(self.corners.T @ faces.astype(np.float64) > 0)
        beside = self.links[loose]
        share = 1 / np.maximum(np.asarray(beside.sum(axis=1)), 1)
        offsets = offsets.copy()
        for _ in range(EVENINGS):
            offsets[loose] = (beside @ offsets) * share
        return offsets


def _normals(vertices: F64, triangles: Triangles) -> F64:
    corners = vertices[triangles]
    return np.asarray(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))


def _against(normals: F64, corners: sparse.csr_matrix) -> Mask:
    around = corners @ (corners.T @ normals) - 3 * normals
    return np.asarray(np.einsum("fc,fc->f", normals, around) < 0)


def _cosine(normals: F64, one: NDArray[np.int64], other: NDArray[np.int64]) -> F64:
    length = np.linalg.norm(normals, axis=1)
    product = np.einsum("ec,ec->e", normals[one], normals[other])
    return np.asarray(product / np.maximum(length[one] * length[other], 1e-30))
