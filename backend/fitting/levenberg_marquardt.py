"""The structured Levenberg–Marquardt loop over the whole energy (DESIGN §6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.fitting import data_term, temporal_term
from backend.fitting.normal_equations import NormalEquations, solve_bounded
from backend.fitting.point_basis import PointBasis
from backend.fitting.state import POSE_UNKNOWNS, State

MAX_DAMPING = 1e8


@dataclass(frozen=True, eq=False)
class Problem:
    """A complete energy over T frames: the data, and the weight of everything else (see ``EnergyWeights``)."""

    basis: PointBasis
    data: data_term.PixelData
    temporal: temporal_term.TemporalWeights
    identity_weight: float
    lip_seal_weight: float  # ½ w max(0, mouthClose − jawOpen)²
    focal_weight: float  # ½ w (log f − log f₀)²
    log_usual_focal: float

    def energy(self, state: State) -> float:
        """The energy of ``state`` (seeds/001 eq. 12 with DESIGN §6's additions); dimensionless."""
        own = torch.cat([state.expression, state.gaze], dim=1)
        total = data_term.energy(self.basis, state, self.data)
        total = total + temporal_term.energy(self.basis, state, self.temporal)
        total = total + 0.5 * self.identity_weight * state.identity.square().sum()
        total = total + 0.5 * torch.einsum("ti,ij,tj->", own, self.basis.prior, own)
        if self.basis.sealed is not None:
            total = total + 0.5 * self.lip_seal_weight * self._excess(state).square().sum()
        return float(total + 0.5 * self.focal_weight * (state.log_focal - self.log_usual_focal).square())

    def linearise(self, state: State) -> NormalEquations:
        """Gauss–Newton blocks of the whole energy at ``state``."""
        basis = self.basis
        size = basis.expression_count + POSE_UNKNOWNS + 4
        equations = NormalEquations.zeros(state.frame_count, basis.identity_count + 1, size, state.expression)
        data_term.add_data_term(equations, basis, state, self.data)
        temporal_term.add_temporal_term(equations, basis, state, self.temporal)
        count = basis.identity_count
        equations.shared.diagonal()[:count] += self.identity_weight
        equations.shared_gradient[:count] += self.identity_weight * state.identity
        equations.shared[count, count] += self.focal_weight
        equations.shared_gradient[count] += self.focal_weight * (state.log_focal - self.log_usual_focal)
        own = own_unknowns(basis)
        gradient = torch.cat([state.expression, state.gaze], dim=1) @ basis.prior
        equations.frame[:, own[:, None], own] += basis.prior
        equations.frame_gradient[:, own] += gradient
        if basis.sealed is not None:
            self._add_lip_seal(equations, state, basis.sealed)
        return equations

    def _excess(self, state: State) -> Tensor:
        """(T,) what mouthClose exceeds jawOpen by: on ARKit heads it closes the lips that the open jaw took apart."""
        assert self.basis.sealed is not None
        close, opened = self.basis.sealed
        return (state.expression[:, close] - state.expression[:, opened]).clamp_min(0)

    def _add_lip_seal(self, equations: NormalEquations, state: State, sealed: tuple[int, int]) -> None:
        excess = self._excess(state)
        active = self.lip_seal_weight * (excess > 0).to(excess.dtype)
        for row, sign in zip(sealed, (1.0, -1.0), strict=True):
            equations.frame_gradient[:, row] += sign * self.lip_seal_weight * excess
            for column, other in zip(sealed, (1.0, -1.0), strict=True):
                equations.frame[:, row, column] += sign * other * active


def own_unknowns(basis: PointBasis) -> Tensor:
    """Indices of (φ, gaze) among a frame's unknowns."""
    size = basis.expression_count
    device = basis.prior.device
    return torch.cat(
        [torch.arange(size, device=device), torch.arange(size + POSE_UNKNOWNS, size + POSE_UNKNOWNS + 4, device=device)]
    )


@dataclass(frozen=True)
class Stage:
    """Which unknowns a run moves, and when it stops."""

    expression: bool = True
    pose: bool = True
    gaze: bool = True
    identity: bool = True
    focal: bool = True
    max_iterations: int = 40
    tolerance: float = 1e-4


@dataclass(frozen=True, eq=False)
class Minimum:
    """Where a run ended, and the energy after each accepted step."""

    state: State
    energy: tuple[float, ...]
    iterations: int


def _free(problem: Problem, state: State, stage: Stage) -> tuple[Tensor, Tensor]:
    basis = problem.basis
    pattern = [stage.expression] * basis.expression_count + [stage.pose] * POSE_UNKNOWNS + [stage.gaze] * 4
    device = state.expression.device
    frame = torch.tensor(pattern, device=device).expand(state.frame_count, -1).clone()
    shared = torch.tensor([stage.identity] * basis.identity_count + [stage.focal], device=device)
    return frame, shared


def _at_bounds(problem: Problem, state: State, gradient: Tensor) -> Tensor:
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

    ``on_iteration`` hears the iteration and the energy before each solve and may raise to cancel.
    """
    frame_free, shared_free = _free(problem, state, stage)
    count = problem.basis.expression_count
    history = [problem.energy(state)]
    damping, iteration = 1e-3, 0
    equations = problem.linearise(state)
    while iteration < stage.max_iterations and damping < MAX_DAMPING:
        iteration += 1
        if on_iteration is not None:
            on_iteration(iteration, history[-1])
        free = frame_free.clone()
        free[:, :count] &= ~_at_bounds(problem, state, equations.frame_gradient)
        lower, upper = problem.basis.lower - state.expression, problem.basis.upper - state.expression
        try:
            shared_step, frame_step = solve_bounded(equations, free, shared_free, damping, lower, upper)
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            damping *= 10
            continue
        trial = state.moved(shared_step, frame_step, problem.basis)
        energy = problem.energy(trial)
        if not energy < history[-1]:
            damping *= 8
            continue
        small = history[-1] - energy < stage.tolerance * history[-1]
        state, damping = trial, max(damping * 0.2, 1e-8)
        history.append(energy)
        if small:
            break
        equations = problem.linearise(state)
    return Minimum(state, tuple(history), iteration)
