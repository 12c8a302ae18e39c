"""How much the skin is stretched or compressed at each vertex of a posed head: what its wrinkles follow."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Mesh(Protocol):
    """What has the faces of a head: ``HeadModel`` and ``HeadGeometry``."""

    @property
    def triangles(self) -> NDArray[np.int32]:
        """(F,3) vertices."""

    @property
    def quads(self) -> NDArray[np.int32]:
        """(Q,2) triangles that are the two halves of one quad."""


def mesh_edges(head: Mesh) -> NDArray[np.int64]:
    """The edges (E,2) of a head's quads and single triangles, each once, without the diagonals that halve quads."""
    sides = np.sort(np.stack([head.triangles, np.roll(head.triangles, -1, axis=1)], axis=2).astype(np.int64), axis=2)
    kept = np.ones(sides.shape[:2], np.bool_)
    first, second = sides[head.quads[:, 0]], sides[head.quads[:, 1]]
    shared = (first[:, :, None] == second[:, None]).all(axis=3)
    kept[head.quads[:, 0]] = ~shared.any(axis=2)
    kept[head.quads[:, 1]] = ~shared.any(axis=1)
    return np.unique(sides[kept], axis=0)


def tension(
    posed: NDArray[np.floating[Any]], neutral: NDArray[np.floating[Any]], edges: NDArray[np.integer[Any]]
) -> NDArray[np.float32]:
    """The tension (…,V) of vertices ``posed (…,V,3)``, as ``Wrinkles`` defines it: over 0 stretched, below compressed.

    ``neutral (V,3)`` in the same unit, ``edges (E,2)`` of ``mesh_edges``. An edge of no length in the neutral counts as
    neither; so does a vertex at no edge.
    """
    from scipy.sparse import csr_matrix

    rest = np.linalg.norm(neutral[edges[:, 0]] - neutral[edges[:, 1]], axis=1)
    length = np.linalg.norm(posed[..., edges[:, 0], :] - posed[..., edges[:, 1], :], axis=-1)
    strain = np.divide(length - rest, rest, out=np.zeros_like(length), where=rest > 0)
    rows = edges.T.ravel()
    at = np.bincount(rows, minlength=len(neutral))
    mean = csr_matrix((1.0 / at[rows], (rows, np.tile(np.arange(len(edges)), 2))), (len(neutral), len(edges)))
    flat = mean @ strain.reshape(-1, len(edges)).T
    return flat.T.reshape(*posed.shape[:-1]).astype(np.float32)
