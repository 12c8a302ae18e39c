"""Flattens disk-shaped pieces of a mesh without folds: harmonic maps onto a convex outline (Tutte, 1963)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import spsolve

ROUNDS = 25
STEP = 0.35
HOLE = 0.05


def boundary_loops(triangles: NDArray[np.int64]) -> list[list[int]]:
    """The loops of directed boundary edges of consistently wound triangles, each starting at its smallest vertex."""
    edges = {(int(t[k]), int(t[(k + 1) % 3])) for t in triangles for k in range(3)}
    following = {a: b for a, b in edges if (b, a) not in edges}
    loops = []
    while following:
        start = min(following)
        loop = [start]
        while (step := following.pop(loop[-1])) != start:
            loop.append(step)
        loops.append(loop)
    return loops


def flatten(
    triangles: NDArray[np.int64],
    positions: NDArray[np.float64],
    outline: NDArray[np.float64],
    loop: list[int],
    density: NDArray[np.float64],
    rounds: int = ROUNDS,
) -> NDArray[np.float64]:
    """Plane coordinates (n,2) of a disk, its boundary ``loop`` on a convex outline.

    The disk is ``triangles (f,3)`` over ``positions (n,3)``; ``outline (len(loop),2)`` is counter-clockwise.

    ``density (n,)`` is the wanted plane area per surface area, up to a factor. Holes are closed by one point each. The
    result has no flipped triangles, since every weight is positive and the outline convex.
    """
    closed, count = _close_holes(triangles, len(positions), loop)
    corners = positions[triangles]
    surface = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    wanted = surface * density[triangles].mean(axis=1)
    conductivity = np.ones(len(triangles))
    best, best_spread = np.zeros((count, 2)), np.inf
    for _ in range(rounds):
        plane = _solve(closed, triangles, positions, conductivity, count, loop, outline)
        area = np.maximum(signed_areas(plane, triangles), 1e-14)
        ratio = np.log(area / area.sum()) - np.log(wanted / wanted.sum())
        spread = float(np.average(np.abs(ratio), weights=wanted))
        if spread < best_spread:
            best, best_spread = plane, spread
        conductivity = np.clip(conductivity * np.exp(STEP * _smoothed(ratio, wanted, triangles, count)), 1e-5, 1e5)
    return best[: len(positions)]


def signed_areas(plane: NDArray[np.floating[Any]], triangles: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Areas (f,) of triangles in the plane, positive where counter-clockwise."""
    a, b, c = (plane[triangles[:, k]].astype(np.float64) for k in range(3))
    return ((b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])) / 2


def rounded_square(shares: NDArray[np.float64], power: float = 5.0) -> NDArray[np.float64]:
    """Points (n,2) in [0,1]² at ``shares`` (0…1) of the length of a convex rounded square.

    Counter-clockwise from the middle of its lower side.
    """
    angle = np.linspace(-np.pi / 2, 1.5 * np.pi, 4001)
    curve = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    curve /= (np.abs(curve) ** power).sum(axis=1, keepdims=True) ** (1 / power)
    length = np.append(0, np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1)))
    at = shares * length[-1]
    return np.stack([np.interp(at, length, curve[:, k]) for k in range(2)], axis=1) / 2 + 0.5


def circle(count: int) -> NDArray[np.float64]:
    """``count`` points (count,2) around the circle inscribed in the unit square, counter-clockwise."""
    angle = 2 * np.pi * np.arange(count) / count
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) / 2 + 0.5


def _close_holes(triangles: NDArray[np.int64], count: int, outer: list[int]) -> tuple[NDArray[np.int64], int]:
    fans = [triangles]
    for loop in boundary_loops(triangles):
        if set(loop) != set(outer):
            following = np.roll(loop, -1)
            fans.append(np.stack([following, loop, np.full(len(loop), count)], axis=1))
            count += 1
    return np.concatenate(fans), count


def _solve(
    closed: NDArray[np.int64],
    triangles: NDArray[np.int64],
    positions: NDArray[np.float64],
    conductivity: NDArray[np.float64],
    count: int,
    loop: list[int],
    outline: NDArray[np.float64],
) -> NDArray[np.float64]:
    # soft fans let a hole open as wide as the rim around it wants to be
    share = np.append(conductivity, np.full(len(closed) - len(triangles), HOLE * np.median(conductivity)))
    rows = np.concatenate([closed[:, [0, 1, 2]].ravel(), closed[:, [1, 2, 0]].ravel()])
    columns = np.concatenate([closed[:, [1, 2, 0]].ravel(), closed[:, [0, 1, 2]].ravel()])
    padded = np.concatenate([positions, np.zeros((count - len(positions), 3))])
    length = np.linalg.norm(padded[rows] - padded[columns], axis=1)
    fan = (rows >= len(positions)) | (columns >= len(positions))
    length[fan] = np.median(length)
    weight = np.tile(np.repeat(share, 3), 2) / np.maximum(length, 1e-5)
    links = sparse.coo_matrix((weight, (rows, columns)), (count, count)).tocsr()
    links.sum_duplicates()
    laplacian = sparse.diags(np.asarray(links.sum(axis=1)).ravel()) - links
    free = np.setdiff1d(np.arange(count), loop)
    plane = np.zeros((count, 2))
    plane[loop] = outline
    system = laplacian[free].tocsc()
    right = -(system[:, loop] @ outline)
    plane[free] = spsolve(system[:, free], right)
    return plane


def _smoothed(
    ratio: NDArray[np.float64], weight: NDArray[np.float64], triangles: NDArray[np.int64], count: int
) -> NDArray[np.float64]:
    for _ in range(2):
        total, mass = np.zeros(count), np.full(count, 1e-30)
        for k in range(3):
            np.add.at(total, triangles[:, k], ratio * weight)
            np.add.at(mass, triangles[:, k], weight)
        ratio = (total / mass)[triangles].mean(axis=1)
    return ratio
