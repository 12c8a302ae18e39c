"""The runtimes against the network's own forward pass."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from backend.alignment.flowface.network import FlowFaceNetwork
from backend.alignment.flowface.pretrained import take_encoder
from backend.alignment.flowface.runtime import AGREES, VARIABLE, OpenVinoRuntime, TorchRuntime, fastest
from backend.alignment.flowface.weights_file import load_weights, save_weights
from tests.backend.alignment.flowface.small_networks import SMALL

Image = NDArray[np.uint8]

FACE = replace(SMALL, encoder="face_mesh", image_size=64, update="separable")


@pytest.fixture(scope="module")
def network() -> FlowFaceNetwork:
    """The face trunk as published and an update that moves the points by whole cells."""
    torch.manual_seed(3)
    network = FlowFaceNetwork(FACE).eval()
    take_encoder(network)
    with torch.no_grad():
        network.update.second[1].weight.mul_(5)  # type: ignore[index, union-attr, operator]
    return network


@pytest.fixture(scope="module")
def pictures() -> Image:
    noise = np.random.default_rng(5).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    return noise.repeat(8, axis=1).repeat(8, axis=2)


def test_what_is_computed_once_changes_nothing(network: FlowFaceNetwork, pictures: Image) -> None:
    nu = torch.rand(30, 2, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        whole = network(torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255, nu)[-1]
        told = network.prediction(*TorchRuntime(network)(pictures), nu)
    torch.testing.assert_close(told.mu, whole.mu, atol=1e-3, rtol=0)
    torch.testing.assert_close(told.sigma, whole.sigma, atol=1e-3, rtol=1e-4)


def test_openvino_says_what_torch_says(network: FlowFaceNetwork, pictures: Image) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed (extra “openvino”)")
    plain, compiled = TorchRuntime(network)(pictures), OpenVinoRuntime(network)(pictures)
    assert plain[0].abs().max() > 0.5  # cells
    assert (plain[0] - compiled[0]).abs().max() * FACE.image_size / FACE.uv_size < AGREES
    torch.testing.assert_close(compiled[1], plain[1], atol=5e-3, rtol=0)
    assert not torch.equal(compiled[0][0], compiled[0][1])


def test_torch_can_be_asked_for(network: FlowFaceNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "torch")
    assert fastest(network).name == "torch"


def test_the_file_holds_all_that_the_face_trunk_needs(
    network: FlowFaceNetwork, pictures: Image, tmp_path: Path
) -> None:
    save_weights(tmp_path / "face.safetensors", network, {})
    again = load_weights(tmp_path / "face.safetensors")
    assert again.config == FACE
    for own, kept in zip(TorchRuntime(network)(pictures), TorchRuntime(again)(pictures), strict=True):
        assert torch.equal(own, kept)
