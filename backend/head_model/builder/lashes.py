"""The eyelashes: which lid point each lash vertex grows from, so that lashes follow the lids."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from backend.head_model.builder.source import Source

LENGTH = {"1": 0.30, "2": 0.45}
"""Share of MakeHuman's lash length kept: its strips are drawn with a transparent picture, ours are plain geometry.

The key is the group's last letter: 1 is a lower lash, 2 an upper one.
"""


def lash_roots(source: Source, group: str) -> dict[int, int]:
    """Each vertex of a lash strip -> the vertex of its column on the lid's edge.

    A strip is a grid of quads; its root row is the long side nearer to the skin.
    """
    quads = source.groups[group]
    distance, _ = cKDTree(source.vertices[np.unique(source.groups["body"])]).query(source.vertices)
    row = min(_long_sides(quads), key=lambda side: float(distance[side].mean()))
    neighbours: dict[int, set[int]] = {}
    for quad in quads.tolist():
        for k in range(4):
            neighbours.setdefault(quad[k], set()).update((quad[k - 1], quad[(k + 1) % 4]))
    roots = {v: v for v in row}
    current = list(row)
    while current:
        following = []
        for v in current:
            for other in sorted(neighbours[v] - roots.keys()):
                roots[other] = roots[v]
                following.append(other)
        current = following
    return roots


def _long_sides(quads: NDArray[np.int64]) -> list[list[int]]:
    edges = Counter(tuple(sorted((int(q[k]), int(q[(k + 1) % 4])))) for q in quads for k in range(4))
    border: dict[int, list[int]] = {}
    for (a, b), count in edges.items():
        if count == 1:
            border.setdefault(a, []).append(b)
            border.setdefault(b, []).append(a)
    uses = Counter(quads.ravel().tolist())
    corners = [v for v in border if uses[v] == 1]
    sides = []
    for start in corners:
        for step in border[start]:
            side = [start, step]
            while side[-1] not in corners:
                side.append(next(v for v in border[side[-1]] if v != side[-2]))
            sides.append(side)
    longest = max(len(side) for side in sides)
    unique = {frozenset(side): side for side in sides if len(side) == longest}
    return list(unique.values())


def bound_to_lids(
    vertices: NDArray[np.float64], skin: NDArray[np.bool_], roots: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The three skin vertices (n,3) nearest to each lash vertex's root, and their weights (n,3) by inverse distance."""
    index = np.flatnonzero(skin)
    distance, near = cKDTree(vertices[index]).query(vertices[roots], k=3)
    weight = 1 / np.maximum(distance, 1e-5)
    return index[near], weight / weight.sum(axis=1, keepdims=True)
