"""What shape keys move, as fields of offsets over a face, and how alike two of them are.

Two fields are compared by their inner product under a Gaussian kernel of distance, which needs no common topology and
forgives what a coarse alignment leaves; a field is like itself by 1, like its opposite by −1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

_STILL = 2e-3
"""Keys are left out that move nothing by this share of what the largest one moves."""
_FACE = 6.0
"""What is of a face lies within this many times the keys' median distance from their median place."""
_ACTIVE = 0.1
"""Points are left out that no key moves by this share of what it moves most."""


@dataclass(frozen=True, eq=False)
class Shapes:
    """A neutral (V,3) and what each of K keys adds to it at weight 1: ``offsets`` (K,V,3), by ``names`` (K,)."""

    names: tuple[str, ...]
    neutral: NDArray[np.floating[Any]]
    offsets: NDArray[np.floating[Any]]

    def largest(self) -> F64:
        """The length (K,) of each key's greatest offset."""
        return np.linalg.norm(self.offsets, axis=2).max(axis=1, initial=0.0).astype(np.float64)


@dataclass(frozen=True, eq=False)
class Sample:
    """Points (N,3), each for an even share of the surface that moves, and fields (K,N,3) on them of length 1 each.

    In a character's own unit: centred, and of RMS radius 1, weighted by how much points move. ``lengths`` (K,) are the
    fields' before.
    """

    points: F32
    fields: F32
    lengths: F64

    def only(self, keys: NDArray[np.int64]) -> Sample:
        """Some of the fields."""
        return Sample(self.points, self.fields[keys], self.lengths[keys])

    def centres(self) -> tuple[F64, F64]:
        """Where each key moves most (K,3), and in which direction on the whole (K,3), at most 1 long."""
        size = np.linalg.norm(self.fields, axis=2).astype(np.float64)
        total = size.sum(axis=1, keepdims=True)
        return size @ self.points / total, self.fields.sum(axis=1) / total


@dataclass(frozen=True, eq=False)
class Placing:
    """Points x of the target lie at linear · x + shift on the source."""

    linear: F64
    shift: F64 = field(default_factory=lambda: np.zeros(3))

    def after(self, first: Placing) -> Placing:
        """Where points lie that are placed by another one first."""
        return Placing(self.linear @ first.linear, self.linear @ first.shift + self.shift)

    def of(self, sample: Sample) -> tuple[F32, F32]:
        """A sample's points (N,3) and fields (K,N,3) so placed."""
        points = sample.points @ self.linear.T + self.shift
        return points.astype(np.float32), sample.fields @ self.linear.T.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Products:
    """Inner products of a's fields with b's (A,K), and of those of each among themselves (A,A), (K,K)."""

    cross: F64
    own_a: F64
    own_b: F64

    def likeness(self) -> F64:
        """The likeness (A,K) of each field of a with each of b."""
        return _over(self.cross, np.sqrt(np.diag(self.own_a)), np.sqrt(np.diag(self.own_b)))

    def of_sums(self, rows: list[int], columns: list[int]) -> float:
        """The likeness of the sum of some of a's fields with the sum of some of b's."""
        cross = self.cross[np.ix_(rows, columns)].sum()
        own = self.own_a[np.ix_(rows, rows)].sum() * self.own_b[np.ix_(columns, columns)].sum()
        return float(cross / np.sqrt(max(own, 1e-24)))


def facial(shapes: Shapes) -> Shapes:
    """Without keys that move nothing, or other things than most do (a body's), and without points far from the face."""
    largest = shapes.largest()
    kept = np.flatnonzero(largest > _STILL * largest.max(initial=0.0))
    offsets = shapes.offsets[kept]
    if not len(kept):
        return Shapes((), shapes.neutral, offsets)
    energy = (offsets**2).sum(axis=2, dtype=np.float64)
    energy /= energy.sum(axis=1, keepdims=True)
    centres = energy @ shapes.neutral
    middle = np.median(centres, axis=0)
    reach = _FACE * float(np.median(np.linalg.norm(centres - middle, axis=1)))
    near = np.linalg.norm(shapes.neutral - middle, axis=1) <= (reach if len(kept) > _FEW else np.inf)
    of_face = energy[:, near].sum(axis=1) > 0.5
    names = tuple(shapes.names[index] for index in kept[of_face])
    return Shapes(names, shapes.neutral[near], offsets[np.ix_(of_face, near)])


_FEW = 4  # keys, whose places say little of where a face is


class Samples:
    """Samples of a character's shapes, finer and coarser, in one unit: that of what moves, by all keys or by some."""

    def __init__(self, shapes: Shapes, some: NDArray[np.int64] | None = None) -> None:
        if some is not None:
            shapes = Shapes(tuple(shapes.names[index] for index in some), shapes.neutral, shapes.offsets[some])
        size = np.linalg.norm(shapes.offsets, axis=2)
        size = size / size.max(axis=1, keepdims=True)
        active = np.flatnonzero(size.max(axis=0) > _ACTIVE)
        self._points, self._offsets = shapes.neutral[active], shapes.offsets[:, active]
        points, offsets = self._thinned(_FOR_UNIT)
        weight = np.sqrt((_unit(offsets)[0] ** 2).sum(axis=(0, 2)))
        weight = weight / weight.sum()
        self._centre = weight @ points
        self._radius = max(float(np.sqrt((weight @ (points - self._centre) ** 2).sum())), 1e-12)

    @property
    def keys(self) -> int:
        """The number of keys."""
        return len(self._offsets)

    def placed_in(self, other: Samples) -> Placing:
        """How this unit's points lie in the other unit of the same character."""
        scale = self._radius / other._radius
        return Placing(scale * np.eye(3), (self._centre - other._centre) / other._radius)

    def of(self, count: int) -> Sample:
        """A sample of at most ``count`` points."""
        points, offsets = self._thinned(count)
        fields, lengths = _unit(offsets / self._radius)
        return Sample(((points - self._centre) / self._radius).astype(np.float32), fields.astype(np.float32), lengths)

    def _thinned(self, count: int) -> tuple[F64, F64]:
        """The means of points and offsets in the cells of a grid, at most ``count`` of them."""
        cell = _cells(self._points, count)
        order = np.argsort(cell, kind="stable")
        first = np.flatnonzero(np.diff(cell[order], prepend=-1))
        number = np.diff(first, append=len(order))[:, None]
        points = np.add.reduceat(self._points[order], first, axis=0) / number
        return points, np.add.reduceat(self._offsets[:, order], first, axis=1) / number


_FOR_UNIT = 800


def products(a: Sample, b: Sample, placing: Placing, width: float) -> Products:
    """The inner products of a's fields with b's placed on a, of their lengths before they were made 1."""
    points, fields = placing.of(b)
    cross = _flat(a.fields) @ _flat(_spread(a.points, points, fields, width)).T
    own_a = _flat(a.fields) @ _flat(_spread(a.points, a.points, a.fields, width)).T
    own_b = _flat(fields) @ _flat(_spread(points, points, fields, width)).T
    return Products(
        cross * np.outer(a.lengths, b.lengths),
        own_a * np.outer(a.lengths, a.lengths),
        own_b * np.outer(b.lengths, b.lengths),
    )


def likeness(
    a: Sample, b: Sample, placing: Placing, width: float, own_a: F64 | None = None, own_b: F64 | None = None
) -> F64:
    """The likeness (A,K) of a's fields with b's placed on a; ``own_a`` and ``own_b`` are norms where they are known."""
    points, fields = placing.of(b)
    cross = _flat(a.fields) @ _flat(_spread(a.points, points, fields, width)).T
    own_a = norms(a.points, a.fields, width) if own_a is None else own_a
    own_b = norms(points, fields, width) if own_b is None else own_b
    return _over(np.asarray(cross, np.float64), own_a, own_b)


def norms(points: F32, fields: F32, width: float) -> F64:
    """The norms (K,) of fields under the kernel."""
    squared = (fields * _spread(points, points, fields, width)).sum(axis=(1, 2))
    return np.sqrt(np.maximum(squared, 0.0)).astype(np.float64)


def _over(cross: F64, own_a: F64, own_b: F64) -> F64:
    return cross / np.maximum(np.outer(own_a, own_b), 1e-12)


def _spread(onto: F32, points: F32, fields: F32, width: float) -> F32:
    """Fields (K,N,3) on points (N,3), smoothed onto other points (M,3): (K,M,3).

    By blocks of points that lie together, each with what of the others is near enough to count: of a narrow kernel
    that is little, and Blender's own numpy multiplies matrices twenty times as slowly as one with a BLAS.
    """
    rows = np.moveaxis(fields, 0, 1).reshape(len(points), -1)
    out = np.empty((len(onto), rows.shape[1]), np.float32)
    reach = _REACH * width
    for block in _blocks(onto, reach / 2):
        low, high = onto[block].min(axis=0) - reach, onto[block].max(axis=0) + reach
        near = np.flatnonzero(((points > low) & (points < high)).all(axis=1))
        out[block] = _kernel(onto[block], points[near], width) @ rows[near]
    return np.moveaxis(out.reshape(len(onto), -1, 3), 1, 0)


_REACH = 3.5  # kernel widths beyond which it is below 0.0022
_ONE_BLOCK = 400


def _blocks(points: F32, edge: float) -> list[NDArray[np.int64]]:
    """Points in cells of an edge, by their numbers; few points are one block."""
    if len(points) <= _ONE_BLOCK:
        return [np.arange(len(points))]
    cell = np.floor((points - points.min(axis=0)) / edge).astype(np.int64) @ np.array([1, 1024, 1024 * 1024])
    order = np.argsort(cell, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(cell[order])) + 1)


def _kernel(a: F32, b: F32, width: float) -> F32:
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None, :] - 2 * a @ b.T
    kernel = np.exp(squared * np.float32(-0.5 / width**2))
    kernel[kernel < 1e-6] = 0.0  # products with denormal numbers take ten times as long
    return kernel


def _flat(fields: F32) -> F32:
    return fields.reshape(len(fields), -1)


def _unit(fields: F64) -> tuple[F64, F64]:
    lengths = np.maximum(np.linalg.norm(fields, axis=(1, 2)), 1e-12)
    return fields / lengths[:, None, None], lengths


def _cells(points: NDArray[np.floating[Any]], count: int) -> NDArray[np.int64]:
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
