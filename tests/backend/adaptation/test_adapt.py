"""Adapting a network: true gradients, what was damaged is repaired, and nothing is kept that is not better."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from backend.adaptation.adapter import Adapter, AdaptOptions
from backend.adaptation.cli import adapt as adapt_command
from backend.adaptation.frames import Frames, hold_out, spread_parts
from backend.adaptation.losses import (
    TERMS,
    Weights,
    consecutive_loss,
    corrected,
    fit_colours,
    landmark_loss,
    model_loss,
)
from backend.adaptation.run import AdaptRequest, Outcome, adapt, work_of
from backend.adaptation.skin import Skin, as_pictures, observed_texture
from backend.adaptation.work import Work
from backend.alignment.flowface.adapted import adapted_path, list_adapted, named_weights, remove_adapted
from backend.alignment.flowface.network import FlowFaceNetwork
from backend.alignment.flowface.sampling import sample
from backend.alignment.flowface.weights import find_weights
from backend.alignment.flowface.weights_file import load_weights, read_metadata, save_weights
from backend.errors import Cancelled, UserError
from backend.footage import open_footage
from backend.head_model.library import load_head
from backend.server.head_list import head_list
from protocol.messages import WeightsInfo

from .synthetic import TINY, clip, tiny_network

FAST = AdaptOptions(steps=16, runs=2, rate=4e-3, resolution=96)


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
    """Of the three together, through the sampled pictures, in one texture of a UV embedding and in the flow head."""
    network, skin = tiny_network(), Skin.of(load_head("open"), 24)
    images = torch.from_numpy(frames.images[:4]).permute(0, 3, 1, 2).float() / 255
    pictures = as_pictures(frames.pictures[:4], 24)
    model = torch.rand(len(skin.nu), 3)
    confidence = torch.rand(4, len(skin.nu))
    landmarks = torch.from_numpy(skin.nu[:9]).expand(4, -1, -1) * 256 + 3

    def loss() -> torch.Tensor:
        mu = network(images, torch.from_numpy(skin.nu))[-1].mu / TINY.image_size
        texture = observed_texture(pictures, mu)
        colours = fit_colours(model, texture.detach(), confidence)
        return (
            100 * consecutive_loss(texture[:-1], texture[1:], confidence[1:] * confidence[:-1])
            + 100 * model_loss(texture, corrected(model, colours), confidence)
            + landmark_loss(256 * mu[:, :9], landmarks, confidence[:, :9])
        )

    for parameter in (network.uv.hidden.textures[1], network.update.flow_head.second.bias):
        network.zero_grad()
        loss().backward()
        direction = parameter.grad / parameter.grad.norm()
        slope, step = float(parameter.grad.norm()), 0.02
        values = []
        with torch.no_grad():
            for sign in (1, -2, 1):
                parameter += sign * step * direction
                values.append(float(loss()))
        assert slope > 1e-3
        assert (values[0] - values[1]) / (2 * step) == pytest.approx(slope, rel=0.01)


def test_a_shifted_uv_texture_is_repaired(frames: Frames) -> None:
    """The textures of a UV embedding are shifted, and the points jump aside: landmarks bring them back."""
    network, options = tiny_network(), AdaptOptions(steps=16, runs=2, rate=1e-3, resolution=48, centred=False)
    with torch.no_grad():
        for texture in network.uv.hidden.textures:
            texture.copy_(texture.roll(2, dims=-1))
        network.update.flow_head.second.bias += 1.0
    adapter = prepared(network, frames, options)
    held_out, nu = np.flatnonzero(frames.held_out), torch.from_numpy(adapter.skin.nu)
    before = sample(adapter.flows(held_out), nu)
    losses = [adapter.train() for _ in range(options.steps)]
    after = sample(adapter.flows(held_out), nu)
    assert after.square().mean() < 0.5 * before.square().mean()
    assert losses[-1]["landmarks"] < 0.2 * losses[0]["landmarks"]


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
    steps: list[int] = []
    try:
        return adapt(
            request, ignore, lambda step, *_: steps.append(step), lambda: len(steps) > 0 and steps[-1] == stop_at
        )
    finally:
        assert work_of(request).folder.exists() == (stop_at >= 0), "gone once it is done"
        assert steps[-1] == (stop_at if stop_at >= 0 else options.steps)


@pytest.mark.slow
def test_what_is_better_is_kept_by_name_with_where_it_came_from(tmp_path: Path, frames: Frames) -> None:
    with pytest.raises(Cancelled):
        run(tmp_path, frames, FAST, adapted_path("ana"), stop_at=3)
    outcome = run(tmp_path, frames, FAST, adapted_path("ana"))
    assert outcome.judgement.better and outcome.kept == adapted_path("ana")
    assert outcome.judgement.marks >= 5 and outcome.judgement.frames == frames.held_out.sum()
    assert find_weights(Path("ana")) == named_weights(Path("ana")) == adapted_path("ana")
    (listed,) = list_adapted()
    assert listed.name == "ana" and listed.clips == ("ana.mp4",)
    assert listed.about["after"]["marks"] == outcome.judgement.after.marks < listed.about["before"]["marks"]
    assert read_metadata(listed.path)["sigma_scale"] == "2", "of the weights it began with"
    kept, start = load_weights(listed.path), tiny_network()
    assert not torch.equal(kept.uv.features.textures[0], start.uv.features.textures[0])
    encoder = start.encoder.decode_head.linear.weight
    assert torch.equal(kept.encoder.decode_head.linear.weight, encoder.half().float()), "it stays as it is"
    assert head_list((), (), ignore, weights=True).weights == (WeightsInfo("ana", "adapted to ana.mp4"),)
    assert head_list((), (), ignore).weights == (), "no guest's business"
    remove_adapted("ana")
    with pytest.raises(UserError, match="no weights at ana"):
        find_weights(Path("ana"))


@pytest.mark.slow
def test_nothing_is_kept_where_nothing_improves(tmp_path: Path, frames: Frames) -> None:
    out = tmp_path / "out.safetensors"
    outcome = run(tmp_path, frames, AdaptOptions(steps=1, runs=1, rate=1e-9, resolution=96), out)
    assert outcome.kept is None and not out.exists()
    assert outcome.judgement.after.marks == pytest.approx(outcome.judgement.before.marks, rel=1e-3)


@pytest.mark.slow
def test_resumed_is_the_same_as_never_stopped(frames: Frames) -> None:
    few = AdaptOptions(steps=4, runs=1, rate=3e-3, resolution=48)
    whole, parts = (prepared(tiny_network(), frames, few) for _ in range(2))
    work = Work(["a test"])
    work.frames(lambda: frames)
    for step in range(4):
        whole.train()
        if step == 1:
            work.save(whole.state())
    held = work.checkpoint()
    assert held is not None
    parts.restore(held)
    while parts.step < 4:
        parts.train()
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, parts.network.state_dict()[name]), name


def test_whole_stretches_are_held_out() -> None:
    assert np.flatnonzero(hold_out(np.arange(50))).tolist() == list(range(40, 50))
    assert np.flatnonzero(hold_out(np.arange(7, 207))).tolist() == [*range(80, 100), *range(180, 200)]


def test_parts_of_a_long_clip_are_of_the_frames_that_were_asked_for(tmp_path: Path) -> None:
    for number in range(1, 41):
        cv2.imwrite(str(tmp_path / f"take_{number:04}.png"), np.zeros((8, 8, 3), np.uint8))
    whole = open_footage(tmp_path / "take_0001.png", (21, 36))
    numbers = [frame.number for part in spread_parts(whole, 6, (21, 36)) for frame in part]
    assert numbers and set(numbers) <= set(range(21, 37))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "No clip is given"),
        ({"clips": [Path("a.mp4")], "terms": "some"}, "must be one of all, landmarks, textures"),
        ({"clips": [Path("a.mp4")], "name": "../a"}, "cannot name weights"),
        ({"clips": [Path("a.mp4")], "out": Path("a.pt")}, "must end in .safetensors"),
        ({"clips": [Path("a.mp4")], "weights": Path("nobody")}, "There are no weights at nobody"),
        ({"clips": [Path("nowhere.mp4")], "steps": 1}, "There is no file"),
        ({"remove": "nobody"}, "There are no adapted weights called"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(given: dict[str, object], sentence: str) -> None:
    defaults = {"name": "", "out": None, "replace": False, "weights": None, "frames": "", "steps": 1, "terms": "all"}
    defaults |= {"clips": None, "resolution": 96, "in_place": False, "list_all": False, "remove": ""}
    with pytest.raises(UserError, match=sentence):
        adapt_command(**defaults | given)


def test_the_paper_s_rows_have_a_name() -> None:
    assert TERMS["all"] == Weights(100, 100, 1) and TERMS["landmarks"] == Weights(0, 0, 1)
