"""What Blender shows between keys: straight lines, steps, and cubic Bézier pieces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...keys import BEZIER, CONSTANT, Keys

F64 = NDArray[np.float64]

_HALVINGS = 48
"""Of the parameter's 0 to 1: finer than the numbers that Blender itself computes with."""


def evaluated(keys: Keys, frames: F64) -> F64:
    """The values (m,) of a curve on ``frames (m,)``; before the first key and after the last one it is level.

    Blender's other ways from key to key (Sine, Bounce, …) are taken for straight lines.
    """
    if keys.linear or len(keys.frames) < 2:
        return np.asarray(np.interp(frames, keys.frames, keys.values))
    out = np.interp(frames, keys.frames, keys.values)
    piece = np.clip(np.searchsorted(keys.frames, frames, side="right") - 1, 0, len(keys.frames) - 2)
    inside = (frames > keys.frames[0]) & (frames < keys.frames[-1])
    kind = keys.numbers["interpolation"][piece]
    steps = inside & (kind == CONSTANT)
    out[steps] = keys.values[piece[steps]]
    curved = inside & (kind == BEZIER)
    out[curved] = _on_bezier(keys, piece[curved], frames[curved])
    return np.asarray(out)


def _on_bezier(keys: Keys, piece: NDArray[np.intp], frames: F64) -> F64:
    """Values (m,) on pieces (m,) of a curve, each from a key to the next."""
    co, left, right = (keys.numbers[name].astype(np.float64) for name in ("co", "handle_left", "handle_right"))
    start, end = co[piece], co[piece + 1]
    length = end[:, 0] - start[:, 0]
    first = start + _shortened(right[piece] - start, length)
    second = end + _shortened(left[piece + 1] - end, length)
    low, high = np.zeros(len(frames)), np.ones(len(frames))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        before = _cubic(start[:, 0], first[:, 0], second[:, 0], end[:, 0], middle) < frames
        low, high = np.where(before, middle, low), np.where(before, high, middle)
    return _cubic(start[:, 1], first[:, 1], second[:, 1], end[:, 1], (low + high) / 2)


def _shortened(handle: F64, length: F64) -> F64:
    """Handles (m,2) no longer in time than their piece: Blender shortens others, so that time never runs back."""
    reach = np.abs(handle[:, 0])
    return handle * np.where(reach > length, length / np.where(reach > 0, reach, 1.0), 1.0)[:, None]


def _cubic(a: F64, b: F64, c: F64, d: F64, u: F64) -> F64:
    v = 1 - u
    return v * v * v * a + 3 * v * v * u * b + 3 * v * u * u * c + u * u * u * d
