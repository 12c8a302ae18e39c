"""The structured Levenberg–Marquardt loop over the whole energy (DESIGN §6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.fitting.normal_equations import solve_bounded
from backend.fitting.problem import Problem
from backend.fitting.state import GAZE_UNKNOWNS, POSE_UNKNOWNS, State
from backend.fitting.terms.points import PointsTerm
from backend.fitting.types import Fixed

MAX_DAMPING = 1e8


@dataclass(frozen=True)
class Stage:
    """The unknowns that a run leaves where they are, and when it stops."""

    fixed: Fixed = field(default_factory=Fixed)
    max_iterations: int = 40
    tolerance: float = 1e-4

    @property
    def holds_anything(self) -> bool:
        """True where some unknowns stay where they are."""
        fixed = self.fixed
        kinds = (fixed.identity, fixed.cameras, fixed.expression, fixed.pose, fixed.gaze)
        return any(kinds) or (fixed.frames is not None and bool(fixed.frames.any()))

    def at(self, frames: NDArray[np.integer[Any]]) -> Stage:
        """The stage of only these frames of its take."""
        held = self.fixed.frames
        return self if held is None else replace(self, fixed=replace(self.fixed, frames=held[frames]))


@dataclass(frozen=True, eq=False)
class Minimum:
    """The end of a run, and the energy after each accepted step."""

    state: State
    energy: tuple[float, ...]
    iterations: int


def free_unknowns(problem: Problem, state: State, stage: Stage) -> tuple[Tensor, Tensor]:
    """(T,F) and (S,) bool: the unknowns that ``stage`` moves."""
    basis, fixed = problem.basis, stage.fixed
    pattern = [not fixed.expression] * basis.expression_count + [not fixed.pose] * POSE_UNKNOWNS
    pattern += [not fixed.gaze] * GAZE_UNKNOWNS
    device = state.expression.device
    frame = torch.tensor(pattern, device=device).expand(state.frame_count, -1).clone()
    if fixed.frames is not None:
        frame[torch.as_tensor(fixed.frames, device=device)] = False
    cameras = [not fixed.cameras] * problem.unknowns.count
    shared = torch.tensor([not fixed.identity] * basis.identity_count + cameras, device=device)
    return frame, shared


def at_bounds(problem: Problem, state: State, gradient: Tensor) -> Tensor:
    """(T,K_ex): expressions that sit on a bound and want to go beyond it; they stay put for this step."""
    gradient = gradient[:, : problem.basis.expression_count]
    low = (state.expression <= problem.basis.lower) & (gradient > 0)
    high = (state.expression >= problem.basis.upper) & (gradient < 0)
    return low | high


def minimise(
    problem: Problem,
    state: State,
    stage: Stage,
    *,
    on_iteration: Callable[[int, float], None] | None = None,
) -> Minimum:
    """Levenberg–Marquardt with bounds by an active set (Bertsekas 1982): the energy never rises.

    ``on_iteration`` gets the iteration and the energy before each solve and may raise to cancel.
    """
    frame_free, shared_free = free_unknowns(problem, state, stage)
    count = problem.basis.expression_count
    unseen = ~problem.term(PointsTerm).speaks_in(state.frame_count).to(frame_free.device)
    history = [problem.energy(state)]
    damping, iteration = 1e-3, 0
    equations = problem.linearise(state)
    while iteration < stage.max_iterations and damping < MAX_DAMPING:
        iteration += 1
        if on_iteration is not None:
            on_iteration(iteration, history[-1])
        free = frame_free.clone()
        # A frame in which nothing is seen leaves its bound only together with those about it, which its own gradient
        # does not tell: of a smile held over ten frames that left all of it out. The solve tells which of them stay.
        free[:, :count] &= ~at_bounds(problem, state, equations.frame_gradient) | unseen[:, None]
        lower, upper = problem.basis.lower - state.expression, problem.basis.upper - state.expression
        try:
            shared_step, frame_step = solve_bounded(equations, free, shared_free, damping, lower, upper)
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            damping *= 10
            continue
        trial = state.moved(shared_step, frame_step, problem.basis, problem.unknowns)
        energy = problem.energy(trial)
        if not energy < history[-1]:
            damping *= 8
            continue
        small = history[-1] - energy < stage.tolerance * history[-1]
        state, damping = trial, max(damping * 0.2, 1e-8)
        history.append(energy)
        if small:
            break
        del equations  # which are most of what a solve takes: never two of them
        equations = problem.linearise(state)
    return Minimum(state, tuple(history), iteration)
