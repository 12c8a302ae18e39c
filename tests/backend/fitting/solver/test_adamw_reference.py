"""The paper's optimiser on our energy: it goes to the same minimum, and keeps the bounds."""

from __future__ import annotations

import pytest
import torch

from backend.fitting.solver.adamw_reference import LEARNING_RATE, minimise_adamw, plain_sizes, typical_sizes
from backend.fitting.solver.levenberg_marquardt import Stage, minimise
from tests.backend.fitting.terms.test_derivatives import make_problem

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("rig", ["one view", "unknown rig"])
def test_adamw_goes_where_the_solver_goes(rig: str) -> None:
    problem, state = make_problem(frames=3, rig=rig)
    best = minimise(problem, state, Stage(tolerance=1e-10, max_iterations=100)).energy[-1]
    run = minimise_adamw(problem, state, typical_sizes(problem, state), max_iterations=250)
    assert run.energy[0] == pytest.approx(problem.energy(state), rel=1e-9)
    assert problem.energy(run.state) == pytest.approx(min(run.energy), rel=1e-9)
    assert min(run.energy) > 0.999 * best
    assert min(run.energy) - best < 0.2 * (run.energy[0] - best)


def test_expressions_stay_within_their_bounds() -> None:
    problem, state = make_problem(frames=3)
    run = minimise_adamw(problem, state, plain_sizes(problem, state), learning_rate=0.2, max_iterations=30)
    assert (run.state.expression >= problem.basis.lower).all()
    assert (run.state.expression <= problem.basis.upper).all()


def test_each_step_moves_an_unknown_by_its_size_times_the_learning_rate() -> None:
    """Adam's first step is the learning rate in each unknown's own units, whatever the gradient."""
    problem, state = make_problem(frames=2)
    sizes = typical_sizes(problem, state)
    run = minimise_adamw(problem, state, sizes, max_iterations=2)
    moved = (run.state.identity - state.identity).abs()
    assert torch.allclose(moved, LEARNING_RATE * sizes.shared[:4], rtol=1e-3)


def test_a_run_that_converged_says_so_and_time_only_grows() -> None:
    problem, state = make_problem(frames=1)
    run = minimise_adamw(problem, state, typical_sizes(problem, state), learning_rate=0.1, max_iterations=6000)
    assert run.converged
    assert list(run.seconds) == sorted(run.seconds)
    assert len(run.seconds) == len(run.energy) < 6000
