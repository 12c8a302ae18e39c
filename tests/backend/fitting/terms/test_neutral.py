"""The pull of frames at rest: its blocks are its energy's derivatives, and eyes and lids are free."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from backend.fitting import FitOptions
from backend.fitting.normal_equations import NormalEquations
from backend.fitting.problem import neutral_frames_term
from backend.fitting.terms.neutral import NeutralFrames
from tests.backend.fitting.made_takes import ACTIONS, Seen, head, performance, view
from tests.backend.fitting.terms.test_derivatives import DOUBLE, make_problem


def test_gradient_and_hessian_are_the_energys() -> None:
    problem, state = make_problem()
    frames, count = state.expression.shape
    term = NeutralFrames(torch.tensor([0.0, 3.0, 0.0, 1.5, 2.0], dtype=DOUBLE), torch.rand(count, dtype=DOUBLE))
    size, shared = count + 10, problem.basis.identity_count + problem.unknowns.count
    equations = NormalEquations.zeros(frames, shared, size, state.expression)
    term.add(equations, problem.basis, state)

    def energy(expression: torch.Tensor) -> torch.Tensor:
        return term.energy(problem.basis, replace(state, expression=expression))

    expression = state.expression.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(energy(expression), expression, create_graph=True)
    (curvature,) = torch.autograd.grad(gradient.sum(), expression)  # of a sum of squares, the whole Hessian
    torch.testing.assert_close(equations.frame_gradient[:, :count], gradient.detach())
    torch.testing.assert_close(equations.frame[:, :count, :count], torch.diag_embed(curvature))
    assert not equations.shared.any() and not equations.frame[:, count:].any()
    assert term.speaks_in(frames).tolist() == [False, True, False, True, True]


def test_only_marked_frames_are_held_and_eyes_are_free() -> None:
    seen = view(performance(4), Seen())
    term = neutral_frames_term(head(), [seen], FitOptions(neutral_frames=(2, 4, 99)), torch.zeros(1, dtype=DOUBLE))
    assert (term.weight > 0).tolist() == [False, True, False, True]
    free = [name for name, held in zip(ACTIONS, term.held.tolist(), strict=True) if not held]
    assert free == [name for name in ACTIONS if name.startswith(("eyeBlink", "eyeLook"))] and len(free) == 10
    np.testing.assert_array_equal(np.unique(term.held), [0, 1])
