"""Who speaks, in which split, and which stretches of a take become sentences. Pure numerics."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError

F64 = NDArray[np.float64]

RATE = 60
"""Frames a second of VOCASET; its loaders take every second one."""
SAMPLE_RATE = 16_000
"""Samples a second that wav2vec 2.0 takes, and the loaders of FaceFormer and CodeTalker ask for."""
LONGEST_GAP = 0.13
"""Seconds between two tracked frames that are bridged: two lost frames at 23.976 a second, less than a syllable."""
SHORTEST_STEP = 0.002
"""Seconds between two frames; of closer ones, which only files of varying rate have, a spline would make waves."""
SHORTEST = 1.0
"""Seconds of a sentence; what is shorter is left out."""
MOST_FRAMES = 1200
"""Frames of a sentence: at half the rate 600, for which the causal masks of FaceFormer and CodeTalker are made."""
NUMBERS = {"train": range(1, 41), "val": range(21, 41), "test": range(21, 41)}
"""The last two digits of a sentence's number by which those loaders tell whether it is of a split."""
SPLITS = tuple(NUMBERS)


@dataclass(frozen=True, eq=False)
class Stretch:
    """A part of a take: ``frames (n,)`` of it that were tracked, from ``start`` on ``count`` frames at ``RATE``."""

    frames: NDArray[np.int64]
    start: float
    count: int

    def grid(self, first: int, last: int) -> F64:
        """The times in seconds of frames ``first`` to ``last``, exclusive."""
        return self.start + np.arange(first, last) / RATE


def stretches(times: F64, usable: NDArray[np.bool_]) -> tuple[Stretch, ...]:
    """The stretches of a take that become sentences, in order.

    ``times (T,)`` in seconds, ``usable (T,)``: tracked, and with sound. A stretch ends where the next usable frame is
    more than ``LONGEST_GAP`` away, begins and ends on frames that are usable, and is left out below ``SHORTEST``. One
    of more than ``MOST_FRAMES`` is divided into equal parts.
    """
    frames = np.flatnonzero(usable)
    frames = frames[np.diff(times[frames], prepend=-np.inf) >= SHORTEST_STEP]
    found: list[Stretch] = []
    for part in np.split(frames, np.flatnonzero(np.diff(times[frames]) > LONGEST_GAP) + 1):
        if len(part) > 1 and times[part[-1]] - times[part[0]] >= SHORTEST:
            # a millionth of a frame, as times are sums of what cannot be written in binary
            count = math.floor((times[part[-1]] - times[part[0]]) * RATE + 1e-6) + 1
            found += _divided(Stretch(part, float(times[part[0]]), count))
    return tuple(found)


def _divided(whole: Stretch) -> Iterator[Stretch]:
    """Parts of equal length but the last, of an even number of frames, so that half the rate keeps its grid."""
    parts = math.ceil(whole.count / MOST_FRAMES)
    length = 2 * math.ceil(whole.count / parts / 2)
    for first in range(0, whole.count, length):
        yield Stretch(whole.frames, whole.start + first / RATE, min(length, whole.count - first))


def speaker_of(name: str) -> str:
    """The speaker of a take by its name: what stands before the first underscore, or the whole name without one.

    As those loaders take names apart at underscores, full stops and spaces, and replace “wav”, all that is neither a
    letter nor a digit becomes a hyphen, and “wav” is written “wa-v”.
    """
    label = re.sub(r"[\W_]+", "-", name.partition("_")[0] or name).strip("-").replace("wav", "wa-v")
    return label or "speaker"


def speakers_of(names: Sequence[str]) -> tuple[str, ...]:
    """The speaker of each take by its name.

    Raises:
        UserError: ``bad_export`` where two speakers of different names would be called the same.
    """
    known: dict[str, str] = {}
    for name in names:
        own = name.partition("_")[0] or name
        if known.setdefault(speaker_of(name), own) != own:
            sentence = f"“{known[speaker_of(name)]}” and “{own}” would both be the speaker “{speaker_of(name)}”."
            raise UserError(ErrorCode.BAD_EXPORT, sentence, "Rename the folder of one of them.")
    return tuple(speaker_of(name) for name in names)


def split_of(speakers: Sequence[str]) -> dict[str, str]:
    """The split of each speaker: of all in alphabetical order the first are train, then come val and test.

    15 in a hundred each are val and test, and one at least where there are three speakers; of two, the second is test.
    """
    ordered = sorted(set(speakers))
    test = max(1, round(0.15 * len(ordered))) if len(ordered) > 1 else 0
    val = test if len(ordered) > 2 else 0
    train = len(ordered) - val - test
    return {name: SPLITS[(at >= train) + (at >= train + val)] for at, name in enumerate(ordered)}


def sentence_numbers(split: str) -> Iterator[int]:
    """Numbers for a speaker's sentences, which the loaders take for the speaker's split however many there are."""
    hundred = 0
    while True:
        yield from (hundred + number for number in NUMBERS[split])
        hundred += 100


def interpolated(times: F64, values: NDArray[np.floating[Any]], at: F64) -> NDArray[np.float64]:
    """``values (n,…)`` known at ``times (n,)``, ascending, at other times within them: (m,…), by a cubic spline.

    It goes through the values. Of two clips of speech at 25 frames a second (GRID's sbia1a and brbk7n) with every
    second frame left out, it gave the lips back to 0.36 and 0.35 mm, PCHIP to 0.44 and 0.42, straight lines to 0.53 and
    0.48 (mean of the frames left out).
    """
    from scipy.interpolate import CubicSpline

    return np.asarray(CubicSpline(times, np.asarray(values, np.float64), axis=0)(np.clip(at, times[0], times[-1])))
