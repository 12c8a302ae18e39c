"""A head as FaceScape's benchmark looks at it: by rays from a vertical axis through it, a map of radii.

Source of every number here: ``evaluator.py`` and ``mesh_util.py`` of github.com/zhuhao-nju/facescape, benchmark/code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

SIDE = 256
"""Rows and columns of a map."""
REACH = 150.0
"""Millimetres above and below the head's centre that the rows span, the first one on top."""
TURN = 2 * np.pi / (SIDE - 1)
"""Angle from column to column: the last one looks where the first one does, to the back (−z)."""
STEP = 2 * REACH / (SIDE - 1)
JUMP = 15.0
"""Millimetres of radius between neighbours, from which on there is no surface between them."""

_CHUNK_PAIRS = 1_000_000
_EDGE = 1e-9  # of a triangle's side: rays through an edge belong to both triangles


@dataclass(frozen=True, eq=False)
class CylinderMap:
    """For each ray its outermost hit: ``radius (256,256)`` millimetres, 0 for none, ``triangle (256,256)``, -1 for
    none."""

    radius: F64
    triangle: NDArray[np.intp]

    @property
    def hit(self) -> NDArray[np.bool_]:
        """(256,256) where the head is."""
        return self.triangle >= 0


def cylinder_map(vertices: NDArray[np.floating[Any]], triangles: NDArray[np.integer[Any]]) -> CylinderMap:
    """A head (V,3) in millimetres about its centre, y up and z to the front, as its map.

    The ray of row i and column j starts at (0, 150 − i·300/255, 0) and runs along (−sin a, 0, −cos a), a = j·2π/255.
    """
    corners = np.asarray(vertices, np.float64)[triangles]
    radius, chosen = np.zeros((SIDE, SIDE)), np.full((SIDE, SIDE), -1, np.intp)
    for triangle, row, column in _pairs(corners):
        away = _distance(corners[triangle], row, column)
        hit = np.flatnonzero(np.isfinite(away) & (away > radius[row, column]))
        hit = hit[np.argsort(away[hit], kind="stable")]  # where several hit one cell, the last one written is outermost
        radius[row[hit], column[hit]], chosen[row[hit], column[hit]] = away[hit], triangle[hit]
    radius[:, -1], chosen[:, -1] = radius[:, 0], chosen[:, 0]
    return CylinderMap(radius, chosen)


def _pairs(corners: F64) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]]:
    """Triangles with the rows and columns whose rays may hit them, in chunks; every ray but the last column's."""
    angle = np.arctan2(-corners[..., 0], -corners[..., 2])
    turned = (angle - angle[:, :1] + np.pi) % (2 * np.pi) - np.pi
    low, high = turned.min(axis=1), turned.max(axis=1)
    around = high - low >= np.pi  # the axis runs through it
    first_column = np.where(around, 0, np.ceil((angle[:, 0] + low) / TURN - 1e-6)).astype(np.intp)
    last_column = np.where(around, SIDE - 2, np.floor((angle[:, 0] + high) / TURN + 1e-6)).astype(np.intp)
    top, bottom = corners[..., 1].max(axis=1), corners[..., 1].min(axis=1)
    first_row = np.clip(np.ceil((REACH - top) / STEP - 1e-6), 0, SIDE).astype(np.intp)
    last_row = np.clip(np.floor((REACH - bottom) / STEP + 1e-6), -1, SIDE - 1).astype(np.intp)
    columns, rows = np.maximum(last_column - first_column + 1, 0), np.maximum(last_row - first_row + 1, 0)
    count = columns * rows
    ends = np.cumsum(count)
    start = 0
    while start < len(count):
        stop = max(int(np.searchsorted(ends, (ends[start - 1] if start else 0) + _CHUNK_PAIRS, "right")), start + 1)
        triangle = np.repeat(np.arange(start, stop), count[start:stop])
        within = np.arange(len(triangle)) - np.repeat(ends[start:stop] - count[start:stop], count[start:stop])
        within = within + (ends[start - 1] if start else 0)
        row = first_row[triangle] + within // columns[triangle]
        column = (first_column[triangle] + within % columns[triangle]) % (SIDE - 1)
        yield triangle, row, column
        start = stop


def _distance(corners: F64, row: NDArray[np.intp], column: NDArray[np.intp]) -> F64:
    """(P,) how far along its ray each triangle (P,3,3) is hit; NaN where it is not (Möller and Trumbore 1997)."""
    angle = column * TURN
    along = np.stack([-np.sin(angle), np.zeros(len(angle)), -np.cos(angle)], axis=1)
    start = np.stack([np.zeros(len(row)), REACH - row * STEP, np.zeros(len(row))], axis=1)
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    across = np.cross(along, second)
    determinant = np.einsum("nc,nc->n", first, across)
    from_corner = start - corners[:, 0]
    turned = np.cross(from_corner, first)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = np.einsum("nc,nc->n", from_corner, across) / determinant
        v = np.einsum("nc,nc->n", along, turned) / determinant
        away = np.einsum("nc,nc->n", second, turned) / determinant
        inside = (u >= -_EDGE) & (v >= -_EDGE) & (u + v <= 1 + _EDGE) & (away > 0)
    return np.where(inside, away, np.nan)


def cylinder_mesh(radius: F64) -> tuple[F64, NDArray[np.int32]]:
    """A map of radii (256,256), 0 for nothing, as vertices (V,3) in millimetres and triangles (F,3).

    Each cell whose radius differs by less than ``JUMP`` from those to the right, below and aslant has two triangles.
    """
    row, column = np.indices(radius.shape)
    angle = column * TURN
    points = np.stack([-radius * np.sin(angle), REACH - row * STEP, -radius * np.cos(angle)], axis=-1).reshape(-1, 3)
    here = radius[:-1, :-1]
    others = (radius[1:, :-1], radius[:-1, 1:], radius[1:, 1:])
    whole = (here > 0) & (np.max([np.abs(here - other) for other in others], axis=0) < JUMP)
    cell = (row[:-1, :-1] * radius.shape[1] + column[:-1, :-1])[whole]
    right, below = cell + 1, cell + radius.shape[1]
    triangles = np.concatenate([np.stack([cell, right, below], 1), np.stack([below + 1, below, right], 1)])
    used, numbered = np.unique(triangles, return_inverse=True)
    return points[used], numbered.reshape(-1, 3).astype(np.int32)
