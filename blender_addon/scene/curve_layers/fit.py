"""A curve thinned out to Bézier keys that stay within a tolerance of it. Numbers only.

Every key lies on the curve; its slope is the one with which all pieces together fit best. Handles reach a third of the
way to the next key, so that time runs evenly along a piece and its values are a cubic of time.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

_AROUND = 5
"""Keys on either side whose slopes change where one is taken away: what lies farther hardly feels it."""
_EVEN = 1e-3
"""Weight of the slope of the chord beside the least squares' own: only a piece without frames within needs it."""


@dataclass(frozen=True, eq=False)
class Fit:
    """Of a curve of n frames: the indices (k,) of those that are keys, and the slopes (k,) there."""

    keys: NDArray[np.intp]
    slopes: F64


def fitted(frames: F64, values: F64, tolerance: float, keys: NDArray[np.intp] | None = None) -> Fit:
    """Thin out ``values (n,)`` on ascending ``frames (n,)`` until no value is off by more than ``tolerance``.

    ``keys`` are frames that are keys in any case. Every piece that is off gets a key where it is off most, until none
    is; then those go again without which none is either, a fifth of them.
    """
    ends = np.array([0, len(frames) - 1], np.intp)
    fixed = np.union1d(ends, keys if keys is not None else ends)
    chosen = fixed
    while True:
        fit = Fit(chosen, _slopes(frames, values, chosen))
        off = np.abs(evaluated(frames, values, fit) - values)
        if off.max(initial=0.0) <= tolerance:
            break
        chosen = np.union1d(chosen, _worst(off, chosen, tolerance))
    return _without_needless(frames, values, tolerance, fit, fixed)


def _without_needless(frames: F64, values: F64, tolerance: float, fit: Fit, fixed: NDArray[np.intp]) -> Fit:
    """Take keys away one by one where those around it, with other slopes, do without."""
    keys, slopes, index = fit.keys, fit.slopes, 1
    kept = np.isin(keys, fixed)
    while index < len(keys) - 1:
        if kept[index]:
            index += 1
            continue
        first, last = max(0, index - _AROUND), min(len(keys) - 1, index + _AROUND)
        some = slice(int(keys[first]), int(keys[last]) + 1)
        fewer = np.delete(keys[first : last + 1], index - first)
        ends = slopes[first] if first > 0 else None, slopes[last] if last < len(keys) - 1 else None
        fewer -= keys[first]
        local = Fit(fewer, _slopes(frames[some], values[some], fewer, ends))
        off = np.abs(evaluated(frames[some], values[some], local) - values[some])
        if off.max() <= tolerance:
            slopes = np.concatenate([slopes[:first], local.slopes, slopes[last + 1 :]])
            keys, kept = np.delete(keys, index), np.delete(kept, index)
        else:
            index += 1
    return Fit(keys, slopes)


def evaluated(frames: F64, values: F64, fit: Fit) -> F64:
    """What the thinned-out curve is on all frames (n,)."""
    if len(fit.keys) < 2:
        return np.full(len(frames), values[fit.keys[0]])
    piece, share, width = _places(frames, fit.keys)
    start, end = values[fit.keys][piece], values[fit.keys][piece + 1]
    a, b, c, d = _hermite(share)
    return np.asarray(a * start + b * width * fit.slopes[piece] + c * end + d * width * fit.slopes[piece + 1])


def _places(frames: F64, keys: NDArray[np.intp]) -> tuple[NDArray[np.intp], F64, F64]:
    """Of each frame: its piece, how far along it is (0 to 1), and how long the piece is."""
    at = frames[keys]
    piece = np.clip(np.searchsorted(at, frames, side="right") - 1, 0, len(at) - 2)
    width = (at[1:] - at[:-1])[piece]
    return piece, (frames - at[piece]) / width, width


def _hermite(u: F64) -> tuple[F64, F64, F64, F64]:
    """How much start, slope at the start, end and slope at the end count at ``u``."""
    v = 1 - u
    return v * v * (1 + 2 * u), u * v * v, u * u * (3 - 2 * u), -u * u * v


def _slopes(
    frames: F64, values: F64, keys: NDArray[np.intp], ends: tuple[float | None, float | None] = (None, None)
) -> F64:
    """The slopes (k,) at the keys with which the pieces fit best in least squares; those of the ``ends`` may be given.

    A piece speaks of the slopes at its two ends only, so that the system is tridiagonal.
    """
    if len(keys) < 2:
        return np.zeros(len(keys))
    piece, share, width = _places(frames, keys)
    start, end = values[keys][piece], values[keys][piece + 1]
    a, b, c, d = _hermite(share)
    left, right, rest = b * width, d * width, values - a * start - c * end
    count = len(keys)
    diagonal = np.bincount(piece, left * left, count) + np.bincount(piece + 1, right * right, count)
    beside = np.asarray(np.bincount(piece, left * right, count)[:-1], np.float64)
    wanted = np.bincount(piece, left * rest, count) + np.bincount(piece + 1, right * rest, count)
    even = _EVEN * np.gradient(frames[keys]) ** 2 * _EVEN
    diagonal, wanted = diagonal + even, wanted + even * _chords(frames[keys], values[keys])
    for at, side, slope in ((0, 0, ends[0]), (-1, -1, ends[1])):
        if slope is not None:
            wanted[1 if at == 0 else -2] -= beside[side] * slope
            diagonal[at], wanted[at], beside[side] = 1.0, slope, 0.0
    return _tridiagonal(diagonal, beside, wanted)


def _chords(frames: F64, values: F64) -> F64:
    """The slope from the key before to the key after each."""
    before, after = np.maximum(np.arange(len(frames)) - 1, 0), np.minimum(np.arange(len(frames)) + 1, len(frames) - 1)
    return np.asarray((values[after] - values[before]) / (frames[after] - frames[before]))


def _tridiagonal(diagonal: F64, beside: F64, wanted: F64) -> F64:
    """Solve a symmetric, positive tridiagonal system."""
    rows = list(zip(diagonal.tolist(), [0.0, *beside.tolist()], wanted.tolist(), strict=True))
    pivots, sides = [rows[0][0]], [rows[0][2]]
    for here, above, side in rows[1:]:
        factor = above / pivots[-1]
        pivots.append(here - factor * above)
        sides.append(side - factor * sides[-1])
    out = [sides[-1] / pivots[-1]]
    for index in range(len(rows) - 2, -1, -1):
        out.append((sides[index] - rows[index + 1][1] * out[-1]) / pivots[index])
    return np.array(out[::-1])


def _worst(off: F64, keys: NDArray[np.intp], tolerance: float) -> NDArray[np.intp]:
    """In each piece that is off by more than the tolerance, the frame that is off most."""
    return np.array(
        [
            first + int(off[first:end].argmax())
            for first, end in itertools.pairwise(keys.tolist())
            if off[first:end].max() > tolerance
        ],
        np.intp,
    )
