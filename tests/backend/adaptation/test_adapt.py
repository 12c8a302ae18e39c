"""Adapting a network: true gradients, what was damaged is repaired, and nothing is kept that is not better."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from backend.adaptation.adapter import Adapter, AdaptOptions
from backend.adaptation.frames import Frames
from backend.adaptation.losses import TERMS, Weights, consecutive_loss, corrected, fit_colours, landmark_loss, model_loss
from backend.adaptation.run import AdaptRequest, Outcome, adapt, work_of
from backend.adaptation.skin import Skin, as_pictures, observed_texture
from backend.alignment.flowface.adapted import adapted_path, list_adapted, named_weights, remove_adapted
from backend.alignment.flowface.network import FlowFaceNetwork
from backend.alignment.flowface.weights import find_weights
from backend.alignment.flowface.weights_file import load_weights, read_metadata, save_weights
from backend.errors import Cancelled, UserError
from backend.head_model.library import load_head

from .synthetic import TINY, clip, tiny_network

FAST = AdaptOptions(steps=30, runs=2, rate=3e-3, resolution=96)


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("user_data_dir", "user_state_path"):
        kind = str if name.endswith("dir") else Path
        monkeypatch.setattr(f"platformdirs.{name}", lambda *_, kind=kind, **__: kind(tmp_path / "home"))
    yield


@pytest.fixture(scope="module")
def frames() -> Frames:
    return clip()


def never() -> bool:
    return False


def ignore(*_: object) -> None:
    """For progress that nobody sees."""


def prepared(network: FlowFaceNetwork, frames: Frames, options: AdaptOptions) -> Adapter:
    adapter = Adapter(network, frames, options, load_head("open"))
    adapter.prepare(ignore, never)
    return adapter


def test_the_losses_gradients_are_those_of_finite_differences(frames: Frames) -> None:
    """Of the three together, through the sampled pictures, in one texture of the UV features and the flow head."""
    network, skin = tiny_network(), Skin.of(load_head("open"), 24)
    images = torch.from_numpy(frames.images[:4]).permute(0, 3, 1, 2).float() / 255
    pictures = as_pictures(frames.pictures[:4], 24)
    model = torch.rand(len(skin.nu), 3)
    confidence = torch.rand(4, len(skin.nu))

    def loss() -> torch.Tensor:
        mu = network(images, torch.from_numpy(skin.nu))[-1].mu / TINY.image_size
        texture = observed_texture(pictures, mu)
        colours = fit_colours(model, texture.detach(), confidence)
        return (
            100 * consecutive_loss(texture[:-1], texture[1:], confidence[1:] * confidence[:-1])
            + 100 * model_loss(texture, corrected(model, colours), confidence)
            + landmark_loss(256 * mu[:, :9], 256 * mu[:, :9].detach() + 3, confidence[:, :9])
        )

    for parameter in (network.uv.features.textures[1], network.update.flow_head.second.bias):
        network.zero_grad()
        loss().backward()
        direction = parameter.grad / parameter.grad.norm()
        slope, step = float(parameter.grad.norm()), 2e-3
        values = []
        with torch.no_grad():
            for sign in (1, -2, 1):
                parameter += sign * step * direction
                values.append(float(loss()))
        assert slope > 1e-3
        assert (values[0] - values[1]) / (2 * step) == pytest.approx(slope, rel=0.05)


def test_a_shifted_uv_texture_is_repaired(frames: Frames) -> None:
    """The UV state of a network is shifted: its points jump aside, and come back; and they tremble less than before."""
    network = tiny_network()
    with torch.no_grad():
        for texture in network.uv.hidden.textures:
            texture.copy_(texture.roll(2, dims=-1))
        network.update.flow_head.second.bias += 1.0
    adapter = prepared(network, frames, FAST)
    held_out = np.flatnonzero(frames.held_out)
    before = adapter.flows(held_out)
    while adapter.step < FAST.steps:
        adapter.train()
    after = adapter.flows(held_out)
    assert after.square().mean() < 0.25 * before.square().mean()
    assert after.diff(dim=0).square().mean() < 0.5 * before.diff(dim=0).square().mean()


def run(tmp_path: Path, frames: Frames, options: AdaptOptions, out: Path, stop_at: int = -1) -> Outcome:
    """An adaptation whose clip has been read already."""
    start = tmp_path / "start.safetensors"
    if not start.exists():
        save_weights(start, tiny_network(), {"sigma_scale": "2"})
    footage = tmp_path / "ana.mp4"
    footage.touch()
    os.utime(footage, (1, 1))
    request = AdaptRequest((footage,), out, start, options=options)
    work_of(request).frames(lambda: frames)
    done = 0

    def on_step(step: int, _steps: int, _losses: dict[str, float]) -> None:
        nonlocal done
        done = step

    outcome = adapt(request, ignore, on_step, lambda: done == stop_at)
    assert not work_of(request).folder.exists()
    return outcome


def test_what_is_better_is_kept_by_name_with_where_it_came_from(tmp_path: Path, frames: Frames) -> None:
    outcome = run(tmp_path, frames, FAST, adapted_path("ana"))
    assert outcome.judgement.better and outcome.kept == adapted_path("ana")
    assert outcome.judgement.marks >= 5 and outcome.judgement.frames == 8
    assert find_weights(Path("ana")) == named_weights(Path("ana")) == adapted_path("ana")
    (listed,) = list_adapted()
    assert listed.name == "ana" and listed.clips == ("ana.mp4",)
    assert listed.about["after"]["marks"] == outcome.judgement.after.marks < listed.about["before"]["marks"]
    assert read_metadata(listed.path)["sigma_scale"] == "2", "of the weights it began with"
    kept, start = load_weights(listed.path), tiny_network()
    assert not torch.equal(kept.uv.features.textures[0], start.uv.features.textures[0])
    encoder = start.encoder.decode_head.linear.weight
    assert torch.equal(kept.encoder.decode_head.linear.weight, encoder.half().float()), "it stays as it is"
    remove_adapted("ana")
    with pytest.raises(UserError, match="no weights at ana"):
        find_weights(Path("ana"))


def test_nothing_is_kept_where_nothing_improves(tmp_path: Path, frames: Frames) -> None:
    out = tmp_path / "out.safetensors"
    outcome = run(tmp_path, frames, AdaptOptions(steps=1, runs=1, rate=1e-9, resolution=96), out)
    assert outcome.kept is None and not out.exists()
    assert outcome.judgement.after.marks == pytest.approx(outcome.judgement.before.marks, rel=1e-3)


def test_stopped_and_resumed_is_the_same_as_never_stopped(tmp_path: Path, frames: Frames) -> None:
    few = AdaptOptions(steps=6, runs=1, rate=3e-3, resolution=96, weights=Weights(100, 100, 1))
    whole = run(tmp_path, frames, few, tmp_path / "whole.safetensors")
    with pytest.raises(Cancelled):
        run(tmp_path, frames, few, tmp_path / "parts.safetensors", stop_at=3)
    parts = run(tmp_path, frames, few, tmp_path / "parts.safetensors")
    assert parts.judgement == whole.judgement


def test_the_paper_s_rows_have_a_name() -> None:
    assert TERMS["all"] == Weights(100, 100, 1) and TERMS["landmarks"] == Weights(0, 0, 1)
