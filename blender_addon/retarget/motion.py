"""What shape keys mean, told by what they move: compared with the actions of a head that has them.

Each key is a field of offsets over the face. Two fields are compared by their inner product under a kernel of
distance, which needs no common topology and forgives what a coarse alignment leaves; identical fields have 1. The
alignment (turn, scale, shift) is found from the motions: any upright, any units, any axes, never a mirror image, so
that left stays left. All here is numpy: points (V,3) and offsets (K,V,3) in any one frame per character.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .assignment import assign

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

STILL = 2e-3
"""Keys that move nothing by more than this share of what the largest one moves are left out."""
_COARSE_POINTS, _FIT_POINTS, _POINTS = 150, 800, 3000
_TURNS = 400
_KEPT = 6
_ENOUGH = 4  # known pairs that an alignment can be read from
_MOST_SCALE = 2.5
_AMPLITUDE = 0.15
_WIDE, _MIDDLE, _NARROW = 0.5, 0.25, 0.12  # kernel widths in RMS radii of what moves of a face


@dataclass(frozen=True, eq=False)
class Shapes:
    """A neutral (V,3) and what each of K keys adds to it at weight 1: ``offsets`` (K,V,3), by ``names`` (K,)."""

    names: tuple[str, ...]
    neutral: NDArray[np.floating[Any]]
    offsets: NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Alike:
    """A key that moves what an action moves: ``likeness`` is 1 for the same field, ``lead`` its lead on the next."""

    action: str
    key: str
    likeness: float
    lead: float


@dataclass(frozen=True, eq=False)
class _Sample:
    """Points (N,3), each for an even share of the surface that moves, and unit fields (K,N,3) on them.

    Centred, and of RMS radius 1, weighted by how much they move.
    """

    points: F32
    fields: F32


@dataclass(frozen=True, eq=False)
class _Placing:
    """Points x of the target lie at scale · turn · x + shift on the source."""

    turn: F64
    shift: F64 = field(default_factory=lambda: np.zeros(3))
    scale: float = 1.0


def match(
    source: Shapes,
    target: Shapes,
    known: Mapping[str, str] | None = None,
    *,
    taken: Collection[str] = (),
    least: float = 0.3,
) -> list[Alike]:
    """Which of the target's keys is which of the source's actions, one each, the surest first.

    ``known`` are pairs action → key that are sure already: they guide the alignment and are left out of the answer,
    as are the actions ``taken`` and pairs of less likeness than ``least``.
    """
    source, target = _moving(source), _moving(target)
    if not source.names or not target.names:
        return []
    pairs = [
        (source.names.index(action), target.names.index(key))
        for action, key in (known or {}).items()
        if action in source.names and key in target.names
    ]
    likeness = _best_likeness(source, target, pairs)
    done = {*taken, *(known or ())}
    free_rows = np.array([row for row, action in enumerate(source.names) if action not in done], np.int64)
    free_columns = np.setdiff1d(np.arange(len(target.names)), [column for _, column in pairs])
    if not len(free_rows) or not len(free_columns):
        return []
    return _read_pairs(likeness, free_rows, free_columns, source.names, target.names, least)


def _read_pairs(
    likeness: F64,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    actions: Sequence[str],
    keys: Sequence[str],
    least: float,
) -> list[Alike]:
    table = likeness[np.ix_(rows, columns)]
    found = []
    for row, column in assign(-np.maximum(table, 0.0)):
        value = float(table[row, column])
        others = np.r_[np.delete(table[row], column), np.delete(table[:, column], row), 0.0]
        if value >= least:
            found.append(Alike(actions[rows[row]], keys[columns[column]], value, value - float(others.max())))
    return sorted(found, key=lambda alike: -alike.likeness)


def _best_likeness(source: Shapes, target: Shapes, pairs: Sequence[tuple[int, int]]) -> F64:
    """The likeness (A,K) of each action with each key under the best alignment."""
    a, b = _sample(source, _COARSE_POINTS), _sample(target, _COARSE_POINTS)
    own = _norms(a.fields, a.points, _WIDE)
    turns = _rotations(_TURNS)
    worth = [_worth(_likeness(a, b, _Placing(turn), _WIDE, own), pairs) for turn in turns]
    placings = [_settled(a, b, _Placing(turns[index]), pairs) for index in np.argsort(worth)[::-1][:_KEPT]]
    placing = max(placings, key=lambda placing: _worth(_likeness(a, b, placing, _MIDDLE), pairs))
    a, b = _sample(source, _FIT_POINTS), _sample(target, _FIT_POINTS)
    for width in (_MIDDLE, _NARROW):
        placing = _fit(a, b, _likeness(a, b, placing, width), pairs)
    a, b = _sample(source, _POINTS), _sample(target, _POINTS)
    table = (_likeness(a, b, placing, _MIDDLE) + _likeness(a, b, placing, _NARROW)) / 2
    return table - _AMPLITUDE * _apart(source, target, table)


def _settled(a: _Sample, b: _Sample, placing: _Placing, pairs: Sequence[tuple[int, int]]) -> _Placing:
    for width in (_WIDE, _WIDE, _MIDDLE, _MIDDLE):
        placing = _fit(a, b, _likeness(a, b, placing, width), pairs)
    return placing


def _apart(source: Shapes, target: Shapes, table: F64) -> F64:
    """How far apart (A,K) in log size two keys' greatest offsets are, after the typical ratio; 1 at most."""
    largest_a = np.log(np.linalg.norm(source.offsets, axis=2).max(axis=1))
    largest_b = np.log(np.linalg.norm(target.offsets, axis=2).max(axis=1))
    rows, columns = np.array(assign(-np.maximum(table, 0.0))).T
    typical = np.median(largest_b[columns] - largest_a[rows])
    return np.minimum(np.abs(largest_b[None, :] - largest_a[:, None] - typical), 1.0)


def _worth(table: F64, pairs: Sequence[tuple[int, int]]) -> float:
    """How well an alignment explains the keys: the mean of the best likeness of rows and columns."""
    if len(pairs) >= _ENOUGH:
        return float(np.mean([table[row, column] for row, column in pairs]))
    return float(table.max(axis=1).mean() + table.max(axis=0).mean())


def _likeness(a: _Sample, b: _Sample, placing: _Placing, width: float, own: F64 | None = None) -> F64:
    """The likeness (A,K) of a's fields with b's placed on a; ``own`` are a's norms where they are known."""
    points = (placing.scale * b.points @ placing.turn.T + placing.shift).astype(np.float32)
    fields = b.fields @ placing.turn.T.astype(np.float32)
    cross = _flat(a.fields) @ _flat(_spread(a.points, points, fields, width)).T
    own = _norms(a.fields, a.points, width) if own is None else own
    return np.asarray(cross / np.maximum(np.outer(own, _norms(fields, points, width)), 1e-12), np.float64)


def _norms(fields: F32, points: F32, width: float) -> F64:
    squared = (fields * _spread(points, points, fields, width)).sum(axis=(1, 2))
    return np.sqrt(np.maximum(squared, 0.0)).astype(np.float64)


def _spread(onto: F32, points: F32, fields: F32, width: float) -> F32:
    """Fields (K,N,3) on points (N,3), smoothed onto other points (M,3): (K,M,3)."""
    kernel = _kernel(onto, points, width)
    return np.moveaxis(np.tensordot(kernel, fields, axes=(1, 1)), 0, 1)


def _flat(fields: F32) -> F32:
    return fields.reshape(len(fields), -1)


def _kernel(a: F32, b: F32, width: float) -> F32:
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None, :] - 2 * a @ b.T
    kernel = np.exp(squared * np.float32(-0.5 / width**2))
    kernel[kernel < 1e-6] = 0.0  # products with denormal numbers take ten times as long
    return kernel


def _fit(a: _Sample, b: _Sample, table: F64, pairs: Sequence[tuple[int, int]]) -> _Placing:
    """What lays the centres and directions of b's keys onto those of a's that are like them."""
    if len(pairs) >= _ENOUGH:
        rows, columns = np.array(pairs).T
        weight = np.ones(len(rows))
    else:
        rows, columns = np.array(assign(-np.maximum(table, 0.0))).T
        weight = np.maximum(table[rows, columns], 1e-3) ** 2
    weight = weight / weight.sum()
    centre_a, heading_a = (values[rows] for values in _centres(a))
    centre_b, heading_b = (values[columns] for values in _centres(b))
    mean_a, mean_b = weight @ centre_a, weight @ centre_b
    out_a, out_b = centre_a - mean_a, centre_b - mean_b
    u, _, vt = np.linalg.svd((out_a * weight[:, None]).T @ out_b + 0.5 * (heading_a * weight[:, None]).T @ heading_b)
    turn = u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))]) @ vt
    ratio = np.sqrt((weight @ out_a**2).sum() / max((weight @ out_b**2).sum(), 1e-12))
    scale = float(np.clip(ratio, 1 / _MOST_SCALE, _MOST_SCALE))
    return _Placing(turn, mean_a - scale * turn @ mean_b, scale)


def _centres(sample: _Sample) -> tuple[F64, F64]:
    """Where each key moves most (K,3), and in which direction on the whole (K,3), at most 1 long."""
    size = np.linalg.norm(sample.fields, axis=2).astype(np.float64)
    total = size.sum(axis=1, keepdims=True)
    return size @ sample.points / total, sample.fields.sum(axis=1) / total


def _moving(shapes: Shapes) -> Shapes:
    """Without the keys that move nothing."""
    largest = np.linalg.norm(shapes.offsets, axis=2).max(axis=1, initial=0.0)
    kept = np.flatnonzero(largest > STILL * largest.max(initial=0.0))
    return Shapes(tuple(shapes.names[index] for index in kept), shapes.neutral, shapes.offsets[kept])


def _sample(shapes: Shapes, count: int) -> _Sample:
    """An even sample of the surface that moves, at most ``count`` points, in its own unit of length."""
    size = np.linalg.norm(shapes.offsets, axis=2)
    size = size / size.max(axis=1, keepdims=True)
    active = np.flatnonzero(size.max(axis=0) > 0.1)
    cell = _cells(shapes.neutral[active], count)
    order = np.argsort(cell, kind="stable")
    first = np.flatnonzero(np.diff(cell[order], prepend=-1))
    number = np.diff(first, append=len(order))[:, None]
    points = np.add.reduceat(shapes.neutral[active][order], first, axis=0) / number
    fields = np.add.reduceat(shapes.offsets[:, active[order]], first, axis=1) / number
    fields = fields / np.maximum(np.linalg.norm(fields, axis=(1, 2), keepdims=True), 1e-12)
    activity = np.sqrt((fields**2).sum(axis=(0, 2)))
    weight = activity / activity.sum()
    centre = weight @ points
    radius = np.sqrt((weight @ ((points - centre) ** 2)).sum())
    return _Sample(((points - centre) / radius).astype(np.float32), fields.astype(np.float32))


def _cells(points: F64, count: int) -> NDArray[np.int64]:
    """The cell (N,) of each point in the finest grid that has at most ``count`` cells with points."""
    low, extent = points.min(axis=0), float(np.ptp(points, axis=0).max())
    coarse, fine = 1.0, 512.0
    found = np.zeros(len(points), np.int64)
    for _ in range(12):
        middle = np.sqrt(coarse * fine)
        cells = ((points - low) / max(extent, 1e-12) * middle).astype(np.int64) @ np.array([1, 1024, 1024 * 1024])
        _, index = np.unique(cells, return_inverse=True)
        if index.max() < count:
            coarse, found = middle, index
        else:
            fine = middle
    return found


def _rotations(count: int) -> F64:
    """Turns (24 + count,3,3): those of the axes onto each other, and evenly spread ones."""
    axes = []
    for order in ((0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1), (2, 1, 0), (1, 0, 2)):
        for signs in np.ndindex(2, 2, 2):
            turn = np.zeros((3, 3))
            turn[np.arange(3), order] = 1.0 - 2.0 * np.array(signs)
            if np.linalg.det(turn) > 0:
                axes.append(turn)
    # Alexa 2022, "Super-Fibonacci spirals": quaternions from two irrational turns a step.
    step = np.arange(count) + 0.5
    r, big = np.sqrt(step / count), np.sqrt(1.0 - step / count)
    alpha, beta = 2 * np.pi * step / np.sqrt(2.0), 2 * np.pi * step / 1.533751168755204288118041
    x, y, z, w = r * np.sin(alpha), r * np.cos(alpha), big * np.sin(beta), big * np.cos(beta)
    spiral = np.stack(
        [
            np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)], -1),
            np.stack([2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)], -1),
            np.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], -1),
        ],
        axis=1,
    )
    return np.concatenate([np.array(axes), spiral])
