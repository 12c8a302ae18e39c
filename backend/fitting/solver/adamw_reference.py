"""The paper's own optimiser on our energy: AdamW with a learning rate that halves on plateaus (seeds/001, appendix).

"We use the AdamW optimizer with an initial learning rate of 1×10⁻² and an automatic learning rate scheduler with a
decay factor of 0.5 and patience of 30 steps, until convergence." It is here to be compared with the solver: the same
``Problem``, the same first guess, the same unknowns (a step from the first guess in ``State.moved``'s coordinates:
rotations as axis-angle increments, positions along rays), gradients by autograd. Choices the paper leaves open:

- Weight decay is 0. Decoupled decay would pull every unknown to where it started, so that another energy is minimised.
- "Until convergence": until the learning rate has been halved ``HALVINGS`` times, or a limit is met.
- Expression bounds hold by clamping after each step.
- One learning rate for all unknowns, in units of ours (standard deviations of β, action weights, radians, metres), is
  what the paper says. ``typical_sizes`` is the kinder variant: each unknown counted in units of what it usually moves.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.fitting.cameras import CameraUnknowns
from backend.fitting.problem import Problem
from backend.fitting.state import State

LEARNING_RATE = 1e-2
DECAY = 0.5
PATIENCE = 30
HALVINGS = 12


@dataclass(frozen=True, eq=False)
class Sizes:
    """The size of one unit of the optimiser's unknowns in ours: ``shared (S,)`` and ``frame (F,)``."""

    shared: Tensor
    frame: Tensor


@dataclass(frozen=True, eq=False)
class Descent:
    """A run: the best state, and energy (before each step) over seconds, and over core seconds, since the start.

    ``converged`` is false where a limit ended the run.
    """

    state: State
    energy: tuple[float, ...]
    seconds: tuple[float, ...]
    core_seconds: tuple[float, ...]
    converged: bool


def plain_sizes(problem: Problem, state: State) -> Sizes:
    """All ones: the paper's single learning rate in our units."""
    basis = problem.basis
    like = state.expression
    return Sizes(
        like.new_ones(basis.identity_count + problem.unknowns.count), like.new_ones(basis.expression_count + 10)
    )


def typical_sizes(problem: Problem, state: State) -> Sizes:
    """Sizes that move a face about equally far: β 1, actions 0.3, turns 0.1 rad, shifts 1 cm, log focal 0.1."""
    basis = problem.basis
    frame = state.expression.new_full((basis.expression_count + 10,), 0.3)
    frame[basis.expression_count :] = torch.tensor([0.1] * 3 + [0.01] * 3 + [0.1] * 4, dtype=frame.dtype)
    shared = torch.cat([state.identity.new_ones(basis.identity_count), _camera_sizes(problem.unknowns, state)])
    return Sizes(shared, frame)


def _camera_sizes(unknowns: CameraUnknowns, state: State) -> Tensor:
    sizes = state.identity.new_full((unknowns.count,), 0.1)
    for view, solved in enumerate(unknowns.extrinsics):
        if solved:
            first = unknowns.first(view)
            sizes[first + 3 : first + 6] = 0.01
    return sizes


def minimise_adamw(
    problem: Problem,
    start: State,
    sizes: Sizes,
    *,
    learning_rate: float = LEARNING_RATE,
    max_iterations: int = 20_000,
    max_seconds: float = float("inf"),
    on_iteration: Callable[[int, float], None] | None = None,
) -> Descent:
    """Minimise ``problem`` from ``start``; all unknowns move. ``on_iteration`` may raise to cancel."""
    count = problem.basis.expression_count
    device = start.expression.device
    shared = torch.zeros_like(sizes.shared, requires_grad=True)
    frames = torch.zeros(
        start.frame_count, len(sizes.frame), dtype=sizes.frame.dtype, device=device, requires_grad=True
    )
    lower = (problem.basis.lower - start.expression) / sizes.frame[:count]
    upper = (problem.basis.upper - start.expression) / sizes.frame[:count]
    optimiser = torch.optim.AdamW([shared, frames], lr=learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=DECAY, patience=PATIENCE)
    best, best_step = float("inf"), (shared.detach().clone(), frames.detach().clone())
    history: list[float] = []
    seconds: list[float] = []
    worked: list[float] = []
    began, work = time.perf_counter(), time.process_time()

    def moved(by: tuple[Tensor, Tensor]) -> State:
        return start.moved(by[0] * sizes.shared, by[1] * sizes.frame, problem.basis, problem.unknowns)

    while len(history) < max_iterations and time.perf_counter() - began < max_seconds:
        optimiser.zero_grad()
        energy = problem.energy_tensor(moved((shared, frames)))
        energy.backward()  # type: ignore[no-untyped-call]
        history.append(float(energy.detach()))
        seconds.append(time.perf_counter() - began)
        worked.append(time.process_time() - work)
        if history[-1] < best:
            best, best_step = history[-1], (shared.detach().clone(), frames.detach().clone())
        if on_iteration is not None:
            on_iteration(len(history), history[-1])
        optimiser.step()
        with torch.no_grad():
            frames[:, :count] = torch.minimum(torch.maximum(frames[:, :count], lower), upper)
        schedule.step(history[-1])
        if optimiser.param_groups[0]["lr"] < learning_rate * DECAY**HALVINGS * 1.5:
            return Descent(moved(best_step), tuple(history), tuple(seconds), tuple(worked), True)
    return Descent(moved(best_step), tuple(history), tuple(seconds), tuple(worked), False)
