"""When the pictures of a video show: the rate its scene plays at, and the whole frame of it for each. Pure numerics."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

FALLBACK_RATE = 25.0  # frames per second, of what says nothing of its times
_BELIEVED = 1.5  # a file's rate is its own where it is this near to that of the median interval
_REGULAR = 0.1  # of an interval: what is nearer to even is even
_DRIFT = 0.01  # relative: an even clip's rate that is farther off than this is not the file's
_HIGHEST_EXACT = 60.0  # frames per second up to which a rate may be one that every interval is a multiple of
_CROWDED = 0.01  # of all pictures: how many may stay between frames before a higher rate is tried
_STRETCH = 5  # intervals, one after the other and alike, that tell a rate; recorders' bursts and jitter do not
_ALIKE = 0.3  # of their mean
_MULTIPLE, _NEARLY_ALL = 0.15, 0.8  # how near to a multiple of another an interval is one of it; how many have to be
_FASTEST = 300.0  # frames per second: what is faster is a recorder's queue that empties
_RARE = 0.05  # of the stretches: a higher rate than the usual one that fewer of them have is not tried
_STANDARD = (8, 10, 12, 12.5, 15, 20, 24000 / 1001, 24, 25, 30000 / 1001, 30, 48, 50, 60000 / 1001, 60, 90, 100, 120)
_NEAR_STANDARD = 0.01


@dataclass(frozen=True, eq=False)
class Clock:
    """The times of a video's pictures (n,), in seconds from the first, and their frames (n,) on Blender's timeline.

    ``rate`` is in frames per second; ``variable`` says that the pictures do not come evenly.
    """

    times: F64
    scene_frames: F64
    rate: float
    variable: bool
    notes: tuple[str, ...] = ()


def clock_for(times: F64, claimed: float | None, tick: float) -> Clock:
    """The clock of pictures at ``times`` (n,), seconds, ascending from 0, which the file rounds to ``tick`` seconds.

    ``claimed`` is the file's frame rate, None where it has none. It is kept where the median interval bears it out;
    otherwise the rate is the median interval's, or that of which all intervals are multiples, and a note says so.
    """
    count = len(times)
    even = np.arange(1, count + 1, dtype=np.float64)
    intervals = np.diff(times)
    intervals = intervals[intervals > 0]
    if not len(intervals):
        return Clock(times, even, claimed or FALLBACK_RATE, variable=False)
    usual = usual_interval(intervals, tick)
    believed = claimed is not None and 1 / _BELIEVED <= claimed * usual <= _BELIEVED
    rate = claimed if believed and claimed else _standard(1 / usual)
    if is_even(times, usual, tick):
        if abs(rate * usual - 1) > _DRIFT:
            rate = _standard(1 / usual)
        return Clock(times, even, rate, variable=False, notes=_notes(claimed, rate, usual))
    chosen, scene = _roomiest(times, _candidates(rate, intervals, usual, believed))
    return Clock(times, scene, chosen, variable=True, notes=_notes(claimed, chosen, usual))


def told_apart(times: F64, tick: float) -> F64:
    """Ascending ``times`` (n,) of which none comes twice: those of one time share its ``tick``."""
    if (np.diff(times) > 0).all():
        return times
    _, first, count = np.unique(times, return_index=True, return_counts=True)
    place = np.arange(len(times)) - np.repeat(first, count)
    return np.asarray(times + tick * place / np.repeat(count, count), np.float64)


def usual_interval(intervals: F64, tick: float) -> float:
    """The median of intervals (n,), n > 0, free of the file's rounding: the mean of those that are like it."""
    median = float(np.median(intervals))
    like = intervals[np.abs(intervals - median) <= 1.01 * max(_REGULAR * median, tick)]
    return float(like.mean()) if len(like) else median


def is_even(times: F64, interval: float, tick: float) -> bool:
    """True where pictures come one after the other at ``interval`` but for the rounding of their times."""
    steps = np.diff(times)
    return bool(np.abs(steps - interval).max(initial=0.0) <= max(_REGULAR * interval, min(1.01 * tick, 0.4 * interval)))


def snapped(scene: F64) -> F64:
    """Whole frames for pictures at the frames ``scene`` (n,), ascending and fractional: the nearest, none twice.

    Order is kept. Where several pictures fall on one frame, they and their neighbours go to a frame at most one beside
    their nearest, as few as can be; a picture for which even that leaves no room keeps its fractional frame. A first
    picture that is on a whole frame stays there.
    """
    nearest = np.floor(scene + 0.5)
    if len(scene) < 2 or (np.diff(nearest) > 0).all():
        return nearest
    return _assigned(scene, nearest)


def _assigned(scene: F64, nearest: F64) -> F64:
    """Dynamic programming over at most four places a picture: least left fractional, then least moved."""
    places: list[list[float]] = [[float(nearest[0]), float(scene[0])]]
    cost: list[tuple[int, float]] = [(0, 0.0), (1, 0.0)]
    came: list[list[int]] = [[-1, -1]]
    for own, middle in zip(scene[1:].tolist(), nearest[1:].tolist(), strict=True):
        options, costs, from_where = [], [], []
        for place in (middle - 1, middle, middle + 1, own):
            best, best_at = None, -1
            for at, before in enumerate(places[-1]):
                if before < place and (best is None or cost[at] < best):
                    best, best_at = cost[at], at
            if best is not None:
                options.append(place)
                costs.append((best[0] + (place != math.floor(place)), best[1] + (place - own) ** 2))
                from_where.append(best_at)
        places.append(options)
        cost = costs
        came.append(from_where)
    at = min(range(len(cost)), key=cost.__getitem__)
    chosen = np.empty_like(scene)
    for index in range(len(scene) - 1, -1, -1):
        chosen[index] = places[index][at]
        at = came[index][at]
    return chosen


def _candidates(rate: float, intervals: F64, usual: float, believed: bool) -> list[float]:
    """Rates to play uneven pictures at, the best first."""
    exact = _common_rate(intervals, 1 / usual)
    rates = [rate] if believed or exact is None else [exact, rate]
    return [
        *rates,
        *([exact] if believed and exact else []),
        _standard(1 / usual),
        *_of_shortest(intervals),
        *_of_stretches(intervals),
    ]


def _of_shortest(intervals: F64) -> list[float]:
    """The rate of the shortest tenth of intervals, where nearly all others are multiples of it."""
    shortest = float(np.quantile(intervals, 0.1, method="lower"))
    shortest = float(intervals[np.abs(intervals - shortest) <= _REGULAR * shortest].mean())
    multiples = intervals / shortest
    of_it = np.abs(multiples - np.round(multiples)) <= _MULTIPLE
    return [_standard(1 / shortest)] if shortest >= 1 / _FASTEST and of_it.mean() >= _NEARLY_ALL else []


def _of_stretches(intervals: F64) -> list[float]:
    """The rate of the fastest stretches in which pictures come evenly; none where they never do."""
    if len(intervals) < _STRETCH:
        return []
    stretches = np.lib.stride_tricks.sliding_window_view(intervals, _STRETCH)
    means = stretches.mean(axis=1)
    even = np.abs(stretches - means[:, None]).max(axis=1) <= _ALIKE * means
    shortest = float(np.quantile(np.where(even & (means >= 1 / _FASTEST), means, np.inf), _RARE, method="lower"))
    return [_standard(1 / shortest)] if shortest < math.inf else []


def _roomiest(times: F64, rates: list[float]) -> tuple[float, F64]:
    """The first rate at which (nearly) every picture has a frame of its own, else the one at which most have."""
    best: tuple[float, F64] | None = None
    fewest = math.inf
    for rate in dict.fromkeys(rates):
        scene = snapped(1 + times * rate)
        between = int((scene != np.floor(scene)).sum())
        if between < fewest:
            best, fewest = (rate, scene), between
        if between <= _CROWDED * len(times):
            break
    assert best is not None
    return best


def _common_rate(intervals: F64, usual_rate: float) -> float | None:
    """The rate of which every interval is a whole number of frames; None where that is a needlessly high one."""
    milliseconds = np.round(1000 * intervals).astype(np.int64)
    if np.abs(1000 * intervals - milliseconds).max() > 1e-3:
        return None
    step = int(np.gcd.reduce(milliseconds))
    rate = 1000 / step if step else math.inf
    return rate if usual_rate <= rate * (1 + 1e-9) and rate <= _HIGHEST_EXACT else None


def _standard(rate: float) -> float:
    """The rate that cameras have, where one is this near."""
    near = min(_STANDARD, key=lambda known: abs(known / rate - 1))
    return float(near) if abs(near / rate - 1) <= _NEAR_STANDARD else rate


def _notes(claimed: float | None, rate: float, usual: float) -> tuple[str, ...]:
    if claimed == rate:
        return ()
    says = f"claims {claimed:.6g} frames per second" if claimed else "names no frame rate"
    apart = f"most of its pictures come {1000 * usual:.4g} ms apart"
    return (f"The file {says}; {apart}, so the scene has {rate:.6g} a second.",)
