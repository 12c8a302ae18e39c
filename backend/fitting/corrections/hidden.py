"""What masks hide: points that do not count, and expressions of which too little is seen, which are bridged then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.fitting.point_basis import PointBasis
from backend.fitting.prepare import Take
from backend.fitting.problem import Problem, found_frames
from backend.fitting.state import State, eye_points
from backend.fitting.terms.pins import NEVER_FADES
from backend.fitting.terms.sparse import SparseActions
from backend.fitting.terms.witness import WitnessTerm
from backend.fitting.types import View

F64 = NDArray[np.float64]
Bools = NDArray[np.bool_]

HALF = 2.0
"""An expression half of whose movement is hidden counts as hidden altogether: what is left of it tells its neighbours'
movements as well."""
BRIDGE_SIGMA = 0.05
"""σ of a hidden expression about its bridge. Lower faces of lp_d10 shown 5 to 12 px aside for 8, 15 and 10 frames, and
masked: 0.02 leaves the mouth 3.0 mm off the take tracked from what was there, 0.05 2.7, 0.1 2.5, 0.2 2.5, but in the
worst part 2.4, 2.6, 2.8 and 3.1, where a mask of the whole picture leaves 2.4 (3.2 in all three)."""
SHOWN = 0.1  # hidden less than this, an expression is believed


def with_ignored(take: Take, ignored: Sequence[Bools]) -> tuple[Take, F64]:
    """The take without what was seen of the points ``ignored`` (T,N) of each view, and how far it hides expressions.

    The latter is (T,K_ex), 0 in 1: the share of an expression's movement, over the points that any view saw, that no
    view sees any more, ``HALF`` of which is all.
    """
    before = _weights(take, take.views)
    views = tuple(_without(view, own) for view, own in zip(take.views, ignored, strict=True))
    after = _weights(take, views)
    moved = _movement(take)
    total, left = before @ moved, after @ moved
    lost = np.logical_or.reduce([own.any(axis=1) for own in ignored])
    seen = (total > 1e-12) & lost[:, None]  # not what no point showed before
    hidden = np.where(seen, np.clip(HALF * (1 - left / np.where(seen, total, 1)), 0, 1), 0)
    views = tuple(_without_lids(view, hidden, take.basis) for view in views)
    told = take.witness
    if told is not None:
        told = replace(told, precision=told.precision * (1 - hidden))
    return replace(take, views=views, found=found_frames(views).any(0), witness=told), hidden


def hiding(problem: Problem, hidden: F64, bridge: Tensor) -> Problem:
    """The problem in frames that hide expressions, ``hidden (T,K_ex)``: what is hidden is held to ``bridge (T,K_ex)``.

    What is left of an action's points is no measure of it: held to rest instead, or to nothing, it takes up whatever
    its neighbours leave of their errors.
    """
    far = torch.as_tensor(hidden, device=bridge.device)
    for term in [term for term in problem.terms if isinstance(term, SparseActions)]:
        problem = problem.with_term(replace(term, weight=term.weight * (1 - far)))
    return replace(problem, terms=(*problem.terms, WitnessTerm(bridge, far / BRIDGE_SIGMA**2, NEVER_FADES)))


def bridged_start(state: State, hidden: F64) -> State:
    """The state with expressions on a straight line between the frames that show them, as far as others hide them.

    ``hidden (T,K_ex)``. What was tracked there is what the mask says is wrong, and a solve would not leave the bounds
    of expressions that it took for shut frame by frame.
    """
    tracked = state.expression.cpu().numpy()
    line, time = tracked.copy(), np.arange(len(tracked))
    for k in np.flatnonzero(hidden.any(axis=0)):
        shown = np.flatnonzero(hidden[:, k] < SHOWN)
        if len(shown):
            line[:, k] = np.interp(time, shown, tracked[shown, k])
    expression = torch.as_tensor(tracked + hidden * (line - tracked), device=state.expression.device)
    return replace(state, expression=expression)


def _without(view: View, ignored: Bools) -> View:
    """The view without these of its points (T,N), in the order of its sets."""
    seen = view.alignment
    first, sets = 0, []
    for points in seen.point_sets:
        part = slice(first, first + points.mu.shape[1])
        sets.append(replace(points, valid=points.valid & ~ignored[:, part]))
        first = part.stop
    changed = replace(seen, point_sets=tuple(sets))
    return replace(view, alignment=replace(changed, found=seen.found & changed.valid.any(axis=1)))


def _without_lids(view: View, hidden: F64, basis: PointBasis) -> View:
    """The view telling no closure of an eye the most of whose lids is hidden."""
    told = view.alignment.lid_closure
    if told is None or basis.closure is None:
        return view
    closing = basis.closure.clamp_min(0).cpu().numpy()
    lost = hidden @ (closing / closing.sum(axis=1, keepdims=True)).T > 0.5
    lids = np.where(lost, np.float32(np.nan), told)
    return replace(view, alignment=replace(view.alignment, lid_closure=lids))


def _weights(take: Take, views: Sequence[View]) -> F64:
    """(T,N) 1 where any view shows a point of the take."""
    return np.asarray(np.logical_or.reduce([take.points.valid(view) for view in views]), np.float64)


def _movement(take: Take) -> F64:
    """(N,K_ex) how far, squared, each expression moves each observed point from the neutral."""
    basis = take.basis
    first = 1 + basis.identity_count
    moved = np.zeros((take.points.count, basis.expression_count))
    still = _at_rest(take.start)
    eyes = eye_points(basis, still.coefficients(), still.gaze).columns[0]
    for index, columns in ((basis.skin_index, basis.skin), (basis.eye_index, eyes)):
        moved[index.cpu().numpy()] = columns[..., first:].square().sum(dim=1).cpu().numpy()
    return moved


def _at_rest(state: State) -> State:
    """One frame of a neutral face."""

    def none(values: Tensor) -> Tensor:
        return torch.zeros_like(values[:1])

    return replace(state, expression=none(state.expression), gaze=none(state.gaze), rotation=state.rotation[:1])
