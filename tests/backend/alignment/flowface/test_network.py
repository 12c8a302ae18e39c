"""The network's shapes, sizes, starting point and numerics."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from backend.alignment.flowface.config import Encoder, NetworkConfig
from backend.alignment.flowface.network import MIN_SIGMA, FlowFaceNetwork
from backend.alignment.flowface.sampling import sample
from backend.training.losses import total_loss
from tests.backend.alignment.flowface.small_networks import SMALL, small_network


def test_every_iteration_places_every_point() -> None:
    predictions = small_network()(torch.rand(2, 3, 64, 64), torch.rand(7, 2))
    assert len(predictions) == 3
    for prediction in predictions:
        assert prediction.mu.shape == (2, 7, 2)
        assert prediction.sigma.shape == (2, 7)
        assert prediction.positions.shape == (2, 2, 16, 16)
        assert prediction.spread.shape == (2, 1, 16, 16)
        assert (prediction.spread > MIN_SIGMA).all() and (prediction.spread < 64).all()


@pytest.mark.parametrize("uv_size", [8, 16])
def test_image_features_are_pooled_to_the_atlas(uv_size: int) -> None:
    network = FlowFaceNetwork(replace(SMALL, uv_size=uv_size)).eval()
    assert network.encoder(torch.rand(1, 3, 64, 64)).shape == (1, SMALL.features, uv_size, uv_size)


@pytest.mark.parametrize(("encoder", "decoder", "millions"), [("b1", 256, 17.3), ("b2", 768, 31.0), ("b5", 768, 88.2)])
def test_the_papers_networks_have_the_papers_size(encoder: Encoder, decoder: int, millions: float) -> None:
    with torch.device("meta"):
        network = FlowFaceNetwork(NetworkConfig(encoder=encoder, decoder=decoder))
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.05)


def test_without_flow_the_atlas_lies_over_the_crop() -> None:
    network = small_network()
    for part in network.update.flow_head.second.parameters():
        torch.nn.init.zeros_(part)
    nu = torch.tensor([[0.0, 0.0], [0.5, 0.25], [1.0, 1.0], [0.01, 0.99]])
    last = network(torch.rand(1, 3, 64, 64), nu)[-1]
    torch.testing.assert_close(last.mu[0], 64 * nu)
    torch.testing.assert_close(last.positions[0, :, 0, 1], torch.tensor([6.0, 2.0]))


def test_points_are_read_from_the_maps_at_cell_centres() -> None:
    prediction = small_network()(torch.rand(1, 3, 64, 64), torch.tensor([[3.5 / 16, 5.5 / 16]]))[-1]
    torch.testing.assert_close(prediction.mu[0, 0], prediction.positions[0, :, 5, 3])
    torch.testing.assert_close(prediction.sigma[0, 0], prediction.spread[0, 0, 5, 3])


def test_every_image_may_have_its_own_points() -> None:
    network, images, nu = small_network(), torch.rand(2, 3, 64, 64), torch.rand(2, 5, 2)
    each = network(images, nu)[-1]
    for number in range(2):
        alone = network(images, nu[number])[-1]
        torch.testing.assert_close(each.mu[number], alone.mu[number])


def test_a_map_is_sampled_linearly_and_goes_on_beyond_the_outermost_centres() -> None:
    ramp = (torch.arange(8.0) + 0.5).expand(1, 1, 8, 8) / 8
    nu = torch.tensor([[0.3, 0.1], [0.61, 0.9], [0.0, 0.5], [1.0, 0.5]])
    torch.testing.assert_close(sample(ramp, nu)[0, 0], torch.tensor([0.3, 0.61, 0.5 / 8, 7.5 / 8]))


@pytest.mark.parametrize("bfloat16", [False, True])
def test_gradients_reach_every_parameter_and_are_finite(bfloat16: bool) -> None:
    network = small_network().train()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        predictions = network(torch.rand(2, 3, 64, 64), torch.rand(50, 2))
    assert predictions[-1].mu.dtype == predictions[-1].spread.dtype == torch.float32
    loss = total_loss(
        predictions, 64 * torch.rand(2, 50, 2), torch.ones(2, 50), 64 * torch.rand(2, 2, 16, 16), torch.ones(2, 16, 16)
    )
    loss.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        # A softmax does not see what is added to all its inputs.
        assert parameter.grad.abs().sum() > 0 or name.endswith("k_proj.bias"), name


def test_uncertainty_is_bounded_but_never_without_gradient() -> None:
    network = small_network()
    bias = network.update.uncertainty_head.second.bias
    assert bias is not None
    for extreme in (-20.0, 20.0):
        torch.nn.init.constant_(bias, extreme)
        spread = network(torch.rand(1, 3, 64, 64), torch.rand(1, 2))[-1].spread
        assert (spread >= MIN_SIGMA * 0.999).all() and (spread <= 64 * 1.001).all()
        (gradient,) = torch.autograd.grad(spread.log().sum(), bias)
        assert math.isfinite(float(gradient)) and float(gradient) > 0


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(B, 3, 64, 64\)"):
        small_network()(torch.rand(1, 3, 32, 32), torch.rand(1, 2))


def test_images_do_not_see_each_other() -> None:
    network, images, nu = small_network(), torch.rand(3, 3, 64, 64), torch.rand(4, 2)
    torch.testing.assert_close(network(images, nu)[-1].mu[1:2], network(images[1:2], nu)[-1].mu, rtol=1e-4, atol=1e-3)
