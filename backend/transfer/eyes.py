"""The eyeballs of a foreign mesh: two loose round pieces of one size, whatever lies within and around them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.head_model.registration.face_points import sphere_centre
from backend.transfer.types import F64, Mask

ROUND = 0.16
"""The largest deviation of the 95th percentile of distances from a sphere, as a share of its radius: corneas bulge."""
ALIKE = 1.12  # the larger radius of a pair to the smaller
APART = (1.8, 9.0)  # of the centres, in radii: touching cartoon eyes to small eyes far apart
LEAST = 16  # vertices of a piece that may be an eyeball
WITHIN = 1.06
"""Radii from an eyeball's centre within which whole pieces belong to it: iris, pupil, cornea; lashes reach farther."""


@dataclass(frozen=True, eq=False)
class Eyes:
    """Masks (V,) of the two eyeballs with all that belongs to them, and their spheres; left and right are not told."""

    masks: tuple[Mask, Mask]
    centres: F64  # (2,3)
    radius: float


def find_eyes(vertices: F64, pieces: NDArray[np.int32]) -> Eyes | None:
    """The pair of round pieces with the most vertices; None without a pair. ``pieces (V,)`` are numbered from 0."""
    order = np.argsort(pieces, kind="stable")
    starts = np.searchsorted(pieces[order], np.arange(pieces.max() + 2))
    members = [order[a:b] for a, b in itertools.pairwise(starts)]
    size = float(np.ptp(vertices, axis=0).max())
    balls = []
    for number, member in enumerate(members):
        if not LEAST <= len(member) < len(vertices) / 3:
            continue
        centre = sphere_centre(vertices[member])
        radius = np.linalg.norm(vertices[member] - centre, axis=1)
        mean = float(radius.mean())
        if mean < size / 4 and np.percentile(np.abs(radius / mean - 1), 95) < ROUND and _deep(vertices[member], mean):
            balls.append((number, centre, mean, len(member)))
    pairs = [(one, other) for n, one in enumerate(balls) for other in balls[n + 1 :] if _pair(one, other)]
    if not pairs:
        return None
    best = max(pairs, key=lambda pair: (round(min(ball[2] for ball in pair) / size, 3), pair[0][3] + pair[1][3]))
    radius = (best[0][2] + best[1][2]) / 2
    masks = tuple(_with_inside(vertices, members, ball[0], ball[1], radius) for ball in best)
    return Eyes((masks[0], masks[1]), np.stack([ball[1] for ball in best]), radius)


def _deep(points: F64, radius: float) -> bool:
    """True of at least a half of a ball: teeth and nails fit spheres, too."""
    return bool(np.sort(np.ptp(points, axis=0))[0] > 0.6 * radius)


def _pair(one: tuple[int, F64, float, int], other: tuple[int, F64, float, int]) -> bool:
    low, high = sorted((one[2], other[2]))
    return high < ALIKE * low and APART[0] < float(np.linalg.norm(one[1] - other[1])) / high < APART[1]


def _with_inside(vertices: F64, members: list[NDArray[np.intp]], ball: int, centre: F64, radius: float) -> Mask:
    mask = np.zeros(len(vertices), bool)
    for number, member in enumerate(members):
        distance = np.linalg.norm(vertices[member] - centre, axis=1)
        if number == ball or distance.max(initial=0.0) < WITHIN * radius:
            mask[member] = True
    return mask
