"""The terms of pins and held values: gradients by finite differences, curvature at what they ask for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from backend.fitting.geometry import rotation_exp
from backend.fitting.point_basis import with_points
from backend.fitting.problem import Problem
from backend.fitting.state import State
from backend.fitting.terms.held import HeldTerm, HeldValues
from backend.fitting.terms.pins import NEVER_FADES, PinsTerm
from backend.fitting.terms.points import PointsTerm
from backend.fitting.terms.settled import SettledTerm
from backend.fitting.terms.types import Term
from backend.head_model.model import SurfacePoints
from tests.backend.fitting.small_head import small_head
from tests.backend.fitting.terms.test_derivatives import DOUBLE, make_problem, stepped


def make_pins(problem: Problem, state: State, kept: slice) -> PinsTerm:
    """Points of skin and eyes, some of them (``kept``), tens of pixels off in one frame and pinned nowhere else."""
    head = small_head()
    all_points = head.landmarks["all"]
    own = with_points(problem.basis, head, SurfacePoints(all_points.triangle[kept], all_points.barycentric[kept]))
    shape = (len(state.cameras), state.frame_count, len(all_points.triangle[kept]))
    still = PointsTerm(torch.zeros(*shape, 2, dtype=DOUBLE), torch.zeros(shape, dtype=DOUBLE), 1.0, problem.unknowns)
    mu = torch.stack([still.residuals(own, state, view) for view in range(shape[0])])
    precision = torch.zeros(shape, dtype=DOUBLE)
    precision[:, 2] = 1 + torch.rand(shape[0], shape[2], dtype=DOUBLE)
    return PinsTerm(own, PointsTerm(mu + 30 * torch.randn_like(mu), precision, NEVER_FADES, problem.unknowns))


def make_held(state: State) -> HeldTerm:
    """Everything held somewhere, off where it is."""
    frames, count = state.expression.shape
    off = 0.3 * torch.randn(frames, 3, dtype=DOUBLE)
    return HeldTerm(
        HeldValues(
            expression=torch.rand(frames, count, dtype=DOUBLE),
            gaze=torch.randn(frames, 4, dtype=DOUBLE),
            rotation=state.rotation @ rotation_exp(off),
            translation=state.translation + 0.05 * torch.randn(frames, 3, dtype=DOUBLE),
            expression_precision=torch.rand(frames, count, dtype=DOUBLE),
            gaze_precision=torch.rand(frames, 4, dtype=DOUBLE),
            rotation_precision=torch.rand(frames, dtype=DOUBLE),
            translation_precision=torch.rand(frames, dtype=DOUBLE),
        )
    )


def elsewhere(state: State) -> State:
    """Another state, a large step away."""
    turn = rotation_exp(0.5 * torch.randn(state.frame_count, 3, dtype=DOUBLE))
    return replace(state, expression=state.expression / 2, rotation=state.rotation @ turn, gaze=-state.gaze)


def terms() -> list[tuple[Problem, State, Term]]:
    made = []
    for rig in ("one view", "all known"):
        problem, state = make_problem(rig=rig)
        eyes_only = slice(int(problem.basis.eye_index.min()), int(problem.basis.eye_index.min()) + 1)
        made += [(problem, state, make_pins(problem, state, kept)) for kept in (slice(0, None, 3), eyes_only)]
        made.append((problem, state, make_held(state)))
        slope = torch.randn(state.frame_count, problem.basis.expression_count + 10, dtype=DOUBLE)
        made.append((problem, state, SettledTerm(elsewhere(state), slope)))
    return made


@pytest.mark.parametrize("number", range(8))
def test_the_gradient_agrees_with_finite_differences(number: int) -> None:
    problem, state, term = terms()[number]
    problem = Problem(problem.basis, (term,), problem.unknowns)
    _, gradient = problem.linearise(state).dense()
    size = 1e-5
    for index in range(len(gradient)):
        step = torch.zeros_like(gradient)
        step[index] = size
        ahead, behind = (problem.energy(stepped(problem, state, s)) for s in (step, -step))
        slope = (ahead - behind) / (2 * size)
        assert float(gradient[index]) == pytest.approx(slope, rel=1e-4, abs=1e-4 * float(gradient.abs().max()))


def test_held_values_curve_as_their_energy_does_where_they_are_met() -> None:
    problem, state = make_problem(frames=2)
    met = HeldTerm(
        replace(
            make_held(state).held,
            expression=state.expression,
            gaze=state.gaze,
            rotation=state.rotation,
            translation=state.translation,
        )
    )
    problem = Problem(problem.basis, (met,), problem.unknowns)
    matrix, _ = problem.linearise(state).dense()
    for index in range(len(matrix)):
        step = torch.zeros(len(matrix), dtype=DOUBLE)
        step[index] = 1e-4
        ahead, behind = (problem.linearise(stepped(problem, state, s)).dense()[1] for s in (step, -step))
        np.testing.assert_allclose(matrix[:, index], (ahead - behind) / 2e-4, rtol=1e-5, atol=1e-5)
