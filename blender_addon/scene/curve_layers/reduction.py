"""How far thinned-out curves may be from their values, so that no point of the face is off by more than so many mm.

Numbers only. Points go wherever weights of actions, the head's pose and the eyes' rotations bring them: at most by the
sum of what each of the three is off, and each keeps within its share.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .fit import Fit, evaluated, fitted

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]

OF_WEIGHTS, OF_POSE, OF_GAZE = 0.75, 0.15, 0.1
"""Shares of the bound, together 1. Of six splits tried on two tracked clips (lp_d3, grid_bbaf2n) all leave the same
number of keys to 5 %; this one is near the fewest at 0.2, 0.5 and 1 mm."""
ALONE = 1.0
"""Of the weights' share what one action may move the face by, before all are seen together. On the same clips 0.5
leaves 17 to 20 % more keys, 1.5 takes twice the time and leaves as many."""
STILL = 1e-4
"""Millimetres: what a point moves by less than this is nothing."""
UNSEEN = 0.01
"""Tolerance of a weight that moves no point."""
_NEARBY = 8
"""Frames among which one key at a time is set: the next may not be needed any more."""
_CHUNK = 128
"""Frames at a time whose points are held in memory."""


@dataclass(frozen=True, eq=False)
class Surface:
    """Points of a face at rest (V,3), what each action adds to them (K,V,3), and what eyes' joints carry them by.

    All in mm of the person's own size, in the head's axes. ``eyes (E,3)`` are the joints, ``carried (E,V)`` 0 to 1.
    """

    rest: F32
    actions: F32
    eyes: F32
    carried: F32


def thinned_weights(frames: F64, values: F64, surface: Surface, bound: float) -> list[Fit]:
    """Thin out weights (T,K) of the surface's actions, so that no point is off by more than ``bound`` mm on any frame.

    Each curve alone first; then, where together they are off by more, the one that does most gets a key there.
    """
    moves = np.linalg.norm(surface.actions, axis=2)
    reach = moves.max(axis=1, initial=0.0)
    tolerances = np.where(reach > STILL, ALONE * bound / np.maximum(reach, STILL), UNSEEN)
    doubtful = tolerances @ moves > bound  # no other point can be off by more
    actions = np.ascontiguousarray(surface.actions[:, doubtful])
    columns = range(values.shape[1])
    fits = [fitted(frames, values[:, k], tolerances[k]) for k in columns]
    off = np.stack([evaluated(frames, values[:, k], fits[k]) - values[:, k] for k in columns], axis=1)
    stale = np.ones(len(frames), bool)
    distance, share = np.zeros(len(frames)), np.zeros(off.shape)
    while doubtful.any():
        distance[stale], share[stale] = surface_error(off[stale], actions)
        wanted = _worst_nearby(distance, bound)
        if not len(wanted):
            break
        chosen = share[wanted].argmax(axis=1)
        before = off.copy()
        for k in np.unique(chosen):
            keys = np.union1d(fits[k].keys, wanted[chosen == k])
            fits[k] = fitted(frames, values[:, k], tolerances[k], keys)
            off[:, k] = evaluated(frames, values[:, k], fits[k]) - values[:, k]
            off[fits[k].keys, k] = 0.0  # but for rounding
        stale = (off != before).any(axis=1)
    return fits


def surface_error(off: F64, actions: F32) -> tuple[F64, F64]:
    """How far in mm the farthest point is off on each frame (T,), and how much of it each action does (T,K).

    ``off (T,K)`` is by how much the weights are.
    """
    distance, share = np.zeros(len(off)), np.zeros(off.shape)
    flat = actions.reshape(len(actions), -1)
    for start in range(0, len(off), _CHUNK):
        some = slice(start, start + _CHUNK)
        moved = (off[some].astype(np.float32) @ flat).reshape(-1, actions.shape[1], 3)
        far = np.sqrt(np.einsum("tvi,tvi->tv", moved, moved))
        worst = far.argmax(axis=1)
        rows = np.arange(len(worst))
        distance[some] = far[rows, worst]
        share[some] = off[some] * np.einsum("kti,ti->tk", actions[:, worst], moved[rows, worst])
    return distance, share


def _worst_nearby(distance: F64, bound: float) -> NDArray[np.intp]:
    """Of every few frames in a row that are off by more than the bound the worst one."""
    bad = np.flatnonzero(distance > bound)
    apart = np.flatnonzero((np.diff(bad) > 1) | (np.diff(bad // _NEARBY) > 0)) + 1
    runs = np.split(bad, apart) if len(bad) else []
    return np.array([run[distance[run].argmax()] for run in runs], np.intp)


def reaches(surface: Surface, values: F64) -> tuple[float, float]:
    """How far in mm the farthest point is from the head's origin, and a point that an eye turns from its joint.

    ``values (T,K)`` are the weights of the performance, which move points nearer and farther.
    """
    moved = np.zeros(len(surface.rest))
    flat = surface.actions.reshape(len(surface.actions), -1)
    for start in range(0, len(values), _CHUNK):
        offset = (values[start : start + _CHUNK].astype(np.float32) @ flat).reshape(-1, len(moved), 3)
        moved = np.maximum(moved, np.sqrt(np.einsum("tvi,tvi->tv", offset, offset)).max(axis=0, initial=0.0))
    head = float((np.linalg.norm(surface.rest, axis=1) + moved).max(initial=0.0))
    apart = np.linalg.norm(surface.rest[None] - surface.eyes[:, None], axis=2) + moved
    return head, float((surface.carried * apart).sum(axis=0).max(initial=0.0))


def angle_tolerance(bound: float, reach: float, mode: str) -> float | None:
    """By how much each number of a rotation may be off for points at ``reach`` mm to be off by ``bound`` mm at most.

    Three Euler angles are off by the sum of theirs. A unit quaternion whose four numbers are off by e is off by an
    angle of 2 · 2e, and a little more. Of angle and axis nothing is known: None.
    """
    angle = bound / max(reach, STILL)
    if mode == "AXIS_ANGLE":
        return None
    return angle / 4.2 if mode == "QUATERNION" else angle / 3
