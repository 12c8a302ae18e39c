"""What shape keys mean, told by what they move: compared with the actions of a head that has them.

Points (V,3) and offsets (K,V,3) in any one frame per character; all here is numpy.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .alignment import ENOUGH, MIDDLE, NARROW, align
from .assignment import assign
from .fields import Products, Samples, Shapes, products

F64 = NDArray[np.float64]
Int = NDArray[np.int64]

_STILL = 2e-3
"""Keys are left out that move nothing by this share of what the largest one moves."""
_POINTS = 3000
_AMPLITUDE = 0.15
"""What a motion e times as large, or as small, has taken from its likeness, at most: a dimple is a small smile."""
_FIRMNESS = 2.0
"""Power of likenesses in the sum that is made the largest: several middling pairs are not worth a clear one."""
_MORE, _OWN = 0.08, 0.3
"""A further key joins an action's if that makes them more alike by so much, and is by itself like it by so much."""
_MOST_PARTS = 8


@dataclass(frozen=True)
class Alike:
    """A key that moves what an action moves, or a part of it, or also it (then by a ``gain`` below 1).

    ``likeness`` is 1 for the same field, ``lead`` by how much all would be worse without this pair.
    """

    action: str
    key: str
    likeness: float
    lead: float
    gain: float = 1.0


def match(
    source: Shapes,
    target: Shapes,
    known: Mapping[str, str] | None = None,
    *,
    taken: Collection[str] = (),
    least: float = 0.25,
) -> list[Alike]:
    """Which of the target's keys are which of the source's actions, in the source's order.

    Mostly one each; keys that make an action together all are its, and one that makes several of them, each one's.
    ``known`` are pairs action → key that are sure already: they guide the alignment and are left out of the answer,
    as are the actions ``taken`` and pairs of less likeness than ``least``.
    """
    source, target = _moving(source), _moving(target)
    known = {a: k for a, k in (known or {}).items() if a in source.names and k in target.names}
    rows = _left(source.names, {*taken, *known})
    columns = _left(target.names, set(known.values()))
    if not len(rows) or not len(columns):
        return []
    pairs = [(source.names.index(action), target.names.index(key)) for action, key in known.items()]
    moved = Samples(source), Samples(target)
    placing = align(*moved, pairs)
    a, b = (samples.of(_POINTS).only(free) for samples, free in zip(moved, (rows, columns), strict=True))
    found = [products(a, b, placing, width) for width in (MIDDLE, NARROW)]
    table = np.mean([one.likeness() for one in found], axis=0)
    sizes = np.log(source.largest()), np.log(target.largest())
    links = pairs if len(pairs) >= ENOUGH else [(rows[r], columns[c]) for r, c in assign(-np.maximum(table, 0.0))]
    typical = np.median([sizes[1][column] - sizes[0][row] for row, column in links])
    apart = np.abs(sizes[1][columns][None, :] - sizes[0][rows][:, None] - typical)
    choice = _Choice(table - _AMPLITUDE * np.minimum(apart, 1.0), found, least)
    return [
        Alike(source.names[rows[row]], target.names[columns[column]], value, lead, gain)
        for row, column, value, lead, gain in choice.links()
    ]


class _Choice:
    """Which rows (actions) and columns (keys) of a table of likeness go together."""

    def __init__(self, table: F64, found: list[Products], least: float) -> None:
        self._table, self._found = table, found
        self._benefit = np.maximum(table, 0.0) ** _FIRMNESS
        self._pairs = [(r, c) for r, c in assign(-self._benefit) if table[r, c] >= least]

    def links(self) -> list[tuple[int, int, float, float, float]]:
        """All links in the order of rows: row, column, likeness, lead, gain."""
        rows, columns = ({pair[side] for pair in self._pairs} for side in (0, 1))
        out = []
        for row, column in self._pairs:
            more_columns = self._joined(row, column, columns)
            more_rows = [] if more_columns else self._joined(row, column, rows, of_rows=True)
            value = self._together([row, *more_rows], [column, *more_columns])
            gain = 1.0 / (1 + len(more_rows))
            lead = self._lead([row, *more_rows], [column, *more_columns])
            out += [(row, other, value, lead, gain) for other in (column, *more_columns)]
            out += [(other, column, value, lead, gain) for other in more_rows]
        return sorted(out)

    def _lead(self, rows: list[int], columns: list[int]) -> float:
        """By how much the best choice of all is better than the best one without these pairs."""
        without = self._benefit.copy()
        without[np.ix_(rows, columns)] = 0.0
        best = sum(self._benefit[r, c] for r, c in assign(-self._benefit))
        return float(best - sum(without[r, c] for r, c in assign(-without)))

    def _joined(self, row: int, column: int, used: set[int], *, of_rows: bool = False) -> list[int]:
        """Further columns (or rows) that are nobody's, like this pair's row (column) best, and make it more alike."""
        table = self._table.T if of_rows else self._table
        line = column if of_rows else row
        free = [o for o in range(table.shape[1]) if o not in used and table[:, o].argmax() == line]
        free = sorted((o for o in free if table[line, o] >= _OWN), key=lambda o: -table[line, o])
        joined: list[int] = []
        reached = self._together([row], [column])
        for other in free[:_MOST_PARTS]:
            sides = ([row, *joined, other], [column]) if of_rows else ([row], [column, *joined, other])
            together = self._together(*sides)
            if together > reached + _MORE:
                joined.append(other)
                reached = together
        return joined

    def _together(self, rows: list[int], columns: list[int]) -> float:
        return float(np.mean([one.of_sums(rows, columns) for one in self._found]))


def _left(names: tuple[str, ...], done: Collection[str]) -> Int:
    return np.array([place for place, name in enumerate(names) if name not in done], np.int64)


def _moving(shapes: Shapes) -> Shapes:
    """Without the keys that move nothing."""
    largest = shapes.largest()
    kept = np.flatnonzero(largest > _STILL * largest.max(initial=0.0))
    return Shapes(tuple(shapes.names[index] for index in kept), shapes.neutral, shapes.offsets[kept])
