"""How well a take's frames are known, as stretches of the timeline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import grades
from ..vendor import take as contract
from .confidence import Confidence

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Stretches:
    """Stretches (n,) of the timeline, in order: from scene frame ``first`` to ``last``, and each one's ``grade``.

    A frame reaches half way to those beside it. Grades are those of ``grades``; of a frame on which no face was found,
    or of which there is no picture, it is ``grades.UNKNOWN``.
    """

    first: F64
    last: F64
    grade: NDArray[np.int64]


def stretches(known: Confidence) -> Stretches:
    """The stretches of a take, by the worse of error and uncertainty of each frame."""
    frames, errors = known.error.frames, known.error.values
    if not len(frames):
        return Stretches(np.zeros(0), np.zeros(0), np.zeros(0, np.int64))
    grade = grades.levels(errors, grades.error_bounds(with_skin=known.has_skin))
    told = np.isin(frames, known.uncertainty.frames)
    spread = known.uncertainty.values[np.isin(known.uncertainty.frames, frames)]
    grade[told] = np.maximum(grade[told], grades.levels(spread, grades.UNCERTAINTY_MM))
    grade[np.isin(errors, (contract.NOT_TRACKED, contract.NO_PICTURE))] = grades.UNKNOWN
    between = (frames[1:] + frames[:-1]) / 2
    before = between[0] if len(between) else frames[0] + 0.5
    after = between[-1] if len(between) else frames[0] - 0.5
    edges = np.r_[2 * frames[0] - before, between, 2 * frames[-1] - after]
    starts = np.flatnonzero(np.r_[True, grade[1:] != grade[:-1]])
    return Stretches(edges[starts], edges[np.r_[starts[1:], len(frames)]], grade[starts])
