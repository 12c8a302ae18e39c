"""A take solved in windows against the same take solved whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from backend.errors import Cancelled
from backend.fitting.prepare import Take, prepare
from backend.fitting.solver.levenberg_marquardt import Stage, minimise
from backend.fitting.terms.points import PointsTerm
from backend.fitting.types import FitOptions, Fixed, View
from backend.fitting.uncertainty import take_uncertainty
from backend.fitting.windows import (
    PINNED,
    Window,
    WindowSizes,
    key_frames,
    minimise_in_windows,
    solve_shared,
    solve_window,
    windows,
    with_shared,
)
from backend.head_model.library import load_head
from backend.synthesis.performance import demo_performance
from tests.backend.fitting.observed import observed
from tests.backend.fitting.test_several_views import calibrated, make_known

pytestmark = pytest.mark.slow

SIZES = WindowSizes(length=25, lookahead=15, key_frames=20)
NOISE_PX = 1.0
UNSEEN = slice(46, 52)  # across the border at frame 48


@pytest.fixture(scope="module")
def take() -> Take:
    """96 frames, unseen at both ends and around a border."""
    head = load_head("open")
    truth = demo_performance(head, seed=4, frame_count=96)
    noise = np.random.default_rng(0).normal(scale=NOISE_PX, size=(96, 478, 2))
    seen = observed(head, truth, noise, NOISE_PX)
    seen.valid[:3] = seen.valid[-2:] = seen.valid[UNSEEN] = False
    return prepare(head, [View(seen)], FitOptions(identity_components=20, device="cpu"))


def ignore(_iteration: int, _energy: float) -> None:
    pass


def test_windows_cover_what_was_seen_once_and_look_ahead_over_gaps() -> None:
    found = np.ones(100, bool)
    found[:4] = found[40:60] = found[97:] = False
    cut = windows(found, WindowSizes(length=35, lookahead=10))
    kept = [f for w in cut for f in range(w.first + w.pinned, w.keep)]
    assert kept == list(range(4, 97))
    assert [w.pinned for w in cut] == [0, PINNED, PINNED]
    for w in cut[:-1]:
        assert found[w.keep : w.stop].sum() == 10
        assert found[w.stop - 1]
    assert cut[-1].stop == cut[-1].keep == 97


def test_one_short_take_is_one_window() -> None:
    assert windows(np.ones(1, bool), WindowSizes()) == [Window(0, 0, 1, 1)]


def test_windows_meet_as_if_the_take_had_been_solved_whole(take: Take) -> None:
    stage = Stage(tolerance=1e-8)
    shared = solve_shared(take, replace(stage, tolerance=1e-4), 20, ignore).state
    state = with_shared(take, shared, Fixed())
    shared_held = replace(stage, fixed=Fixed(identity=True, cameras=True))
    whole = minimise(take.problem(), with_shared(take, shared, Fixed()), shared_held).state
    for window in windows(take.found, SIZES):
        solve_window(take, state, stage, window)
    # Frames that nothing was seen in pull at the take's own ends when it is solved whole, and windows leave them out.
    seen = slice(15, 76)
    apart = (state.expression[seen] - whole.expression[seen]).abs()
    # Opposed actions let a frame's weights have two minima side by side: one frame may end in the other.
    assert float(apart.amax(dim=1).quantile(0.9)) < 1e-3
    assert float(apart.max()) < 1e-2
    assert torch.allclose(state.translation[seen], whole.translation[seen], atol=2e-5)
    assert torch.allclose(state.rotation[seen], whole.rotation[seen], atol=2e-4)


def test_no_border_shows(take: Take) -> None:
    best = minimise_in_windows(take, Stage(tolerance=5e-4), sizes=SIZES)
    assert best.energy[1] < best.energy[0]
    jump = best.state.expression.diff(n=2, dim=0).abs().amax(1)[3:90].numpy()
    borders = [w.keep - 3 - 1 + offset for w in windows(take.found, SIZES)[:-1] for offset in (-1, 0, 1)]
    elsewhere = np.setdiff1d(np.arange(len(jump)), borders)
    assert jump[borders].max() <= jump[elsewhere].max()


def test_the_windowed_energy_is_nearly_the_whole_solves(take: Take) -> None:
    windowed = minimise_in_windows(take, Stage(tolerance=1e-5), sizes=SIZES)
    whole = minimise(take.problem(), take.start, Stage(tolerance=1e-5))
    assert windowed.energy[1] < 1.12 * whole.energy[-1]


def test_windows_of_several_views_come_close_to_the_whole_solve() -> None:
    known = make_known()
    take = prepare(known.head, calibrated(known), FitOptions(identity_components=10, device="cpu"))
    windowed = minimise_in_windows(take, Stage(), sizes=WindowSizes(length=10, lookahead=6, key_frames=12))
    whole = minimise(take.problem(), take.start, Stage())
    assert windowed.energy[1] < 1.01 * whole.energy[-1]


@pytest.mark.parametrize("kind", ["frames", "pose"])
def test_what_is_held_stays_in_a_long_take_whose_focal_length_changes(take: Take, kind: str) -> None:
    """Frames are held to the take's first one, which no view shows: up to there all are solved."""
    held = np.zeros(96, bool)
    held[0] = held[20:60] = True
    fixed = Fixed(frames=held) if kind == "frames" else Fixed(pose=True)
    cameras = replace(take.start.cameras, log_focal=take.start.cameras.log_focal + 0.03)
    take = replace(take, start=replace(take.start, cameras=cameras))
    found = minimise_in_windows(take, Stage(fixed, max_iterations=3), sizes=SIZES).state
    start, still = take.start, held if kind == "frames" else np.ones(96, bool)
    assert abs(float(found.cameras.log_focal[0] - start.cameras.log_focal[0])) > 0.02
    np.testing.assert_allclose(found.translation[still], start.translation[still], atol=1e-12)
    np.testing.assert_array_equal(found.rotation[still], start.rotation[still])
    assert (found.expression[70] != start.expression[70]).any()
    if kind == "frames":
        np.testing.assert_array_equal(found.expression[held], start.expression[held])
        assert (found.translation[61:] != start.translation[61:]).any(dim=1)[:-2].all()
        assert (found.expression[1:3] != start.expression[1:3]).any()


def test_uncertainty_by_frame_ranges_is_the_whole_takes(take: Take) -> None:
    state = minimise(take.problem(), take.start, Stage()).state
    whole = take_uncertainty(take, state, Stage())
    parts = take_uncertainty(take, state, Stage(), length=40)
    assert parts.vertex_mm.shape == (96,)
    seen = take.found
    ratio = (parts.vertex_mm / whole.vertex_mm)[seen]
    assert 0.8 < ratio.min() <= ratio.max() < 1.25
    bridged = np.arange(96)[UNSEEN]
    assert (whole.rotation[bridged].norm(dim=1) > 1.5 * whole.rotation[bridged[0] - 8].norm()).all()


def test_key_frames_are_spread_over_time_and_pose_and_never_unseen(take: Take) -> None:
    keys = key_frames(take, 20)
    assert len(keys) == 20
    assert take.found[keys].all()
    assert np.array_equal(keys, key_frames(take, 20))
    left_out = sorted(set(np.flatnonzero(take.found).tolist()) - set(keys.tolist()))[3]
    asked = replace(take, options=replace(take.options, key_frames=(left_out,)))
    assert left_out in key_frames(asked, 20)
    assert np.diff(keys).max() <= 20
    yaw = np.linalg.norm(take.start.rotation.numpy()[keys, :, 2] - take.start.rotation.numpy()[:, :, 2].mean(0), axis=1)
    every = np.linalg.norm(take.start.rotation.numpy()[:, :, 2] - take.start.rotation.numpy()[:, :, 2].mean(0), axis=1)
    assert yaw.max() > 0.98 * every[take.found].max()


def test_progress_rises_and_cancel_is_heard_between_iterations(take: Take) -> None:
    heard: list[float] = []

    def report(fraction: float, _words: str) -> None:
        heard.append(fraction)
        if len(heard) == 14:
            raise Cancelled

    with pytest.raises(Cancelled):
        minimise_in_windows(take, Stage(), sizes=SIZES, on_progress=report)
    assert heard == sorted(heard)
    assert heard[0] >= 0 and heard[-1] < 1


def test_observations_of_some_frames_keep_their_own(take: Take) -> None:
    frames = np.array([5, 9, 30])
    part = take.problem(frames)
    assert torch.equal(part.term(PointsTerm).mu, take.problem().term(PointsTerm).mu[:, frames])
