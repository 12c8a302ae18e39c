"""Heads whose correspondence with the open head is known: the open head itself, deformed and meshed anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.model import HeadModel
from backend.head_model.registration.types import SourceHead


@dataclass(frozen=True, eq=False)
class KnownTarget:
    """``source`` and, for each of its vertices, the open head's triangle and barycentric weights it was made at."""

    source: SourceHead
    triangle: NDArray[np.int64]  # (V,)
    barycentric: NDArray[np.float64]  # (V,3)


def smooth_change(points: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """A known smooth map of space: another size and pose, a wider jaw, a longer nose, a skewed skull."""
    p = np.asarray(points, np.float64)
    x, y, z = p.T
    moved = p * [1.04, 0.97, 1.05]
    moved[:, 0] += 0.10 * x * np.exp(-(((y + 0.075) / 0.03) ** 2))
    nose = np.exp(-((x / 0.015) ** 2) - ((y + 0.035) / 0.02) ** 2) * np.clip(z / 0.03, 0, 1)
    moved[:, 2] += 0.005 * nose
    moved[:, 1] -= 0.003 * nose
    moved[:, 1] += 0.004 * np.sin(z / 0.05)
    angle = 0.06
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    return moved @ turn.T + [0.004, 0.02, 0.06]


def remeshed(head: HeadModel, keep: NDArray[np.bool_], seed: int = 3) -> KnownTarget:
    """The open head with every triangle cut in four or three at random places, its vertices shuffled, deformed by
    ``smooth_change``; only pieces whose vertices are in ``keep (V,)``. Nothing else is told about it.
    """
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(keep[head.triangles].all(axis=1))
    triangles = head.triangles[rows].astype(np.int64)
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    edge, of_side = np.unique(edges, axis=0, return_inverse=True)
    side = head.vertex_count + of_side.reshape(3, -1).T
    share = rng.uniform(0.35, 0.65, len(edge))
    a, b, c = triangles.T
    ab, bc, ca = side.T
    fine = np.concatenate([np.stack(t, axis=1) for t in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])
    used, fine = np.unique(fine, return_inverse=True)
    count = len(used)
    order = rng.permutation(count)
    place = np.empty(count, np.int64)
    place[order] = np.arange(count)
    home = np.concatenate([head.template, _between(head.template, edge, share)]).astype(np.float64)[used][order]
    triangle, barycentric = _origins(triangles, rows, side, edge, share, used, head.vertex_count)
    source = SourceHead(
        id="known",
        template=smooth_change(home).astype(np.float32),
        triangles=place[fine.reshape(-1, 3)].astype(np.int32),
        shape_basis=np.zeros((0, count, 3), np.float32),
        expression_basis=np.zeros((0, count, 3), np.float32),
        expression_names=(),
        expression_bounds=np.zeros((0, 2), np.float32),
        licence="made in a test",
    )
    return KnownTarget(source, triangle[order], barycentric[order])


def _between(values, edge, share):
    return values[edge[:, 0]] * (1 - share)[:, None] + values[edge[:, 1]] * share[:, None]


def _origins(triangles, rows, side, edge, share, used, count):
    total = count + len(edge)
    triangle = np.zeros(total, np.int64)
    barycentric = np.zeros((total, 3))
    for k in range(3):
        triangle[triangles[:, k]] = rows
        barycentric[triangles[:, k]] = np.eye(3)[k]
    for k in range(3):
        first = triangles[:, k]
        index = side[:, k]
        along = np.where(edge[index - count, 0] == first, share[index - count], 1 - share[index - count])
        triangle[index] = rows
        barycentric[index] = 0
        barycentric[index, k] = 1 - along
        barycentric[index, (k + 1) % 3] = along
    return triangle[used], barycentric[used]
