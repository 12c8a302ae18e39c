"""A take begun at every few of its frames ends where it ends without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from backend.fitting import every_few
from backend.fitting.every_few import STRIDE, between, minimise_every_few_first
from backend.fitting.prepare import Take, prepare
from backend.fitting.solver.levenberg_marquardt import Stage, minimise
from backend.fitting.types import FitOptions, Fixed, View
from backend.fitting.windows import frames_of
from backend.head_model.library import load_head
from backend.synthesis.performance import demo_performance
from tests.backend.fitting.observed import observed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def take() -> Take:
    """120 frames, unseen at both ends and in the middle."""
    head = load_head("open")
    truth = demo_performance(head, seed=4, frame_count=120)
    seen = observed(head, truth, np.random.default_rng(0).normal(scale=1.0, size=(120, 478, 2)), 1.0)
    seen.valid[:3] = seen.valid[-2:] = seen.valid[60:66] = False
    return prepare(head, [View(seen)], FitOptions(identity_components=20, device="cpu"))


def test_the_minimum_is_the_same_and_nearer(take: Take) -> None:
    stage = Stage(tolerance=1e-5)
    direct = minimise(take.problem(), take.start, stage)
    told: list[int] = []
    found = minimise_every_few_first(take, stage, on_iteration=lambda iteration, _energy: told.append(iteration))
    assert told == list(range(1, found.iterations + 1))
    assert found.energy[0] < 0.5 * direct.energy[0]
    assert found.energy[-1] == pytest.approx(direct.energy[-1], rel=1e-4)
    assert (found.state.expression - direct.state.expression).abs().max() < 0.1
    assert (found.state.translation - direct.state.translation).abs().max() < 5e-3


def test_what_is_held_stays_and_short_takes_start_as_they_are(take: Take, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Stage(Fixed(identity=True), max_iterations=2)
    assert torch.equal(minimise_every_few_first(take, held).state.identity, take.start.identity)
    stage = Stage(max_iterations=3)
    monkeypatch.setattr(every_few, "LEAST_SEEN", 1000)
    as_it_is = minimise_every_few_first(take, stage)
    assert as_it_is.energy == minimise(take.problem(), take.start, stage).energy


def test_between_keeps_the_frames_that_were_solved_and_a_start_that_was_right(take: Take) -> None:
    start = take.start
    frames = np.unique(np.append(np.arange(0, start.frame_count, STRIDE), start.frame_count - 1))
    index = torch.as_tensor(frames)
    solved = frames_of(start, frames)
    generator = torch.Generator().manual_seed(1)
    shifted = replace(
        solved, translation=solved.translation + 0.01, gaze=torch.rand(solved.gaze.shape, generator=generator).double()
    )
    got = between(start, shifted, frames)
    assert torch.allclose(got.translation, start.translation + 0.01, atol=1e-12)
    assert torch.allclose(got.rotation, start.rotation, atol=1e-9)
    assert torch.allclose(got.gaze[index], shifted.gaze)
    middle = (shifted.gaze[0] + shifted.gaze[1]) / 2
    assert torch.allclose(got.gaze[STRIDE // 2], middle)
