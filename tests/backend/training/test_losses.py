"""The losses against values worked out by hand (seeds/001 eqs. 5 to 7)."""

from __future__ import annotations

import math

import pytest
import torch

from backend.alignment.flowface.network import Prediction
from backend.training.losses import dense_loss, total_loss, vertex_loss

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
