"""The eyelashes: which lid point each lash vertex grows from, so that lashes follow the lids."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

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


@dataclass(frozen=True, eq=False)
class LashBinding:
    """Lash vertices bound to the skin.

    Vertices ``index (n,)``, the skin vertices ``near (n,3)`` each hangs on with ``weight (n,3)``, and its ``offset
    (n,3)`` from them, metres.

    MakeHuman leaves the lashes behind when an eye blinks, and half buries them in many faces.
    """

    index: NDArray[np.int64]
    near: NDArray[np.int64]
    weight: NDArray[np.float64]
    offset: NDArray[np.float64]

    def carry(self, vertices: NDArray[np.float64]) -> NDArray[np.float64]:
        """Heads (…,V,3) with their lashes put where the lids are."""
        changed = vertices.copy()
        changed[..., self.index, :] = self._on_lids(vertices) + self.offset
        return changed

    def carry_offsets(self, offsets: NDArray[np.float64]) -> NDArray[np.float64]:
        """Offsets (…,V,3) with the lashes moving as the lids do."""
        changed = offsets.copy()
        changed[..., self.index, :] = self._on_lids(offsets)
        return changed

    def _on_lids(self, vertices: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.einsum("lk,...lkc->...lc", self.weight, vertices[..., self.near, :])


def bind_lashes(
    vertices: NDArray[np.float64], skin: NDArray[np.bool_], lashes: NDArray[np.bool_], roots: NDArray[np.int64]
) -> LashBinding:
    """Hang each lash vertex of a head (V,3) on the three skin vertices nearest to its root, by inverse distance."""
    index, skin_index = np.flatnonzero(lashes), np.flatnonzero(skin)
    distance, near = cKDTree(vertices[skin_index]).query(vertices[roots[index]], k=3)
    weight = 1 / np.maximum(distance, 1e-5)
    weight /= weight.sum(axis=1, keepdims=True)
    near = skin_index[near]
    return LashBinding(index, near, weight, vertices[index] - np.einsum("lk,lkc->lc", weight, vertices[near]))
