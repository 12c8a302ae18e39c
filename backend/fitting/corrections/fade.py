"""How a correction at one frame fades over those about it, and which frames a solve in part may move."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

F64 = NDArray[np.float64]
Bools = NDArray[np.bool_]

APART = 4
"""Frames between two parts, below which they are solved together: E_temp looks over two."""


def fades(frames: Sequence[int], reach: int, count: int) -> F64:
    """(n,T) the share of the corrections at ascending ``frames`` (n, distinct) that every one of ``count`` frames has.

    A cosine squared: 1 at its own frame, 0 beyond ``reach`` frames and at the next correction's. Between two that are
    near each other the shares add up to 1, so that one goes over into the other.
    """
    at, time = np.asarray(frames), np.arange(count)
    shares = np.zeros((len(at), count))
    for i, frame in enumerate(at):
        for side, neighbour in ((-1, i - 1), (1, i + 1)):
            width = reach + 1
            if 0 <= neighbour < len(at):
                width = min(width, abs(int(at[neighbour]) - int(frame)))
            away = side * (time - frame)
            there = (away >= 0) & (away < width)
            shares[i, there] = np.cos(0.5 * np.pi * away[there] / width) ** 2
    return shares


def dilated(frames: Bools, by: int) -> Bools:
    """(T,) the frames and those up to ``by`` before and after them."""
    grown = frames.copy()
    for shift in range(1, min(by, len(frames) - 1) + 1):
        grown[shift:] |= frames[:-shift]
        grown[:-shift] |= frames[shift:]
    return grown


def runs(frames: Bools) -> list[tuple[int, int]]:
    """(first, stop) of the parts of frames (T,) that are solved together."""
    index = np.flatnonzero(frames)
    if not len(index):
        return []
    parts = np.split(index, np.flatnonzero(np.diff(index) > APART) + 1)
    return [(int(part[0]), int(part[-1]) + 1) for part in parts]


def shares_of_new(frames: Bools, blend: int) -> F64:
    """(T,) how much of a new solution of ``frames`` counts: 0 outside, rising over ``blend`` frames from a border."""
    if frames.all():
        return np.ones(len(frames))
    rise = np.clip(distance_transform_edt(frames) / (blend + 1), 0, 1)
    return np.asarray(rise * rise * (3 - 2 * rise))
