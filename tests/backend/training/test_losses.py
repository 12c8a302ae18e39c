"""The losses against values worked out by hand (seeds/001 eqs. 5 to 7)."""

from __future__ import annotations

import math

import pytest
import torch

from backend.alignment.flowface.network import Prediction
from backend.training.losses import dense_loss, matching_loss, total_loss, vertex_loss

# Errors of 5 and 1 pixels with σ of 2 and 1: log 4 + 25/8 and log 1 + 1/2.
FAR, NEAR = math.log(4) + 25 / 8, 0.5


def _prediction(sigma: float = 2.0) -> Prediction:
    mu = torch.tensor([[[3.0, 4.0], [10.0, 11.0]]])
    return Prediction(mu, torch.tensor([[sigma, 1.0]]), mu.mT[..., None], torch.tensor([[[[sigma], [1.0]]]]))


TARGET = torch.tensor([[[0.0, 0.0], [10.0, 10.0]]])


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        ([1.0, 1.0], (FAR + NEAR) / 2),
        ([1.0, 0.0], FAR),
        ([0.005, 1.0], (0.005 * FAR + NEAR) / 1.005),
        ([0.0, 0.0], 0.0),
    ],
)
def test_points(weight: list[float], expected: float) -> None:
    p = _prediction()
    assert float(vertex_loss(p.mu, p.sigma, TARGET, torch.tensor([weight]))) == pytest.approx(expected)
    dense = dense_loss(p.positions, p.spread, TARGET.mT[..., None], torch.tensor([weight])[..., None])
    assert float(dense) == pytest.approx(expected)


def test_later_iterations_count_more_and_cells_little() -> None:
    ones = torch.ones(1, 2)
    total = total_loss(
        [_prediction(), _prediction(1.0)], TARGET, ones, TARGET.mT[..., None], torch.tensor([[[1.0], [0.0]]])
    )
    near, far = (12.5 + 0.5) / 2 + 0.01 * 12.5, (FAR + NEAR) / 2 + 0.01 * FAR
    assert float(total) == pytest.approx(near + 0.8 * far)


def test_twice_the_pictures_is_the_same_loss() -> None:
    p, weight = _prediction(), torch.tensor([[1.0, 0.3]])
    once = vertex_loss(p.mu, p.sigma, TARGET, weight)
    twice = vertex_loss(p.mu.repeat(2, 1, 1), p.sigma.repeat(2, 1), TARGET.repeat(2, 1, 1), weight.repeat(2, 1))
    torch.testing.assert_close(once, twice)


def test_the_best_uncertainty_is_the_error_itself() -> None:
    """log σ² + d²/2σ² is least at σ = d/√2."""
    sigma = torch.linspace(0.5, 10, 2000)
    losses = torch.stack(
        [vertex_loss(_prediction().mu[:, :1], s.view(1, 1), TARGET[:, :1], torch.ones(1, 1)) for s in sigma]
    )
    assert float(sigma[losses.argmin()]) == pytest.approx(5 / math.sqrt(2), abs=0.01)


def test_computed_in_float32() -> None:
    p = _prediction()
    loss = vertex_loss(p.mu.bfloat16(), p.sigma.bfloat16(), TARGET, torch.ones(1, 2))
    assert loss.dtype == torch.float32 and float(loss) == pytest.approx((FAR + NEAR) / 2)


def _rimmed(inner: torch.Tensor) -> torch.Tensor:
    """Correlations (B,N,U,U) as the pyramid keeps them."""
    return torch.nn.functional.pad(inner, (1, 1, 1, 1))


def test_matching_costs_what_a_guess_among_all_cells_does() -> None:
    side = 4
    target = torch.full((1, 2, side * side), 1.7)
    loss = matching_loss(_rimmed(torch.zeros(1, side * side, side, side)), target, torch.ones(1, side * side), side)
    assert float(loss) == pytest.approx(math.log(side * side))


def test_matching_wants_the_cell_in_which_the_point_lies_and_shares_between_two() -> None:
    side = 4
    inner = torch.zeros(1, side * side, side, side)
    inner[..., 2, 1] = 50.0  # row 2, column 1: centre at x 1.5, y 2.5
    ones = torch.ones(1, side * side)
    exact = torch.tensor([1.5, 2.5]).view(1, 2, 1).expand(1, 2, side * side)
    between = torch.tensor([2.0, 2.5]).view(1, 2, 1).expand(1, 2, side * side)
    assert float(matching_loss(_rimmed(inner), exact, ones, side)) == pytest.approx(0, abs=1e-4)
    assert float(matching_loss(_rimmed(inner), between, ones, side)) == pytest.approx(25, abs=1e-3)


def test_matching_leaves_out_what_lies_outside_the_picture_or_is_not_known() -> None:
    side = 4
    inner = torch.randn(1, side * side, side, side, generator=torch.Generator().manual_seed(1))
    target = torch.full((1, 2, side * side), 1.5)
    weight = torch.ones(1, side * side)
    weight[0, :side] = 0
    away = target.clone()
    away[0, :, :side] = 9.0  # beyond the right edge
    known = matching_loss(_rimmed(inner), target, weight, side)
    torch.testing.assert_close(known, matching_loss(_rimmed(inner), away, torch.ones(1, side * side), side))
