"""The selected inversion and the structured step against dense linear algebra, on random arrows of small shapes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from backend.fitting.normal_equations import NormalEquations, factorise
from backend.fitting.solver.covariance import covariance


def random_equations(frames: int, shared: int, size: int, seed: int = 0) -> NormalEquations:
    """Positive definite equations of an arrow on a band, from a random Jacobian of that sparsity."""
    generator = torch.Generator().manual_seed(seed)
    equations = NormalEquations.zeros(frames, shared, size, torch.zeros((), dtype=torch.float64))

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    rows = size + shared + 2
    across, own = draw(frames, rows, shared), draw(frames, rows, size)
    equations.shared.copy_(torch.einsum("tri,trj->ij", across, across))
    equations.arrow.copy_(across.mT @ own)
    equations.frame.copy_(own.mT @ own)
    for t in range(frames - 2):
        left, middle, right = draw(3, size, size)
        for offset, block in enumerate((left, middle, right)):
            equations.frame[t + offset] += block.T @ block
        equations.next_frame[t] += left.T @ middle
        equations.next_frame[t + 1] += middle.T @ right
        equations.after_next[t] += left.T @ right
    equations.shared_gradient.copy_(draw(shared))
    equations.frame_gradient.copy_(draw(frames, size))
    return equations


def some_frozen(equations: NormalEquations) -> tuple[Tensor, Tensor]:
    free = torch.ones_like(equations.frame_gradient, dtype=torch.bool)
    free[:, 1] = False
    free[0] = False
    shared_free = torch.ones_like(equations.shared_gradient, dtype=torch.bool)
    shared_free[2] = False
    return free, shared_free


def dense_inverse(equations: NormalEquations, keep: Tensor) -> Tensor:
    matrix, _ = equations.dense()
    inverse = torch.zeros_like(matrix)
    index = keep.nonzero()[:, 0]
    inverse[index[:, None], index] = torch.linalg.inv(matrix[keep][:, keep])
    return inverse


def relative(found: Tensor, reference: Tensor) -> float:
    return float((found - reference).abs().max() / reference.abs().max())


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 7, 10])
def test_every_block_equals_the_dense_inverses(frames: int) -> None:
    shared, size = 6, 5
    equations = random_equations(frames, shared, size)
    free, shared_free = some_frozen(equations)
    found = covariance(factorise(equations, free, shared_free, 0.0))
    reference = dense_inverse(equations, torch.cat([shared_free, free.flatten()]))
    assert relative(found.shared, reference[:shared, :shared]) < 1e-8
    for t in range(frames):
        own = slice(shared + t * size, shared + (t + 1) * size)
        if not free[t].any():
            assert not found.frame[t].any() and not found.cross[t].any()
            continue
        assert relative(found.frame[t], reference[own, own]) < 1e-8
        assert relative(found.cross[t], reference[own, :shared]) < 1e-8


@pytest.mark.parametrize("frames", [1, 2, 3, 8])
def test_the_step_equals_a_dense_one(frames: int) -> None:
    equations = random_equations(frames, 6, 5, seed=frames)
    free, shared_free = some_frozen(equations)
    shared_step, step = factorise(equations, free, shared_free, 1e-3).step()
    matrix, gradient = equations.dense()
    matrix = matrix + 1e-3 * torch.diag(matrix.diagonal() + 1e-9)
    keep = torch.cat([shared_free, free.flatten()])
    reference = torch.zeros_like(gradient)
    reference[keep] = torch.linalg.solve(matrix[keep][:, keep], -gradient[keep])
    assert relative(torch.cat([shared_step, step.flatten()]), reference) < 1e-9


def test_a_matrix_that_is_not_positive_definite_is_refused() -> None:
    equations = random_equations(5, 6, 5)
    equations.frame[3] -= 1e3 * torch.eye(5)
    free = torch.ones_like(equations.frame_gradient, dtype=torch.bool)
    shared_free = torch.ones_like(equations.shared_gradient, dtype=torch.bool)
    with pytest.raises(torch.linalg.LinAlgError):  # type: ignore[attr-defined]
        factorise(equations, free, shared_free, 0.0)


def test_shared_unknowns_that_were_solved_elsewhere_bring_their_own_covariance() -> None:
    equations = random_equations(6, 6, 5)
    free = torch.ones_like(equations.frame_gradient, dtype=torch.bool)
    shared_free = torch.ones_like(equations.shared_gradient, dtype=torch.bool)
    factorisation = factorise(equations, free, shared_free, 0.0)
    alone = covariance(factorisation, shared=torch.zeros(6, 6, dtype=torch.float64))
    held = covariance(factorise(equations, free, torch.zeros_like(shared_free), 0.0))
    assert relative(alone.frame, held.frame) < 1e-10
    own = covariance(factorisation)
    doubled = covariance(factorisation, shared_scale=2.0)
    assert relative(doubled.frame - alone.frame, 2 * (own.frame - alone.frame)) < 1e-10
