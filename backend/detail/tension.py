"""How far a posed head's skin is stretched or compressed, as ``Wrinkles`` defines it. Pure numerics."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from backend.detail.types import F32
from backend.head_model.model import HeadModel, IntArray

LEAST_EDGE_M = 1e-6
"""Edges that are shorter in the neutral tell nothing: a ratio to nothing is no stretch."""


@lru_cache(maxsize=4)
def edges_of(head: HeadModel) -> IntArray:
    """(E,2) the edges of the head's quads and of its triangles that are in none, each once, the lower vertex first."""
    corners = np.asarray(head.triangles)
    edges = np.sort(np.stack([corners, np.roll(corners, -1, axis=1)], axis=2), axis=2)
    key = edges[..., 0].astype(np.int64) * head.vertex_count + edges[..., 1]
    unique = np.unique(key)
    if len(head.quads):
        first, second = key[head.quads[:, 0]], key[head.quads[:, 1]]
        shared = (first[:, :, None] == second[:, None]).any(axis=2)
        unique = np.setdiff1d(unique, first[shared])
    return np.stack([unique // head.vertex_count, unique % head.vertex_count], axis=1).astype(np.int32)


def tension(head: HeadModel, neutral: NDArray[np.floating[Any]], posed: NDArray[np.floating[Any]]) -> F32:
    """(T,V) of vertices ``posed (T,V,3)`` of a person whose neutral is ``neutral (V,3)``, any unit: + where stretched.

    The mean over a vertex's edges of length over neutral length, less 1 (seeds/004's tension); 0 without edges.
    """
    edges = edges_of(head)
    rest = _lengths(np.asarray(neutral, np.float64)[None], edges)[0]
    edges, rest = edges[rest > LEAST_EDGE_M], rest[rest > LEAST_EDGE_M]
    ends = edges.T.ravel()
    of = np.tile(np.arange(len(edges)), 2)
    mean = sparse.csr_matrix((np.ones(len(ends)), (ends, of)), shape=(len(neutral), len(edges)))
    count = np.maximum(np.asarray(mean.sum(axis=1)).ravel(), 1)
    ratio = _lengths(np.asarray(posed, np.float64), edges) / rest - 1
    return np.asarray((mean @ ratio.T).T / count, np.float32)


def _lengths(vertices: NDArray[np.float64], edges: IntArray) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(vertices[:, edges[:, 0]] - vertices[:, edges[:, 1]], axis=2))
