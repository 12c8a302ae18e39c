"""How one face lies on another, found from what their shape keys move: any upright, units and axes, never mirrored."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .assignment import assign
from .fields import Placing, Sample, Samples, likeness, norms

F64 = NDArray[np.float64]
Pairs = Sequence[tuple[int, int]]

WIDE, MIDDLE, NARROW = 0.5, 0.25, 0.12
"""Kernel widths in RMS radii of what moves of a face: to find an alignment, to tell keys apart, and lips and lids."""
_SEARCHED = 0.18
_COARSE, _FINE = 100, 240
"""Points of the samples that are aligned."""
_MANY, _TRIED = 12, 3  # keys; fewer need more points, and more than one placing tried to the end
_SAME = 0.05
_TURNS, _KEPT = 250, 6
_MOST_SCALE = 2.5
_FIRST_STEP, _LAST_STEP, _MOST_SWEEPS = 0.08, 0.015, 16
ENOUGH = 4
"""Known pairs that an alignment can be read from."""


def align(source: Samples, target: Samples, pairs: Pairs = (), parts: Sequence[Samples] = ()) -> Placing:
    """How the target lies on the source, in their units.

    ``pairs`` (row, column) of keys that are known lead where they are enough. ``parts`` of the source are tried by
    themselves, too, for a target that has only the like of one.
    """
    few = target.keys <= _MANY
    a, b = (samples.of(_FINE if few else _COARSE) for samples in (source, target))
    if len(pairs) >= ENOUGH:
        placings = [_fit(a, b, np.zeros((len(a.fields), len(b.fields))), pairs)]
    else:
        placings = _searched(a, b)
        for part in parts:
            placings += [part.placed_in(source).after(placing) for placing in _searched(part.of(len(a.points)), b)]
        placings.sort(key=lambda placing: -_worth_of_pairs(likeness(a, b, placing, MIDDLE)))
        placings = _distinct(placings)[: _TRIED if few else 1]
    a, b = source.of(_FINE), target.of(_FINE)
    placings = [_refined(a, b, placing, pairs) for placing in placings]
    return max(placings, key=lambda placing: _worth_of_pairs(likeness(a, b, placing, _SEARCHED)))


def _distinct(placings: list[Placing]) -> list[Placing]:
    """Those that are not much the same as an earlier one."""
    out: list[Placing] = []
    for one in placings:
        apart = [np.abs(one.linear - other.linear).max() + np.abs(one.shift - other.shift).max() for other in out]
        if min(apart, default=np.inf) > _SAME:
            out.append(one)
    return out


def paired_likeness(source: Samples, target: Samples, pairs: Pairs) -> float:
    """How alike the keys of known pairs are on the whole where they are laid on each other; pairs are enough."""
    a, b = source.of(_COARSE), target.of(_COARSE)
    placing = _fit(a, b, np.zeros((len(a.fields), len(b.fields))), pairs)
    rows, columns = np.array(pairs).T
    return float(likeness(a, b, placing, MIDDLE)[rows, columns].mean())


def _searched(a: Sample, b: Sample) -> list[Placing]:
    """The likeliest placings of b on a, of all turns."""
    own = norms(a.points, a.fields, WIDE), norms(b.points, b.fields, WIDE)  # of b's no turn changes them
    turns = _rotations(_TURNS)
    worth = [_worth(likeness(a, b, Placing(turn), WIDE, *own)) for turn in turns]
    return [_settled(a, b, Placing(turns[index])) for index in np.argsort(worth)[::-1][:_KEPT]]


def _worth(table: F64) -> float:
    """How well an alignment explains the keys: by the best likeness of each row and of each column."""
    return float(table.max(axis=1).mean() + table.max(axis=0).mean())


def _worth_of_pairs(table: F64) -> float:
    """How well an alignment explains the keys, each by an action of its own."""
    rows, columns = np.array(assign(-np.maximum(table, 0.0))).T
    return float(table[rows, columns].mean())


def _settled(a: Sample, b: Sample, placing: Placing) -> Placing:
    for width in (WIDE, WIDE, MIDDLE, MIDDLE):
        placing = _fit(a, b, likeness(a, b, placing, width))
    return placing


def _fit(a: Sample, b: Sample, table: F64, pairs: Pairs = ()) -> Placing:
    """The turn, scale and shift that lay the centres and directions of b's keys onto those of a's that are like them.

    By known pairs if there are any, otherwise by the likeness (A,K).
    """
    rows, columns = np.array(pairs or assign(-np.maximum(table, 0.0))).T
    weight = np.ones(len(rows)) if pairs else np.maximum(table[rows, columns], 1e-3) ** 2
    weight = weight / weight.sum()
    centre_a, heading_a = (values[rows] for values in a.centres())
    centre_b, heading_b = (values[columns] for values in b.centres())
    mean_a, mean_b = weight @ centre_a, weight @ centre_b
    out_a, out_b = centre_a - mean_a, centre_b - mean_b
    u, _, vt = np.linalg.svd((out_a * weight[:, None]).T @ out_b + 0.5 * (heading_a * weight[:, None]).T @ heading_b)
    turn = u @ np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))]) @ vt
    ratio = np.sqrt((weight @ out_a**2).sum() / max((weight @ out_b**2).sum(), 1e-12))
    linear = float(np.clip(ratio, 1 / _MOST_SCALE, _MOST_SCALE)) * turn
    return Placing(linear, mean_a - linear @ mean_b)


def _refined(a: Sample, b: Sample, placing: Placing, pairs: Pairs) -> Placing:
    """A placing nearby under which keys are more like their actions: turned, shifted, and scaled along the axes.

    A search along one parameter after another, with steps that are halved where none of them helps.
    """
    own_a = norms(a.points, a.fields, _SEARCHED)
    best, step = np.zeros(9), _FIRST_STEP
    for _ in range(_MOST_SWEEPS):  # it need not end by itself: with other pairs another placing is the best
        if step < _LAST_STEP:
            break
        own_b = norms(*_moved(placing, best).of(b), _SEARCHED)
        table = likeness(a, b, _moved(placing, best), _SEARCHED, own_a, own_b)
        rows, columns = np.array(pairs if len(pairs) >= ENOUGH else assign(-np.maximum(table, 0.0))).T
        reached, better = float(table[rows, columns].sum()), False
        for change in (*np.eye(9), *-np.eye(9)):
            tried = best + step * change
            known = own_b if (tried[6:] == best[6:]).all() else None  # turned and shifted they keep their norms
            table = likeness(a, b, _moved(placing, tried), _SEARCHED, own_a, known)
            if float(table[rows, columns].sum()) > reached + 1e-4:
                best, reached, better = tried, float(table[rows, columns].sum()), True
                own_b = norms(*_moved(placing, best).of(b), _SEARCHED) if known is None else own_b
        if not better:
            step /= 2
    return _moved(placing, best)


def _moved(placing: Placing, by: F64) -> Placing:
    """A placing turned by a rotation vector, shifted, and scaled along the axes by exponents: ``by`` (9,)."""
    stretch = np.exp(by[6:])[:, None] * _turn(by[:3])
    return Placing(stretch @ placing.linear, stretch @ placing.shift + by[3:6])


def _turn(vector: F64) -> F64:
    """The turn of a rotation vector (Rodrigues)."""
    angle = float(np.linalg.norm(vector))
    x, y, z = vector / max(angle, 1e-12)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def _rotations(count: int) -> F64:
    """Turns (24 + count,3,3): those of the axes onto each other, and evenly spread ones.

    The latter by two irrational turns a step (Alexa 2022, “Super-Fibonacci spirals”, whose constants these are).
    """
    axes = []
    for order in ((0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1), (2, 1, 0), (1, 0, 2)):
        for signs in np.ndindex(2, 2, 2):
            turn = np.zeros((3, 3))
            turn[np.arange(3), order] = 1.0 - 2.0 * np.array(signs)
            if np.linalg.det(turn) > 0:
                axes.append(turn)
    step = np.arange(count) + 0.5
    inner, outer = np.sqrt(step / count), np.sqrt(1.0 - step / count)
    alpha, beta = 2 * np.pi * step / np.sqrt(2.0), 2 * np.pi * step / 1.533751168755204288118041
    x, y, z, w = inner * np.sin(alpha), inner * np.cos(alpha), outer * np.sin(beta), outer * np.cos(beta)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    )
    return np.concatenate([np.array(axes), np.moveaxis(np.array(rows), 2, 0)])
