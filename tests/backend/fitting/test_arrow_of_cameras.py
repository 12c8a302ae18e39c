"""The structured solve of several cameras against a dense Gauss–Newton step, and cameras in another order."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.fitting import FitOptions, FitResult, View, fit_take
from backend.fitting.normal_equations import solve
from backend.fitting.terms.outline import OutlineTerm
from backend.fitting.terms.pairs import PairsTerm
from backend.fitting.terms.points import PointsTerm
from backend.fitting.terms.sparse import OpposedActions, SparseActions
from backend.fitting.terms.temporal import TemporalTerm
from backend.fitting.terms.witness import WitnessTerm
from tests.backend.fitting.terms.test_derivatives import DOUBLE, RIGS, make_problem, priors_of, stepped
from tests.backend.fitting.test_several_views import Known, calibrated, make_known

DAMPING = 1e-3
ORDER = [1, 2, 0]
BACK = [2, 0, 1]


@pytest.mark.parametrize("rig", RIGS)
def test_the_step_is_dense_gauss_newtons(rig: str) -> None:
    """The Jacobian of all weighted residuals by autograd, its normal equations solved as one matrix."""
    problem, state = make_problem(frames=3, robust_scale=1e7, rig=rig)
    for other in (TemporalTerm, SparseActions, OpposedActions, WitnessTerm):
        problem = problem.without(other)
    data, pairs, outline = problem.term(PointsTerm), problem.term(PairsTerm), problem.term(OutlineTerm)
    equations = problem.linearise(state)
    views = len(state.cameras)
    size = equations.arrow.shape[1] + equations.frame_gradient.numel()

    def weighted(step: torch.Tensor) -> torch.Tensor:
        moved = stepped(problem, state, step)
        parts = [
            data.residuals(problem.basis, moved, view) * data.precision[view, ..., None].sqrt() for view in range(views)
        ]
        parts += [
            pairs.residuals(moved, view, slice(None)) * pairs.precision[view, ..., None].sqrt() for view in range(views)
        ]
        parts += [outline.residuals(moved, view, slice(None)) * outline.precision[view].sqrt() for view in range(views)]
        return torch.cat([part.flatten() for part in parts])

    zero = torch.zeros(size, dtype=DOUBLE)
    jacobian = torch.autograd.functional.jacobian(weighted, zero, vectorize=True)

    def priors(step: torch.Tensor) -> torch.Tensor:
        moved = stepped(problem, state, step)
        return torch.stack([prior.energy(problem.basis, moved) for prior in priors_of(problem)]).sum()

    gradient = jacobian.T @ weighted(zero) + torch.autograd.functional.jacobian(priors, zero)
    matrix = jacobian.T @ jacobian + torch.autograd.functional.hessian(priors, zero)
    reference = torch.linalg.solve(matrix + DAMPING * torch.diag(matrix.diagonal() + 1e-9), -gradient)
    free = torch.ones_like(equations.frame_gradient, dtype=torch.bool)
    shared_free = torch.ones_like(equations.shared_gradient, dtype=torch.bool)
    shared, frames = solve(equations, free, shared_free, DAMPING)
    found = torch.cat([shared, frames.flatten()])
    assert float((found - reference).norm() / reference.norm()) < 1e-6


@pytest.fixture(scope="module")
def known() -> Known:
    return make_known()


def fit_in_order(known: Known, views: list[View], order: list[int]) -> FitResult:
    options = FitOptions(identity_components=20, tolerance=1e-9, max_iterations=60, device="cpu")
    return fit_take(known.head, [views[j] for j in order], options)


@pytest.mark.slow
def test_the_order_of_calibrated_cameras_changes_nothing(known: Known) -> None:
    views = calibrated(known)
    fit, other = fit_in_order(known, views, [0, 1, 2]), fit_in_order(known, views, ORDER)
    assert np.allclose(fit.expression, other.expression, atol=2e-4)
    assert np.allclose(fit.head_translation, other.head_translation, atol=2e-6)
    assert np.allclose(fit.head_rotation, other.head_rotation, atol=2e-5)
    assert np.allclose(fit.reprojection_error_px, other.reprojection_error_px[BACK], atol=0.02)


@pytest.mark.slow
def test_the_order_of_unknown_cameras_changes_the_gauge_alone(known: Known) -> None:
    views = [View(o) for o in known.seen]
    fit, other = fit_in_order(known, views, [0, 1, 2]), fit_in_order(known, views, ORDER)
    assert other.energy[-1] == pytest.approx(fit.energy[-1], rel=1e-5)
    assert np.allclose(fit.identity, other.identity, atol=5e-3)
    assert np.allclose(fit.expression, other.expression, atol=5e-3)
    for j in range(3):
        mine, others = fit.cameras[j], other.cameras[BACK[j]]
        assert others.focal_px == pytest.approx(mine.focal_px, rel=1e-3)
        # The head in each camera's space is what every gauge agrees on.
        seen, seen_too = (
            r.head_translation @ c.world_to_camera[:, :3].T + c.world_to_camera[:, 3]
            for r, c in ((fit, mine), (other, others))
        )
        assert np.allclose(seen, seen_too, atol=5e-4)
