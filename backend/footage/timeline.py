"""Several views on one timeline: which frame of each view is synchronised with which of the first. Pure numerics."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from backend.footage.types import FootageInfo

F64 = NDArray[np.float64]

ONE_PICTURE = math.inf
"""The interval of a lone picture: several stills are several views of one synchronised frame."""


def frame_interval(times: F64) -> float:
    """Seconds between frames, by their median; infinite for a single picture."""
    return float(np.median(np.diff(times))) if len(times) > 1 else ONE_PICTURE


def matching_frames(times: F64, other: F64, offset: float = 0.0) -> NDArray[np.int64]:
    """The frames of another view that show each frame of the first: (T,) indices into ``other``, -1 where none does.

    ``times (T,)`` and ``other (S,)`` are seconds, ascending, each on its own clock; ``offset`` is the other clock's
    time at the first one's 0. The nearest frame counts, within half a frame interval of the first view, so that no
    frame belongs to two synchronised frames; of a first view with a single frame, within half an interval of the other.
    """
    matched = np.full(len(times), -1, np.int64)
    if not len(times) or not len(other):
        return matched
    wanted = times + offset
    interval = frame_interval(times)
    if interval == ONE_PICTURE:
        interval = frame_interval(other)
    after = np.clip(np.searchsorted(other, wanted), 1, max(len(other) - 1, 1))
    before = after - 1
    after = np.minimum(after, len(other) - 1)
    nearest = np.where(np.abs(other[after] - wanted) < np.abs(other[before] - wanted), after, before)
    # Times come from files with steps as coarse as a millisecond (Matroska): half an interval is not cut finer.
    close = np.abs(other[nearest] - wanted) <= 0.5 * interval + 1e-6
    matched[close] = nearest[close]
    # Two frames half an interval either side of one: the earlier has it.
    repeated = np.flatnonzero((matched[1:] == matched[:-1]) & (matched[1:] >= 0)) + 1
    matched[repeated] = -1
    return matched


def frames_between(info: FootageInfo, start: float, stop: float) -> tuple[int, int] | None:
    """The frame numbers (first, last) that may show the seconds ``start`` … ``stop`` of a view's own clock.

    A frame more at each end, as times are rounded. None where the view shows nothing of them; all frames where the
    rate varies.
    """
    if info.kind == "still":
        return info.first_frame, info.last_frame
    interval = 1.0 / info.frame_rate
    if stop < -interval or start > info.duration + interval:
        return None
    if info.variable_rate:
        return info.first_frame, info.last_frame
    first = info.first_frame + math.floor(start * info.frame_rate) - 1
    last = info.first_frame + math.ceil(stop * info.frame_rate) + 1
    return max(first, info.first_frame), min(last, info.last_frame)
