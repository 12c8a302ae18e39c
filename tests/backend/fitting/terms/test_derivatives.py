"""Every derivative of the fit against automatic and finite differences; the structured solve against a dense one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from backend.fitting.cameras import Cameras, CameraUnknowns
from backend.fitting.geometry import gaze_rotation
from backend.fitting.normal_equations import NormalEquations, solve
from backend.fitting.point_basis import PointBasis, build_point_basis
from backend.fitting.problem import Problem
from backend.fitting.state import State
from backend.fitting.terms.glide import Glide
from backend.fitting.terms.lids import LidClosure
from backend.fitting.terms.outline import OutlineTerm
from backend.fitting.terms.pairs import PairsTerm
from backend.fitting.terms.points import PointsTerm
from backend.fitting.terms.priors import FocalPrior, FramePrior, LipSeal, PrincipalPrior, ShapePrior
from backend.fitting.terms.rows import SkinPoints
from backend.fitting.terms.sparse import OpposedActions, SparseActions
from backend.fitting.terms.temporal import TemporalTerm, stencils
from backend.fitting.terms.types import Term
from backend.fitting.terms.witness import WitnessTerm
from backend.fitting.types import EnergyWeights
from backend.head_model import model
from tests.backend.fitting.small_head import EXPRESSIONS, small_head

FRAMES = 5
DOUBLE = torch.float64

# Which cameras move how: one as in a take of one view; three of which all, one parameter or the rig's scale are solved.
RIGS = {
    "one view": ((False,), (True,), (False,), (False,)),
    "cropped view": ((False,), (True,), (False,), (True,)),
    "unknown rig": ((False, True, True), (True, False, True), (False, False, False), (True, False, True)),
    "rig of unknown scale": ((False, False, True), (True, True, False), (True, True, False), (False, True, False)),
    "all known": ((False, False), (False, False), (False, False), (False, False)),
}


def make_problem(frames: int = FRAMES, robust_scale: float = 2.0, rig: str = "one view") -> tuple[Problem, State]:
    """A problem and a state off its minimum, in which every term has something to say."""
    torch.manual_seed(3)
    head = small_head()
    basis = build_point_basis(head, (head.landmarks["all"],), EnergyWeights(), 4, None, torch.device("cpu"), DOUBLE)
    points = len(basis.skin_index) + len(basis.eye_index)
    angles = 0.2 * torch.randn(frames, 3, dtype=DOUBLE)
    extrinsics, focal, scaled, principal = RIGS[rig]
    views = len(focal)
    about = 0.4 * torch.randn(views, 3, dtype=DOUBLE)
    flip = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=DOUBLE))
    state = State(
        identity=torch.randn(4, dtype=DOUBLE),
        cameras=Cameras(
            rotation=torch.linalg.matrix_exp(torch.stack([_skew(a) for a in about])),
            translation=torch.tensor([0.02, -0.01, 0.6], dtype=DOUBLE) + 0.05 * torch.randn(views, 3, dtype=DOUBLE),
            log_focal=torch.linspace(math.log(700.0), math.log(900.0), views, dtype=DOUBLE),
            principal_point=torch.tensor([256.0, 250.0], dtype=DOUBLE) + 9 * torch.randn(views, 2, dtype=DOUBLE),
        ),
        expression=torch.rand(frames, basis.expression_count, dtype=DOUBLE),
        rotation=torch.linalg.matrix_exp(torch.stack([_skew(a) for a in angles])) @ flip,
        translation=0.02 * torch.randn(frames, 3, dtype=DOUBLE),
        gaze=0.2 * torch.randn(frames, 4, dtype=DOUBLE),
    )
    origin = torch.tensor([0.1, 0.02, 0.5], dtype=DOUBLE)
    unknowns = CameraUnknowns(extrinsics, focal, scaled, origin, principal, (500.0,) * views)
    unseen = PointsTerm(
        torch.zeros(views, frames, points, 2, dtype=DOUBLE),
        torch.rand(views, frames, points, dtype=DOUBLE),
        1.0,
        unknowns,
    )
    unseen.precision[:, :, 3] = 0
    mu = torch.stack([unseen.residuals(basis, state, view) for view in range(views)])
    data = PointsTerm(mu + 2 * torch.randn_like(mu), unseen.precision, robust_scale, unknowns)
    pairs = make_pairs(basis, data, robust_scale)
    temporal = TemporalTerm(make_intervals(frames), 3e4, 7.0, 0.9, make_glide(basis, frames))
    bent = make_bent(basis.expression_count, frames)
    outline = make_outline(basis, data, robust_scale)
    terms = (data, pairs, temporal, *make_priors(basis, unknowns, frames), *bent, outline)
    return Problem(basis, terms, unknowns), state


def make_pairs(basis: PointBasis, data: PointsTerm, robust_scale: float) -> PairsTerm:
    """Three pairs of the points that deform, of which two share one; one frame does not show the last."""
    first, second = torch.tensor([0, 2, 4]), torch.tensor([1, 3, 3])
    at = [basis.skin_index[index] for index in (first, second)]
    precision = torch.rand(*data.precision.shape[:2], 3, dtype=DOUBLE)
    precision[:, 0, 2] = 0
    return PairsTerm(
        SkinPoints(basis.skin[first]),
        SkinPoints(basis.skin[second]),
        data.mu[:, :, at[0]] - data.mu[:, :, at[1]],
        precision,
        robust_scale,
        data.unknowns,
    )


def make_outline(basis: PointBasis, data: PointsTerm, robust_scale: float) -> OutlineTerm:
    """Four of the points that deform, each across a direction of its own; one frame does not show the first."""
    index = torch.tensor([1, 2, 4, 5])
    angle = 7 * torch.rand(*data.precision.shape[:2], 4, dtype=DOUBLE)
    precision = torch.rand_like(angle)
    precision[:, 0, 0] = 0
    return OutlineTerm(
        SkinPoints(basis.skin[index]),
        data.mu[:, :, basis.skin_index[index]],
        torch.stack([angle.cos(), angle.sin()], dim=-1),
        precision,
        robust_scale,
        data.unknowns,
    )


def make_intervals(frames: int) -> Tensor:
    """Times between frames, in units of their mean: no two alike."""
    return torch.linspace(0.5, 1.5, frames, dtype=DOUBLE)[1:].flip(0)


def make_glide(basis, frames: int) -> Glide:  # type: ignore[no-untyped-def]
    """Over a gap of two frames, or of one at the end."""
    root = torch.randn(basis.expression_count, basis.expression_count, dtype=DOUBLE)
    seen = torch.tensor([t not in (1, 2) for t in range(frames)])
    eyes = torch.stack([seen, torch.tensor([t not in (1, 2, 3) for t in range(frames)])], dim=1)
    return Glide.between(root @ root.T, 3.0, make_intervals(frames), seen, eyes)


def priors_of(problem: Problem) -> tuple[Term, ...]:
    """The quadratic terms that look neither at points nor at motion."""
    others = (PointsTerm, PairsTerm, OutlineTerm, TemporalTerm, SparseActions, OpposedActions, WitnessTerm)
    return tuple(term for term in problem.terms if not isinstance(term, others))


def make_bent(count: int, frames: int) -> tuple[Term, ...]:
    """Terms whose blocks are the curvature of a parabola above them, not their own."""
    told = torch.rand(2, frames, count, dtype=DOUBLE)
    opposed = torch.zeros(count, count, dtype=DOUBLE)
    opposed[[0, 1, 2, 2], [2, 2, 0, 1]] = 1  # one action may have two opposites
    return (
        SparseActions(3 * torch.rand(frames, count, dtype=DOUBLE), 0.1),
        OpposedActions(opposed, torch.rand(frames, dtype=DOUBLE)),
        WitnessTerm(told[0], 9 * told[1], 1.5),
    )


def make_priors(basis, unknowns: CameraUnknowns, frames: int):  # type: ignore[no-untyped-def]
    root = torch.randn(4, 4, dtype=DOUBLE)
    solved = [j for j, free in enumerate(unknowns.focal) if free]
    index = torch.tensor([unknowns.focal_index(j) for j in solved], dtype=torch.long)
    between = torch.randn(len(unknowns.focal), len(unknowns.focal), dtype=DOUBLE)
    usual = torch.full((len(unknowns.focal),), math.log(800.0), dtype=DOUBLE)
    return (
        ShapePrior(root @ root.T, torch.randn(4, dtype=DOUBLE), torch.tensor(0.3, dtype=DOUBLE)),
        FramePrior(torch.rand(frames, dtype=DOUBLE), torch.rand(frames, 2, dtype=DOUBLE)),
        LipSeal(EXPRESSIONS.index("mouthClose"), EXPRESSIONS.index("jawOpen"), 40.0 * torch.rand(frames, dtype=DOUBLE)),
        LidClosure(
            torch.rand(2, basis.expression_count, dtype=DOUBLE),
            torch.rand(frames, 2, dtype=DOUBLE),
            torch.rand(frames, 2, dtype=DOUBLE),
        ),
        FocalPrior(between @ between.T, usual, torch.tensor(solved, dtype=torch.long), index),
        *([make_principal_prior(unknowns)] if any(unknowns.principal) else []),
    )


def make_principal_prior(unknowns: CameraUnknowns) -> PrincipalPrior:
    solved = [j for j, free in enumerate(unknowns.principal) if free]
    return PrincipalPrior(
        centre=torch.full((len(solved), 2), 255.0, dtype=DOUBLE),
        side=torch.tensor([unknowns.side[j] for j in solved], dtype=DOUBLE),
        weight=torch.linspace(1e4, 2e4, len(solved), dtype=DOUBLE),
        solved=torch.tensor(solved),
        index=torch.tensor([unknowns.principal_index(j) for j in solved]),
    )


def _skew(a: Tensor) -> Tensor:
    x, y, z = a.tolist()
    return torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=DOUBLE)


def stepped(problem: Problem, state: State, step: Tensor) -> State:
    """The state after ``step`` (all unknowns, shared first), differentiable."""
    shared_size = problem.basis.identity_count + problem.unknowns.count
    frames = step[shared_size:].reshape(state.frame_count, -1)
    return state.moved(step[:shared_size], frames, problem.basis, problem.unknowns)


@pytest.mark.parametrize("rig", RIGS)
def test_the_gradient_is_the_energys(rig: str) -> None:
    problem, state = make_problem(rig=rig)
    _, gradient = problem.linearise(state).dense()
    step = torch.zeros_like(gradient, requires_grad=True)
    energy = problem.energy_tensor(stepped(problem, state, step))
    (reference,) = torch.autograd.grad(energy, step)
    assert float(energy.detach()) == pytest.approx(problem.energy(state), rel=1e-12)
    assert torch.allclose(gradient, reference, rtol=1e-8, atol=1e-8 * float(reference.abs().max()))


@pytest.mark.parametrize("rig", RIGS)
def test_the_gradient_agrees_with_finite_differences(rig: str) -> None:
    problem, state = make_problem(rig=rig)
    _, gradient = problem.linearise(state).dense()
    size = 1e-5
    for index in range(len(gradient)):
        step = torch.zeros_like(gradient)
        step[index] = size
        ahead, behind = (problem.energy(stepped(problem, state, s)) for s in (step, -step))
        slope = (ahead - behind) / (2 * size)
        assert float(gradient[index]) == pytest.approx(slope, rel=1e-4, abs=1e-4 * float(gradient.abs().max()))


def _acceleration_jacobian(problem: Problem, state: State) -> Tensor:
    """Jacobian of √w·acceleration of every face vertex, from positions themselves rather than Gram matrices."""
    head = small_head()
    skin = np.flatnonzero(head.skinning_weights[:, 3:].max(1) == 0)
    columns = np.concatenate(
        [head.template[..., None], np.moveaxis(head.shape_basis, 0, -1), np.moveaxis(head.expression_basis, 0, -1)], -1
    )
    columns = torch.as_tensor(columns[skin], dtype=DOUBLE)
    count = problem.basis.expression_count
    shared_size = problem.basis.identity_count + 1
    times = problem.term(TemporalTerm).intervals

    def acceleration(step: Tensor) -> Tensor:
        frames = step[shared_size:].reshape(state.frame_count, -1)
        coefficients = torch.cat(
            [
                torch.ones(state.frame_count, 1, dtype=DOUBLE),
                (state.identity + step[: shared_size - 1]).expand(state.frame_count, -1),
                state.expression + frames[:, :count],
            ],
            1,
        )
        local = torch.einsum("vak,tk->tva", columns, coefficients)
        delta, tau = frames[:, count : count + 3], frames[:, count + 3 : count + 6]
        local = local + torch.cross(delta[:, None].expand_as(local), local, dim=-1) + tau[:, None]
        world = local @ state.rotation.mT + state.translation[:, None]
        weight = math.sqrt(problem.term(TemporalTerm).vertices / len(skin))
        velocity = world.diff(dim=0) / times[:, None, None]
        stands_for = ((times[1:] + times[:-1]) / 2)[:, None, None]
        return (weight * stands_for.sqrt() * velocity.diff(dim=0) / stands_for).flatten()

    size = shared_size + state.frame_count * (count + 10)
    return torch.autograd.functional.jacobian(acceleration, torch.zeros(size, dtype=DOUBLE))


def test_the_temporal_term_equals_a_sum_over_all_face_vertices() -> None:
    problem, state = make_problem()
    size = problem.basis.expression_count + 10
    equations = NormalEquations.zeros(FRAMES, problem.basis.identity_count + 1, size, state.expression)
    temporal = problem.term(TemporalTerm)
    TemporalTerm(temporal.intervals, temporal.vertices, 0.0).add(equations, problem.basis, state)
    matrix, _ = equations.dense()
    jacobian = _acceleration_jacobian(problem, state)
    reference = jacobian.T @ jacobian
    assert torch.allclose(matrix, reference, rtol=1e-6, atol=1e-6 * float(reference.abs().max()))


@pytest.mark.parametrize("rig", RIGS)
def test_the_data_terms_hessian_is_gauss_newtons(rig: str) -> None:
    problem, state = make_problem(frames=2, robust_scale=1e6, rig=rig)
    data = problem.term(PointsTerm)
    bare = Problem(problem.basis, (data,), problem.unknowns)
    matrix, _ = bare.linearise(state).dense()

    def weighted(step: Tensor) -> Tensor:
        moved = stepped(problem, state, step)
        root = data.precision.sqrt()[..., None]
        views = range(len(state.cameras))
        return torch.stack([data.residuals(bare.basis, moved, j) * root[j] for j in views]).flatten()

    jacobian = torch.autograd.functional.jacobian(weighted, torch.zeros(len(matrix), dtype=DOUBLE))
    reference = jacobian.T @ jacobian
    assert torch.allclose(matrix, reference, rtol=1e-6, atol=1e-8 * float(reference.abs().max()))


@pytest.mark.parametrize("rig", RIGS)
def test_the_pairs_hessian_is_gauss_newtons(rig: str) -> None:
    problem, state = make_problem(frames=2, robust_scale=1e6, rig=rig)
    pairs = problem.term(PairsTerm)
    equations = problem.linearise(state)
    equations = NormalEquations.zeros(2, len(equations.shared), equations.frame.shape[-1], state.expression)
    pairs.add(equations, problem.basis, state)
    matrix, _ = equations.dense()

    def weighted(step: Tensor) -> Tensor:
        moved = stepped(problem, state, step)
        root = pairs.precision.sqrt()[..., None]
        whole = slice(0, 2)
        views = range(len(state.cameras))
        return torch.stack([pairs.residuals(moved, view, whole) * root[view] for view in views]).flatten()

    jacobian = torch.autograd.functional.jacobian(weighted, torch.zeros(len(matrix), dtype=DOUBLE))
    reference = jacobian.T @ jacobian
    assert torch.allclose(matrix, reference, rtol=1e-6, atol=1e-8 * float(reference.abs().max()))


@pytest.mark.parametrize("rig", RIGS)
def test_the_outlines_hessian_is_gauss_newtons(rig: str) -> None:
    problem, state = make_problem(frames=2, robust_scale=1e6, rig=rig)
    outline = problem.term(OutlineTerm)
    bare = Problem(problem.basis, (outline,), problem.unknowns)
    matrix, _ = bare.linearise(state).dense()

    def weighted(step: Tensor) -> Tensor:
        moved, whole = stepped(problem, state, step), slice(0, 2)
        views = range(len(state.cameras))
        root = outline.precision.sqrt()
        return torch.stack([outline.residuals(moved, view, whole) * root[view] for view in views]).flatten()

    jacobian = torch.autograd.functional.jacobian(weighted, torch.zeros(len(matrix), dtype=DOUBLE))
    reference = jacobian.T @ jacobian
    assert torch.allclose(matrix, reference, rtol=1e-6, atol=1e-8 * float(reference.abs().max()))


@pytest.mark.parametrize("rig", RIGS)
def test_the_priors_hessian_is_theirs(rig: str) -> None:
    problem, state = make_problem(frames=2, rig=rig)
    equations = NormalEquations.zeros(
        2, problem.basis.identity_count + problem.unknowns.count, problem.basis.expression_count + 10, state.expression
    )
    for prior in priors_of(problem):
        prior.add(equations, problem.basis, state)
    matrix, _ = equations.dense()

    def energy(step: Tensor) -> Tensor:
        moved = stepped(problem, state, step)
        return sum((prior.energy(problem.basis, moved) for prior in priors_of(problem)), torch.zeros((), dtype=DOUBLE))

    reference = torch.autograd.functional.hessian(energy, torch.zeros(len(matrix), dtype=DOUBLE))
    assert torch.allclose(matrix, reference, rtol=1e-6, atol=1e-8 * float(reference.abs().max()))


def test_the_bent_terms_lie_below_the_parabolas_that_steps_take_them_for() -> None:
    problem, state = make_problem(frames=3)
    shared = problem.basis.identity_count + problem.unknowns.count
    for term in make_bent(problem.basis.expression_count, 3):
        equations = NormalEquations.zeros(3, shared, problem.basis.expression_count + 10, state.expression)
        term.add(equations, problem.basis, state)
        matrix, gradient = equations.dense()
        for _ in range(20):
            step = torch.zeros_like(gradient)
            frames = step[shared:].reshape(3, -1)[:, : problem.basis.expression_count]
            frames += torch.rand_like(frames) - state.expression  # to anywhere within the bounds
            parabola = term.energy(problem.basis, state) + gradient @ step + 0.5 * step @ matrix @ step
            assert term.energy(problem.basis, stepped(problem, state, step)) <= parabola + 1e-9, type(term).__name__
        assert torch.linalg.eigvalsh(matrix).min() > -1e-9


@pytest.mark.parametrize("frames", [2, FRAMES])
def test_a_term_says_nothing_of_frames_in_which_it_does_not_speak(frames: int) -> None:
    problem, state = make_problem(frames=frames)
    data = problem.term(PointsTerm)
    data.precision[:, 1] = 0
    silent = {}
    for term in problem.terms:
        speaks = term.speaks_in(frames)
        assert speaks.shape == (frames,) and speaks.dtype == torch.bool
        size, shared = problem.basis.expression_count + 10, problem.basis.identity_count + problem.unknowns.count
        equations = NormalEquations.zeros(frames, shared, size, state.expression)
        term.add(equations, problem.basis, state)
        told = (equations.frame_gradient != 0).any(1) | (equations.frame != 0).flatten(1).any(1)
        assert not (told & ~speaks).any(), type(term).__name__
        silent[type(term)] = ~speaks
    assert silent[PointsTerm].tolist() == [t == 1 for t in range(frames)]
    assert not silent[TemporalTerm].any()
    assert silent[ShapePrior].all() and silent[FocalPrior].all() and not silent[FramePrior].any()


def test_even_frames_have_the_second_differences_stencil() -> None:
    assert torch.allclose(stencils(torch.ones(3, dtype=DOUBLE)), torch.tensor([[1.0, -2.0, 1.0]] * 2, dtype=DOUBLE))


def test_priors_and_glide_are_silent_where_they_weigh_nothing() -> None:
    problem, _ = make_problem()
    basis = problem.basis
    seen = torch.tensor([True, False, False, True, True])
    eyes = seen[:, None].expand(-1, 2)
    form = torch.eye(basis.expression_count, dtype=DOUBLE)
    gap = Glide.between(form, 1.0, torch.ones(4, dtype=DOUBLE), seen, eyes)
    assert gap.speaks_in(FRAMES).tolist() == [True, True, True, True, False]
    assert not Glide.between(form, 1.0, torch.ones(4, dtype=DOUBLE), ~seen | seen, ~eyes | eyes).speaks_in(FRAMES).any()
    assert FramePrior(seen.double(), eyes.double()).speaks_in(FRAMES).tolist() == seen.tolist()
    assert LipSeal(0, 1, seen.double()).speaks_in(FRAMES).tolist() == seen.tolist()
    assert not TemporalTerm(make_intervals(2), 1.0, 1.0, 1.0).speaks_in(2).any()


def test_the_glides_hessian_is_its_own() -> None:
    problem, state = make_problem()
    glide = make_glide(problem.basis, FRAMES)
    bare = Problem(problem.basis, (glide,), problem.unknowns)
    matrix, _ = bare.linearise(state).dense()
    reference = torch.autograd.functional.hessian(
        lambda step: bare.energy_tensor(stepped(bare, state, step)), torch.zeros(len(matrix), dtype=DOUBLE)
    )
    assert torch.allclose(matrix, reference, rtol=1e-6, atol=1e-8 * float(reference.abs().max()))


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 7])
def test_the_structured_solve_equals_a_dense_one(frames: int) -> None:
    problem, state = make_problem(frames=frames, rig="unknown rig")
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
    gaze = torch.tensor([[0.3, -0.2], [-0.5, 0.4]], dtype=DOUBLE, requires_grad=True)
    rotation, derivative = gaze_rotation(gaze)
    assert np.allclose(rotation.detach().numpy(), model.gaze_rotation(gaze.detach().numpy()))
    jacobian = torch.autograd.functional.jacobian(lambda g: gaze_rotation(g)[0].sum(0), gaze)
    assert torch.allclose(jacobian.permute(2, 3, 0, 1), derivative)
