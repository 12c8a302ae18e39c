"""What masks hide: points that do not count, and expressions of which nothing is seen, which are bridged then."""

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
from backend.fitting.terms.priors import FramePrior
from backend.fitting.terms.temporal import TemporalTerm
from backend.fitting.types import View

F64 = NDArray[np.float64]
Bools = NDArray[np.bool_]

HALF = 2.0
"""An expression half of whose movement is hidden counts as hidden altogether: what is left of it tells its neighbours'
movements as well."""


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
    hidden = np.clip(HALF * (1 - left / np.maximum(total, 1e-12)), 0, 1)
    hidden[total.max(axis=1) == 0] = 0  # frames that were bridged already
    views = tuple(_without_lids(view, hidden, take.basis) for view in views)
    told = take.witness
    if told is not None:
        told = replace(told, precision=told.precision * (1 - hidden))
    return replace(take, views=views, found=found_frames(views).any(0), witness=told), hidden


def hiding(problem: Problem, hidden: F64) -> Problem:
    """The problem in frames that hide expressions, ``hidden (T,K_ex)``: priors of rest fade, and motion dies away."""
    prior, temporal = problem.term(FramePrior), problem.term(TemporalTerm)
    far = torch.as_tensor(hidden, device=prior.seen.device)
    glide = temporal.glide
    if glide is not None:
        temporal = replace(temporal, glide=glide.hiding(far, temporal.intervals))
    return problem.with_term(replace(prior, shown=1 - far)).with_term(temporal)


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
