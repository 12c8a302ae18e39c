"""A new run of some frames set between the keys of an older one: numbers only, no data-block of Blender's.

What lies outside the new frames keeps every number that Blender has of a key. Inside, the first and last few frames
lead from the older curve to the new one and back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import axes

F64 = NDArray[np.float64]

BLEND = 4
"""Frames at a border over which the new run takes over, a sixth of a second at 24 a second: a choice, not measured."""
SHARE = 3
"""A border takes no more than this part of the new frames: of six, two at each end."""
SAME = 1e-3
"""Frames: keys nearer to each other than this are on one frame; Blender itself takes 1/100 for it."""
GAP = 1.5
"""Times the new frames' step: an older curve whose next key is farther off was thinned out by hand."""


@dataclass(frozen=True, eq=False)
class Part:
    """The frames of a new run that is a part of its take, as scene frames.

    ``before`` and ``after`` say whether the take goes on there.
    """

    first: float
    last: float
    before: bool
    after: bool


def outside(frames: F64, part: Part) -> tuple[slice, slice]:
    """Which of ascending ``frames (n,)`` come before the part, and which after it."""
    return (
        slice(0, int(np.searchsorted(frames, part.first - SAME))),
        slice(int(np.searchsorted(frames, part.last + SAME, side="right")), len(frames)),
    )


def weights(count: int, part: Part) -> F64:
    """(count,) how much of the new run each of its frames takes: 1 but at a border behind which the take goes on."""
    length = min(BLEND, count // SHARE)
    rising = smoothstep(np.arange(1, length + 1) / (length + 1))
    out = np.ones(count)
    if part.before and length:
        out[:length] = rising
    if part.after and length:
        out[count - length :] = rising[::-1]
    return out


def smoothstep(share: F64) -> F64:
    """From 0 at 0 to 1 at 1 with no slope at either."""
    return np.asarray(share * share * (3 - 2 * share))


def left_bare(frames: F64, part: Part, step: float) -> tuple[F64, F64]:
    """Frames before and after the part that need a key for an older curve to keep its course up to there.

    Of a curve that was thinned out, the piece that reaches into the part would be bent by the part's first key. It
    is held by a key on every whole frame; where there is no key on that side at all, by one next to the part.
    """
    before, after = outside(frames, part)
    left, right = np.zeros(0), np.zeros(0)
    if part.before:
        nearest = float(frames[before][-1]) if before.stop else part.first - step - 1
        if part.first - nearest > GAP * step:
            left = _whole_frames(nearest, part.first)
            left = left if before.stop else left[-1:]
    if part.after:
        bare = after.start == len(frames)
        nearest = part.last + step + 1 if bare else float(frames[after][0])
        if nearest - part.last > GAP * step:
            right = _whole_frames(part.last, nearest)
            right = right[:1] if bare else right
    return left, right


def _whole_frames(first: float, last: float) -> F64:
    """The whole frames between two frames, both left out."""
    return np.arange(np.floor(first + SAME) + 1, np.ceil(last - SAME))


def matrices(quaternion: F64) -> F64:
    """Rotation matrices (n,3,3) of quaternions (n,4), w first, of any length but 0."""
    w, x, y, z = (quaternion / np.linalg.norm(quaternion, axis=1, keepdims=True)).T
    return np.stack(
        [
            *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
            *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
            *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
        ],
        axis=1,
    ).reshape(-1, 3, 3)


def turned(older: F64, newer: F64, share: F64) -> F64:
    """Rotations (n,3,3) that are ``share (n,)`` of the shortest way from ``older`` to ``newer`` (n,3,3)."""
    one, other = (axes.rotation_values(rotations, "QUATERNION") for rotations in (older, newer))
    cosine = (one * other).sum(axis=1)
    other = np.where(cosine[:, None] < 0, -other, other)
    angle = np.arccos(np.clip(np.abs(cosine), 0.0, 1.0))
    sine = np.sin(angle)
    straight = sine < 1e-6  # so near that a chord is the arc
    sine = np.where(straight, 1.0, sine)
    here = np.where(straight, 1 - share, np.sin((1 - share) * angle) / sine)
    there = np.where(straight, share, np.sin(share * angle) / sine)
    return matrices(here[:, None] * one + there[:, None] * other)
