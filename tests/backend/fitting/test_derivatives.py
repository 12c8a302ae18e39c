"""Every derivative of the fit against automatic and finite differences; the structured solve against a dense one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from backend.fitting import data_term, temporal_term
from backend.fitting.geometry import gaze_rotation, project
from backend.fitting.levenberg_marquardt import Problem
from backend.fitting.normal_equations import NormalEquations, solve
from backend.fitting.point_basis import build_point_basis
from backend.fitting.state import State, all_points
from backend.fitting.temporal_term import TemporalWeights
from backend.fitting.types import EnergyWeights
from backend.head_model import model
from tests.backend.fitting.small_head import EXPRESSIONS, small_head

FRAMES = 5


def make_problem(frames: int = FRAMES, robust_scale: float = 2.0) -> tuple[Problem, State]:
    """A problem and a state off its minimum, in which every term has something to say."""
    torch.manual_seed(3)
    basis = build_point_basis(small_head(), "all", EnergyWeights(), 4, torch.device("cpu"), torch.float64)
    points = len(basis.skin_index) + len(basis.eye_index)
    angles = 0.2 * torch.randn(frames, 3, dtype=torch.float64)
    state = State(
        identity=torch.randn(4, dtype=torch.float64),
        log_focal=torch.tensor(math.log(700.0), dtype=torch.float64),
        expression=torch.rand(frames, basis.expression_count, dtype=torch.float64),
        rotation=torch.linalg.matrix_exp(torch.stack([_skew(a) for a in angles]))
        @ torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64)),
        translation=torch.tensor([0.02, -0.01, 0.6], dtype=torch.float64)
        + 0.02 * torch.randn(frames, 3, dtype=torch.float64),
        gaze=0.2 * torch.randn(frames, 4, dtype=torch.float64),
    )
    centre = torch.tensor([256.0, 250.0], dtype=torch.float64)
    image, _ = project(all_points(basis, state), state.log_focal.exp(), centre)
    precision = torch.rand(frames, points, dtype=torch.float64)
    precision[:, 3] = 0
    data = data_term.PixelData(image + 2 * torch.randn_like(image), precision, centre, robust_scale)
    problem = Problem(basis, data, TemporalWeights(3e4, 7.0), 0.5, 40.0, 2.0, math.log(900.0))
    return problem, state


def _skew(a: Tensor) -> Tensor:
    x, y, z = a.tolist()
    return torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)


def stepped_energy(problem: Problem, state: State, step: Tensor) -> Tensor:
    """The energy after ``step`` (all unknowns, shared first), differentiable; expressions are not clamped."""
    shared_size = problem.basis.identity_count + 1
    frames = step[shared_size:].reshape(state.frame_count, -1)
    count = problem.basis.expression_count
    delta, tau = frames[:, count : count + 3], frames[:, count + 3 : count + 6]
    zero = torch.zeros_like(delta[:, 0])
    x, y, z = delta.unbind(1)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, 3, 3)
    moved = State(
        identity=state.identity + step[: shared_size - 1],
        log_focal=state.log_focal + step[shared_size - 1],
        expression=state.expression + frames[:, :count],
        rotation=state.rotation @ torch.linalg.matrix_exp(cross),
        translation=state.translation + (state.rotation @ tau[..., None])[..., 0],
        gaze=state.gaze + frames[:, count + 6 :],
    )
    own = torch.cat([moved.expression, moved.gaze], 1)
    close, opened = EXPRESSIONS.index("mouthClose"), EXPRESSIONS.index("jawOpen")
    excess = (moved.expression[:, close] - moved.expression[:, opened]).clamp_min(0)
    return (
        data_term.energy(problem.basis, moved, problem.data)
        + temporal_term.energy(problem.basis, moved, problem.temporal)
        + 0.5 * problem.identity_weight * moved.identity.square().sum()
        + 0.5 * torch.einsum("ti,ij,tj->", own, problem.basis.prior, own)
        + 0.5 * problem.lip_seal_weight * excess.square().sum()
        + 0.5 * problem.focal_weight * (moved.log_focal - problem.log_usual_focal).square()
    )


def test_the_gradient_is_the_energys() -> None:
    problem, state = make_problem()
    _, gradient = problem.linearise(state).dense()
    step = torch.zeros_like(gradient, requires_grad=True)
    energy = stepped_energy(problem, state, step)
    (reference,) = torch.autograd.grad(energy, step)
    assert float(energy.detach()) == pytest.approx(problem.energy(state), rel=1e-12)
    assert torch.allclose(gradient, reference, rtol=1e-8, atol=1e-8 * float(reference.abs().max()))


def test_the_gradient_agrees_with_finite_differences() -> None:
    problem, state = make_problem()
    _, gradient = problem.linearise(state).dense()
    size = 1e-5
    for index in range(len(gradient)):
        step = torch.zeros_like(gradient)
        step[index] = size
        slope = (stepped_energy(problem, state, step) - stepped_energy(problem, state, -step)) / (2 * size)
        assert float(gradient[index]) == pytest.approx(float(slope), rel=1e-4, abs=1e-4 * float(gradient.abs().max()))


def _acceleration_jacobian(problem: Problem, state: State) -> Tensor:
    """Jacobian of √w·acceleration of every face vertex, from positions themselves rather than Gram matrices."""
    head = small_head()
    skin = np.flatnonzero(head.skinning_weights[:, 3:].max(1) == 0)
    columns = np.concatenate(
        [head.template[..., None], np.moveaxis(head.shape_basis, 0, -1), np.moveaxis(head.expression_basis, 0, -1)], -1
    )
    columns = torch.as_tensor(columns[skin], dtype=torch.float64)
    count = problem.basis.expression_count
    shared_size = problem.basis.identity_count + 1

    def acceleration(step: Tensor) -> Tensor:
        frames = step[shared_size:].reshape(state.frame_count, -1)
        coefficients = torch.cat(
            [
                torch.ones(state.frame_count, 1, dtype=torch.float64),
                (state.identity + step[: shared_size - 1]).expand(state.frame_count, -1),
                state.expression + frames[:, :count],
            ],
            1,
        )
        local = torch.einsum("vak,tk->tva", columns, coefficients)
        delta, tau = frames[:, count : count + 3], frames[:, count + 3 : count + 6]
        local = local + torch.cross(delta[:, None].expand_as(local), local, dim=-1) + tau[:, None]
        world = local @ state.rotation.mT + state.translation[:, None]
        weight = math.sqrt(problem.temporal.vertices / len(skin))
        return (weight * (world[:-2] - 2 * world[1:-1] + world[2:])).flatten()

    size = shared_size + state.frame_count * (count + 10)
    return torch.autograd.functional.jacobian(acceleration, torch.zeros(size, dtype=torch.float64))


def test_the_temporal_term_equals_a_sum_over_all_face_vertices() -> None:
    problem, state = make_problem()
    size = problem.basis.expression_count + 10
    equations = NormalEquations.zeros(FRAMES, problem.basis.identity_count + 1, size, state.expression)
    temporal_term.add_temporal_term(equations, problem.basis, state, TemporalWeights(problem.temporal.vertices, 0.0))
    matrix, _ = equations.dense()
    jacobian = _acceleration_jacobian(problem, state)
    reference = jacobian.T @ jacobian
    assert torch.allclose(matrix, reference, rtol=1e-6, atol=1e-6 * float(reference.abs().max()))


def test_the_data_terms_hessian_is_gauss_newtons() -> None:
    problem, state = make_problem(frames=2, robust_scale=1e6)
    bare = Problem(problem.basis, problem.data, TemporalWeights(0, 0), 0.0, 0.0, 0.0, 0.0)
    matrix, _ = bare.linearise(state).dense()
    for t in range(2):
        start = problem.basis.identity_count + 1 + t * (problem.basis.expression_count + 10)
        own = torch.cat([torch.arange(problem.basis.expression_count), torch.arange(-4, 0)])
        block = matrix[start : start + problem.basis.expression_count + 10, start:][:, : own.numel() + 6]
        block[own[:, None], own] -= problem.basis.prior

    def weighted(step: Tensor) -> Tensor:
        shared_size = problem.basis.identity_count + 1
        frames = step[shared_size:].reshape(2, -1)
        count = problem.basis.expression_count
        x, y, z = frames[:, count : count + 3].unbind(1)
        zero = torch.zeros_like(x)
        cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, 3, 3)
        moved = State(
            state.identity + step[: shared_size - 1],
            state.log_focal + step[shared_size - 1],
            state.expression + frames[:, :count],
            state.rotation @ torch.linalg.matrix_exp(cross),
            state.translation + (state.rotation @ frames[:, count + 3 : count + 6, None])[..., 0],
            state.gaze + frames[:, count + 6 :],
        )
        return (
            data_term.residuals(problem.basis, moved, problem.data) * problem.data.precision.sqrt()[..., None]
        ).flatten()

    jacobian = torch.autograd.functional.jacobian(weighted, torch.zeros(len(matrix), dtype=torch.float64))
    reference = jacobian.T @ jacobian
    assert torch.allclose(matrix, reference, rtol=1e-6, atol=1e-8 * float(reference.abs().max()))


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 7])
def test_the_structured_solve_equals_a_dense_one(frames: int) -> None:
    problem, state = make_problem(frames=frames)
    equations = problem.linearise(state)
    free = torch.ones_like(equations.frame_gradient, dtype=torch.bool)
    free[:, 2] = False
    shared_free = torch.ones_like(equations.shared_gradient, dtype=torch.bool)
    shared_free[1] = False
    damping = 1e-3
    shared_step, step = solve(equations, free, shared_free, damping)
    matrix, gradient = equations.dense()
    keep = torch.cat([shared_free, free.flatten()])
    matrix = matrix + damping * torch.diag(matrix.diagonal() + 1e-9)
    reference = torch.zeros_like(gradient)
    reference[keep] = torch.linalg.solve(matrix[keep][:, keep], -gradient[keep])
    assert torch.allclose(torch.cat([shared_step, step.flatten()]), reference, rtol=1e-6, atol=1e-9)


def test_gaze_turns_as_the_head_model_says() -> None:
    gaze = torch.tensor([[0.3, -0.2], [-0.5, 0.4]], dtype=torch.float64, requires_grad=True)
    rotation, derivative = gaze_rotation(gaze)
    assert np.allclose(rotation.detach().numpy(), model.gaze_rotation(gaze.detach().numpy()))
    jacobian = torch.autograd.functional.jacobian(lambda g: gaze_rotation(g)[0].sum(0), gaze)
    assert torch.allclose(jacobian.permute(2, 3, 0, 1), derivative)
