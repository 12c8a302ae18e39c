"""Personal actions: what one action looks like on this face.

Li, Weise and Pauly 2010 (Example-based facial rigging) and Bouaziz, Wang and Pauly 2013 (Online modeling for realtime
facial animation): smooth corrections of the actions' shapes, held to the generic ones by a prior, solved in turn with
their weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from backend.fitting.every_few import LEAST_SEEN, every_few
from backend.fitting.personal.evidence import normal_equations, strengths_of
from backend.fitting.personal.unknowns import PersonalUnknowns, prior_form, unknowns_of
from backend.fitting.prepare import Take, prepare, views_at
from backend.fitting.problem import found_frames
from backend.fitting.side_by_side import one_core_each
from backend.fitting.solver.coarse_to_fine import COARSE_POINTS, thinned
from backend.fitting.solver.levenberg_marquardt import Stage, minimise
from backend.fitting.terms.temporal import TemporalTerm
from backend.fitting.types import FitOptions, Fixed, Solution, View
from backend.fitting.windows import WHOLE
from backend.head_model.dense_points import joined_points
from backend.head_model.model import HeadModel, SurfacePoints
from backend.memory import at_once

F64 = NDArray[np.float64]
Index = NDArray[np.int64]

FEWEST_FRAMES = 48  # seen; fewer show too little to tell an action's shape from an error that repeats
FRAMES = 160  # looked at, evenly over the take
ACTIVE = 0.05  # root mean square strength from which an action has shown itself
MOVES = 1e-3  # m; an action that moves the skin less has nothing to correct
FARTHEST_SHARE = 0.6  # of how far an action goes at most, which its correction never exceeds
EXCLUDED = ("Look", "tongueOut")  # lids that follow the eyes are the gaze's, the tongue is not skin


def tells_actions(head: HeadModel, views: Sequence[View]) -> bool:
    """True where a take can tell this head's personal actions: ARKit's, over enough frames."""
    named = "jawOpen" in head.expression_names and np.isfinite(head.expression_bounds).all()
    return bool(named and found_frames(views).any(0).sum() >= FEWEST_FRAMES)


@one_core_each()
def personal_corrections(
    head: HeadModel, views: Sequence[View], options: FitOptions, fit: Solution
) -> NDArray[np.float32]:
    """Corrections (K_ex,V,3), metres at strength 1, of the head's expressions as ``fit`` of ``views`` shows them.

    ``fit`` has none of its own. Actions that are hardly ever on have none either. What is the same in all frames is no
    action's; and a correction that would only make an action stronger as a whole is the weight's, unless that is at its
    bound. Raises as ``prepare`` does.
    """
    found = found_frames(views).any(0)
    frames = frames_to_look_at(found)
    some, start = views_at(views, frames), solution_at(fit, frames)
    take = prepare(head, some, options, initial=start)
    stride = max(1, take.points.count // COARSE_POINTS)
    plain = take.problem().without(TemporalTerm)
    problem, state = (thinned(plain, stride) if stride > 1 else plain), take.start
    if len(found) > at_once(WHOLE):  # whose draft knows the key frames only
        stage = Stage(Fixed(identity=True, cameras=True), options.max_iterations, options.tolerance)
        state = minimise(problem, state, stage).state
    chosen = _active(head, state.expression.cpu().numpy())
    if not len(chosen):
        return np.zeros(head.expression_basis.shape, np.float32)
    unknowns = unknowns_of(head, chosen, _skin_points(take, stride))
    matrix, gradient = normal_equations(problem, state, unknowns)
    share = found.sum() / len(frames)
    prior = prior_form(unknowns, strengths_of(state, unknowns).cpu().numpy(), share)
    coefficients = cho_solve(cho_factor(share * matrix + prior), -share * gradient)
    return stored(unknowns.corrections(limited(unknowns, coefficients))).astype(np.float32)


def stored(corrections: NDArray[np.floating[Any]]) -> NDArray[np.float16]:
    """Corrections as a track keeps them: to 10 µm, which packs to a third."""
    return np.round(corrections, 5).astype(np.float16)


def limited(unknowns: PersonalUnknowns, coefficients: F64) -> F64:
    """The coefficients, an action's scaled down where its correction would exceed ``FARTHEST_SHARE`` of it."""
    kept = np.zeros_like(coefficients)
    for i, action in enumerate(unknowns.actions.tolist()):
        part = unknowns.columns(i)
        farthest = np.linalg.norm(unknowns.modes[i].field(coefficients[part]), axis=1).max()
        allowed = FARTHEST_SHARE * np.linalg.norm(unknowns.head.expression_basis[action], axis=1).max()
        kept[part] = coefficients[part] * min(1.0, allowed / max(farthest, 1e-9))
    return kept


def solution_at(fit: Solution, frames: Index) -> Solution:
    """A solution's values at some frames only."""
    return Solution(
        identity=fit.identity,
        deformation=fit.deformation,
        expression=fit.expression[frames],
        head_rotation=fit.head_rotation[frames],
        head_translation=fit.head_translation[frames],
        gaze=fit.gaze[frames],
        cameras=fit.cameras,
        action_corrections=fit.action_corrections,
    )


def frames_to_look_at(found: NDArray[np.bool_]) -> Index:
    """At most ``FRAMES`` of the frames that some view saw, evenly; of a take that is solved at every few, those."""
    seen = np.flatnonzero(found)
    if len(found) <= at_once(WHOLE) and (few := seen[np.isin(seen, every_few(len(found)))]).size >= LEAST_SEEN:
        seen = few
    return seen[np.unique(np.linspace(0, len(seen) - 1, min(FRAMES, len(seen))).round().astype(int))]


def _active(head: HeadModel, expression: F64) -> Index:
    activity = np.square(expression).mean(axis=0)
    moves = np.linalg.norm(head.expression_basis, axis=2).max(axis=1) > MOVES
    allowed = [not any(word in name for word in EXCLUDED) for name in head.expression_names]
    return np.flatnonzero((activity > ACTIVE**2) & moves & allowed)


def _skin_points(take: Take, stride: int) -> SurfacePoints:
    """The observed points that only deform, of every ``stride``-th."""
    points = joined_points(*take.points.surface)
    chosen = take.basis.skin_index[::stride].cpu().numpy()
    return SurfacePoints(points.triangle[chosen], points.barycentric[chosen])
