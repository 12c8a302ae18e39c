"""A fitted take fitted again, with the face at rest where it is: the identity explains what all frames show.

A fit that knows no neutral shares out what all frames have in common, the person's own face and the landmarks' errors
alike, between identity and expressions: both are as likely. In frames at rest expressions are zero
(``terms.neutral``), and the identity is solved from as many of those as of others, so that it says what the rest looks
like. Measured on rendered dev people: see ``EnergyWeights.neutral_frames``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from backend.fitting.every_few import between, every_few
from backend.fitting.neutral.calm import calm_frames
from backend.fitting.point_basis import shape_columns
from backend.fitting.prepare import Take, prepare
from backend.fitting.problem import found_frames
from backend.fitting.side_by_side import one_core_each
from backend.fitting.solver.coarse_to_fine import minimise_coarse_to_fine
from backend.fitting.solver.levenberg_marquardt import Stage
from backend.fitting.state import State
from backend.fitting.terms.temporal import TemporalTerm
from backend.fitting.types import FitOptions, FitResult, Fixed, View
from backend.fitting.windows import WHOLE, frames_of, key_frames
from backend.head_model.model import HeadModel
from backend.head_model.personal import with_corrections
from backend.memory import at_once

RESTING, OTHERS = 40, 40
"""Frames at rest, and others, from which the identity is solved: few enough to cost little. Without the others, whose
poses and open mouths tell more, chamfer distance on rendered dev people is 0.4 % larger, at the mouth 3 %."""
TOLERANCE, SETTLED = 1e-3, 1e-2  # of the shape; of frames that are only a start
FEWEST_FRAMES = 12  # seen; in fewer nobody can tell a rest from an expression held


@dataclass(frozen=True)
class AtRest:
    """The frames of a take in which the face is at rest, by the first view's footage frame numbers, and who says so."""

    numbers: tuple[int, ...]
    marked: bool  # by the user; False: they were found


def may_rest(views: Sequence[View], options: FitOptions) -> bool:
    """True where ``shape_at_rest`` has something to look for: a take that moves, or one with marked frames."""
    found = int(found_frames(views).any(axis=0).sum())
    return not options.neutral and (found >= FEWEST_FRAMES or bool(options.neutral_frames))


@one_core_each()
def shape_at_rest(
    head: HeadModel,
    views: Sequence[View],
    options: FitOptions,
    fit: FitResult,
    neutral_prior: NDArray[np.float32] | None = None,
) -> tuple[FitResult, FitOptions, AtRest | None]:
    """``fit``, which may be a draft, with the shape that the frames at rest show, and options that hold them at rest.

    Those frames are ``FitOptions.neutral_frames`` where there are some, else those that are found (``calm_frames``).
    Where there are none, the same fit and options, and None. The shape is to stay as it is in the fit that starts from
    the one returned: a take has many more frames that are not at rest, whose expressions are as good at explaining.
    """
    numbers = views[0].alignment.numbers
    marked = bool(options.neutral_frames)
    resting = np.flatnonzero(np.isin(numbers, options.neutral_frames) & fit.tracked)
    if not marked:
        resting = calm_frames(head, views, fit, options)
    if not len(resting):
        return fit, options, None
    at_rest = AtRest(tuple(numbers[resting].tolist()), marked)
    options = replace(options, neutral_frames=at_rest.numbers)
    take = prepare(with_corrections(head, fit.action_corrections), views, options, neutral_prior, fit)
    shape = _shape_at_rest(take, resting)
    return _with_shape(take, fit, shape, _settled(take, shape)), options, at_rest


def _shape_at_rest(take: Take, resting: NDArray[np.int64]) -> Tensor:
    """(K_id,) identity and δ_d solved on frames at rest and others; cameras stay."""
    chosen = resting[np.linspace(0, len(resting) - 1, min(len(resting), RESTING)).round().astype(int)]
    repeated = np.repeat(chosen, round(RESTING / len(chosen)))
    others = key_frames(take, OTHERS)
    frames = np.concatenate([repeated, others[~np.isin(others, resting)]])
    problem = take.problem(frames).without(TemporalTerm)  # of frames that do not follow each other
    stage = Stage(Fixed(cameras=True), take.options.max_iterations, TOLERANCE)
    return minimise_coarse_to_fine(problem, frames_of(take.start, frames), stage).state.identity


def _settled(take: Take, shape: Tensor) -> State:
    """The take's start with another ``shape (K_id,)``, and frames as every few of them answer to it."""
    start = replace(take.start, identity=shape)
    frames = every_few(len(take.found))
    if len(take.found) > at_once(WHOLE) or not take.found[frames].any():
        return start
    stage = Stage(Fixed(identity=True, cameras=True), take.options.max_iterations, SETTLED)
    few = minimise_coarse_to_fine(take.problem(frames), frames_of(start, frames), stage)
    return between(start, few.state, frames)


def _with_shape(take: Take, fit: FitResult, shape: Tensor, state: State) -> FitResult:
    """The fit with another ``shape (K_id,)`` and the frames of ``state``."""
    solved, count = shape.cpu().numpy(), take.basis.identity_count - take.basis.deform_count
    identity = np.zeros_like(fit.identity)
    identity[:count] = solved[:count]
    fit = replace(
        fit,
        expression=state.expression.cpu().numpy(),
        head_rotation=state.rotation.cpu().numpy(),
        head_translation=state.translation.cpu().numpy() + take.origin,
        gaze=state.gaze.reshape(-1, 2, 2).cpu().numpy(),
    )
    if not take.basis.deform_count:
        return replace(fit, identity=identity)
    options = take.options
    modes = shape_columns(take.head, options.identity_components, options.deform_region, options.weights)[count:]
    return replace(fit, identity=identity, deformation=np.einsum("k,kvc->vc", solved[count:], modes))
