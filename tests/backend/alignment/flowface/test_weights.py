"""The sources of weights, and what is said where there are none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from backend.alignment.flowface import weights
from backend.alignment.flowface.weights_file import load_weights, read_metadata, save_weights
from backend.errors import UserError
from backend.training.cli import train_export
from tests.backend.alignment.flowface.networks import SMALL, constant_network


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_weights(tmp_path / "small.safetensors", constant_network(), {})
    return tmp_path / "small.safetensors"


def test_absent_weights_are_a_sentence_that_tells_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(weights.VARIABLE, raising=False)
    monkeypatch.setattr(weights, "SHIPPED", tmp_path / "absent.safetensors")
    assert not weights.weights_available()
    for named in (None, tmp_path / "other.safetensors"):
        with pytest.raises(UserError) as caught:
            weights.shared_network(named)
        assert caught.value.code == "weights_missing"
        assert "--weights" in caught.value.hint and weights.VARIABLE in caught.value.hint


def test_a_file_that_is_no_network_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_text("nothing of the kind")
    with pytest.raises(UserError) as caught:
        weights.shared_network(tmp_path / "text.safetensors")
    assert "text.safetensors" in caught.value.message


def test_the_variable_names_other_weights(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(weights.VARIABLE, str(saved))
    assert weights.default_weights() == saved
    assert weights.weights_available()
    assert len(weights.weights_digest()) == 12


def test_a_network_is_read_once_until_its_file_changes(saved: Path) -> None:
    first = weights.shared_network(saved, "cpu")
    assert first.config == SMALL and not first.training
    assert weights.shared_network(saved, "cpu") is first
    digest = weights.weights_digest(saved)
    save_weights(saved, constant_network(step=(1.0, 0.0)), {"note": "another"})
    again = weights.shared_network(saved, "cpu")
    assert again is not first
    assert weights.weights_digest(saved) != digest
    assert not torch.equal(again.update.flow_head.second.bias, first.update.flow_head.second.bias)  # type: ignore[arg-type]


def test_exported_weights_take_half_the_room_and_say_what_sigma_is_worth(saved: Path, tmp_path: Path) -> None:
    out = tmp_path / "shipped.safetensors"
    train_export(saved, out, 2.5)
    assert out.stat().st_size < 0.7 * saved.stat().st_size
    assert read_metadata(out)["sigma_scale"] == "2.5"
    exported = load_weights(out).state_dict()
    for name, value in load_weights(saved).state_dict().items():
        torch.testing.assert_close(exported[name], value, rtol=2e-3, atol=1e-4)
    with pytest.raises(UserError, match="between 0 and 100"):
        train_export(saved, out, 0.0)
