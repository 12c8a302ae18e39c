"""What shape keys mean, told by what they move: compared with the actions of a head that has them.

Points (V,3) and offsets (K,V,3) in any one frame per character; all here is numpy.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...vendor import face_actions
from .alignment import ENOUGH, MIDDLE, NARROW, align, paired_likeness
from .assignment import assign
from .fields import Products, Samples, Shapes, facial, products

F64 = NDArray[np.float64]
Int = NDArray[np.int64]

_COMPARED = ((MIDDLE, 800), (NARROW, 3000))
"""Widths of the kernels by which keys are compared, with the points of the samples."""
_AMPLITUDE = 0.15
"""What a motion e times as large, or as small, has taken from its likeness, at most: a dimple is a small smile."""
_FIRMNESS = 2.0
"""Power of likenesses in the sum that is made the largest: several middling pairs are not worth a clear one."""
_MORE, _OWN = 0.08, 0.3
"""A further key joins an action's if that makes them more alike by so much, and is by itself like it by so much."""
_MOST_PARTS = 8
_CLEARLY = 0.15
_FEWEST = 6
"""Keys by which a face can be told from anything else."""
_PART = 0.75
"""A target with fewer keys than this share of the actions may have those of a part of the face only."""


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
    as are the actions ``taken`` and pairs of less likeness than ``least``. A few keys alone are not compared at all.
    """
    source, target = facial(source), facial(target)
    known = {a: k for a, k in (known or {}).items() if a in source.names and k in target.names}
    rows = _left(source.names, {*taken, *known})
    columns = _left(target.names, set(known.values()))
    if not len(rows) or not len(columns) or (len(known) < ENOUGH and len(target.names) < _FEWEST):
        return []
    pairs = [(source.names.index(action), target.names.index(key)) for action, key in known.items()]
    moved = Samples(source), Samples(target)
    placing = align(*moved, pairs, _parts_of(source) if len(target.names) < _PART * len(source.names) else ())
    found = []
    for width, count in _COMPARED:
        a, b = (samples.of(count).only(free) for samples, free in zip(moved, (rows, columns), strict=True))
        found.append(products(a, b, placing, width))
    table = np.mean([one.likeness() for one in found], axis=0)
    sizes = np.log(source.largest()), np.log(target.largest())
    links = pairs if len(pairs) >= ENOUGH else [(rows[r], columns[c]) for r, c in assign(-np.maximum(table, 0.0))]
    typical = np.median([sizes[1][column] - sizes[0][row] for row, column in links])
    apart = np.abs(sizes[1][columns][None, :] - sizes[0][rows][:, None] - typical)
    places = {source.names[row]: place for place, row in enumerate(rows)}
    mirrors = {place: places.get(face_actions.mirrored(action), place) for action, place in places.items()}
    choice = _Choice(table - _AMPLITUDE * np.minimum(apart, 1.0), found, mirrors, least)
    return [
        Alike(source.names[rows[row]], target.names[columns[column]], value, lead, gain)
        for row, column, value, lead, gain in choice.links()
    ]


def named_from_the_front(source: Shapes, target: Shapes, known: Mapping[str, str]) -> bool:
    """Whether the sides in pairs action → key are those that one sees from the front: left is the character's right."""
    source, target = facial(source), facial(target)
    sided = [action for action in known if face_actions.mirrored(action) != action]
    straight, turned = (
        [
            (source.names.index(action), target.names.index(known[key]))
            for action, key in ((way(key), key) for key in sided)
            if action in source.names and known[key] in target.names
        ]
        for way in (str, face_actions.mirrored)
    )
    if min(len(straight), len(turned)) < ENOUGH:
        return False
    moved = Samples(source), Samples(target)
    return paired_likeness(*moved, turned) > paired_likeness(*moved, straight) + _CLEARLY


class _Choice:
    """Which rows (actions) and columns (keys) of a table of likeness go together; ``mirrors`` are rows by rows."""

    def __init__(self, table: F64, found: list[Products], mirrors: Mapping[int, int], least: float) -> None:
        self._table, self._found, self._mirrors = table, found, mirrors
        self._benefit = np.maximum(table, 0.0) ** _FIRMNESS
        self._pairs = [(r, c) for r, c in assign(-self._benefit) if table[r, c] >= least]

    def links(self) -> list[tuple[int, int, float, float, float]]:
        """All links in the order of rows: row, column, likeness, lead, gain."""
        rows, columns = ({pair[side] for pair in self._pairs} for side in (0, 1))
        out = []
        for row, column in self._pairs:
            more_columns = self._parts(row, column, columns)
            more_rows = [] if more_columns else self._mirror(row, column, rows)
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

    def _parts(self, row: int, column: int, used: set[int]) -> list[int]:
        """Further columns that are nobody's, are like this row best, and make the pair more alike."""
        free = [c for c in range(self._table.shape[1]) if c not in used and self._table[:, c].argmax() == row]
        free = sorted((c for c in free if self._table[row, c] >= _OWN), key=lambda c: -self._table[row, c])
        joined: list[int] = []
        reached = self._together([row], [column])
        for other in free[:_MOST_PARTS]:
            together = self._together([row], [column, *joined, other])
            if together > reached + _MORE:
                joined.append(other)
                reached = together
        return joined

    def _mirror(self, row: int, column: int, used: set[int]) -> list[int]:
        """The row's mirror, if it has no column and makes the pair more alike: then the column does both sides."""
        other = self._mirrors[row]
        if other in used or self._table[other, column] < _OWN:
            return []
        return [other] if self._together([row, other], [column]) > self._together([row], [column]) + _MORE else []

    def _together(self, rows: list[int], columns: list[int]) -> float:
        return float(np.mean([one.of_sums(rows, columns) for one in self._found]))


def _parts_of(source: Shapes) -> list[Samples]:
    """The upper and the lower face by themselves, for targets that may have keys of one of them only."""
    upper = [row for row, name in enumerate(source.names) if name.startswith(("eye", "brow"))]
    lower = [row for row, name in enumerate(source.names) if name.startswith(("mouth", "jaw"))]
    return [Samples(source, np.array(rows)) for rows in (upper, lower) if len(rows) >= ENOUGH]


def _left(names: tuple[str, ...], done: Collection[str]) -> Int:
    return np.array([place for place, name in enumerate(names) if name not in done], np.int64)
