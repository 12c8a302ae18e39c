"""Weights files: what is written comes back, and nothing else is believed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from backend.alignment.flowface.weights_file import load_weights, read_metadata, save_weights
from backend.errors import UserError
from tests.backend.alignment.flowface.small_networks import SMALL, small_network


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    save_weights(path, small_network(), {"licence": "CC0", "steps": "7"})
    return path


def _metadata(**changes: object) -> dict[str, str]:
    return {"format": "flowface-alignment-1", "config": json.dumps(asdict(SMALL) | changes)}


def test_a_network_comes_back_as_it_was(written: Path) -> None:
    network, images, nu = small_network(), torch.rand(1, 3, 64, 64), torch.rand(9, 2)
    again = load_weights(written)
    assert again.config == SMALL and not again.training
    assert torch.equal(again(images, nu)[-1].mu, network(images, nu)[-1].mu)
    assert read_metadata(written) == {"licence": "CC0", "steps": "7"}


def test_half_the_bytes_say_nearly_the_same(written: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.safetensors"
    save_weights(half, small_network(), {}, half=True)
    assert half.stat().st_size < 0.55 * written.stat().st_size
    network, images, nu = small_network(), torch.rand(1, 3, 64, 64), torch.rand(9, 2)
    torch.testing.assert_close(load_weights(half)(images, nu)[-1].mu, network(images, nu)[-1].mu, atol=0.1, rtol=0)


@pytest.mark.parametrize("half", [False, True])
def test_every_number_is_stored_and_read_as_it_was(tmp_path: Path, half: bool) -> None:
    """Numbers that need all of the format's digits, which those of a coarser one (bfloat16) are not."""
    precise, network = torch.float16 if half else torch.float32, small_network()
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            fine = tensor.uniform_(0.01, 2.0).to(precise).float()
            tensor.copy_(fine)
    path = tmp_path / "fine.safetensors"
    save_weights(path, network, {}, half=half)
    stored, read = load_file(path), load_weights(path).state_dict()
    for name, tensor in network.state_dict().items():
        assert torch.equal(stored[name].to(tensor.dtype), tensor), name
        assert torch.equal(read[name], tensor), name
        if tensor.is_floating_point():
            assert stored[name].dtype == precise, name


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.safetensors") as error:
        load_weights(tmp_path / "none.safetensors")
    assert error.value.code == "file_missing"


@pytest.mark.parametrize(
    "content", [b"", b"short", b"\xff" * 64, (1 << 40).to_bytes(8, "little") + b"{}", b"PK\3\4" * 99]
)
def test_another_kind_of_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "wrong.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        load_weights(path)
    assert error.value.code == "bad_weights"


def test_someone_elses_safetensors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(UserError) as error:
        load_weights(path)
    assert error.value.code == "unknown_weights"


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden": 32},
        {"hidden": 10**9},
        {"hidden": "24"},
        {"hidden": True},
        {"uv_size": 12},
        {"encoder": "b9"},
        {"colour": 1},
    ],
)
def test_dimensions_that_do_not_fit_are_refused(written: Path, tmp_path: Path, changes: dict[str, object]) -> None:
    path = tmp_path / "changed.safetensors"
    save_file(load_file(written), path, _metadata(**changes))
    with pytest.raises(UserError) as error:
        load_weights(path)
    assert error.value.code == "bad_weights"


@pytest.mark.parametrize("damage", ["cut", "missing", "extra", "not finite", "integers"])
def test_damaged_weights_are_refused(written: Path, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "damaged.safetensors"
    tensors = load_file(written)
    name = "update.flow_head.second.weight"
    if damage == "missing":
        del tensors[name]
    elif damage == "extra":
        tensors["more"] = torch.zeros(1)
    elif damage == "not finite":
        tensors[name][0, 0, 0, 0] = torch.nan
    elif damage == "integers":
        tensors[name] = tensors[name].long()
    save_file(tensors, path, _metadata())
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError) as error:
        load_weights(path)
    assert error.value.code == "bad_weights"


def test_weights_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    network = small_network()
    torch.nn.init.constant_(network.update.flow_head.second.weight, 1e6)
    with pytest.raises(ValueError, match="flow_head"):
        save_weights(tmp_path / "x.safetensors", network, {}, half=True)
    assert not list(tmp_path.iterdir())
