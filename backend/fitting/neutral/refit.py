"""A fitted take fitted again, with the face at rest where it is: the identity explains what all frames show.

A fit that knows no neutral shares out what all frames have in common, the person's own face and the landmarks' errors
alike, between identity and expressions: both are as likely. In frames at rest expressions are zero
(``terms.neutral``), and the identity is solved from as many of those as of others, so that it says what the rest looks
like. Measured on rendered dev people: see ``EnergyWeights.neutral_frames``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backend.fitting.fit import fit_take
from backend.fitting.neutral.calm import calm_frames
from backend.fitting.point_basis import shape_columns
from backend.fitting.prepare import Take, prepare
from backend.fitting.solver.coarse_to_fine import minimise_coarse_to_fine
from backend.fitting.solver.levenberg_marquardt import Stage
from backend.fitting.state import State
from backend.fitting.terms.temporal import TemporalTerm
from backend.fitting.types import FitOptions, FitResult, Fixed, Solution, View
from backend.fitting.windows import frames_of, key_frames
from backend.head_model.model import HeadModel

RESTING, OTHERS = 40, 40
"""Frames at rest, and others, from which the identity is solved: few enough to cost little. Without the others, whose
poses tell more of a shape, chamfer distance on rendered dev people is 4 % larger."""
TOLERANCE = 1e-3


@dataclass(frozen=True)
class AtRest:
    """The frames of a take in which the face is at rest, by the first view's footage frame numbers, and who says so."""

    numbers: tuple[int, ...]
    marked: bool  # by the user; False: they were found


def fit_at_rest(
    head: HeadModel,
    views: Sequence[View],
    options: FitOptions,
    fit: FitResult,
    *,
    neutral_prior: NDArray[np.float32] | None = None,
    on_progress: Callable[[float, str], None] | None = None,
    should_cancel: Callable[[], bool] | None = None,
) -> tuple[FitResult, FitOptions, AtRest | None]:
    """The fit started from ``fit``, with expressions of zero in the frames at rest, and the options that ask for it.

    Those frames are ``FitOptions.neutral_frames`` where there are some, else those that are found (``calm_frames``).
    Where there are none, and where the face is known to be neutral throughout, the same fit and None.

    Raises:
        Cancelled: as ``fit_take`` does.
    """
    if options.neutral:
        return fit, options, None
    numbers = views[0].alignment.numbers
    marked = bool(options.neutral_frames)
    resting = np.flatnonzero(np.isin(numbers, options.neutral_frames) & fit.tracked)
    if not marked:
        resting = calm_frames(head, views, fit, options)
    if not len(resting):
        return fit, options, None
    at_rest = AtRest(tuple(numbers[resting].tolist()), marked)
    options = replace(options, neutral_frames=at_rest.numbers)
    take = prepare(head, views, options, neutral_prior, fit)
    start = _with_shape(take, fit, _shape_at_rest(take, resting))
    again = fit_take(
        head,
        views,
        options,
        neutral_prior=neutral_prior,
        initial=start,
        fixed=Fixed(identity=True, cameras=True),
        on_progress=on_progress,
        should_cancel=should_cancel,
    )
    return again, options, at_rest


def _shape_at_rest(take: Take, resting: NDArray[np.int64]) -> State:
    """The state at frames at rest and others, identity and δ_d solved; cameras stay."""
    chosen = resting[np.linspace(0, len(resting) - 1, min(len(resting), RESTING)).round().astype(int)]
    repeated = np.repeat(chosen, round(RESTING / len(chosen)))
    others = key_frames(take, OTHERS)
    frames = np.concatenate([repeated, others[~np.isin(others, resting)]])
    problem = take.problem(frames).without(TemporalTerm)  # of frames that do not follow each other
    stage = Stage(Fixed(cameras=True), take.options.max_iterations, TOLERANCE)
    return minimise_coarse_to_fine(problem, frames_of(take.start, frames), stage).state


def _with_shape(take: Take, solution: Solution, solved: State) -> Solution:
    """A solution with the shape of a state."""
    shape, count = solved.identity.cpu().numpy(), take.basis.identity_count - take.basis.deform_count
    identity = np.zeros_like(solution.identity)
    identity[:count] = shape[:count]
    if not take.basis.deform_count:
        return replace(solution, identity=identity)
    options = take.options
    modes = shape_columns(take.head, options.identity_components, options.deform_region, options.weights)[count:]
    return replace(solution, identity=identity, deformation=np.einsum("k,kvc->vc", shape[count:], modes))
