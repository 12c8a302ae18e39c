"""Where the face is not seen for a while: what was held stays, what moved glides, and nothing pops when it is back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.fitting import FitOptions, FitResult, fit_take
from backend.fitting.every_few import LEAST_SEEN, STRIDE
from backend.fitting.prepare import prepare
from backend.fitting.solver.levenberg_marquardt import Stage, minimise
from backend.fitting.windows import WindowSizes, minimise_in_windows
from backend.synthesis.performance import Performance
from tests.backend.fitting.made_takes import Seen, column, fit, head, noise, performance, points_of, view

F64 = NDArray[np.float64]

BEFORE = AFTER = 12  # seen frames on either side of a gap
HELD = {"mouthSmileLeft": 0.6, "mouthSmileRight": 0.6, "browInnerUp": 0.5, "jawOpen": 0.4}
GAZE = (np.deg2rad(12.0), np.deg2rad(-5.0))
NOISE_PX = 0.3  # 0.23 % of the inter-ocular distance: what a frame of calm footage adds of its own is 0.05 to 0.2 %
MOVED = ("mouthSmileLeft", "jawOpen", "browInnerUp")


def lost(frames: int, gap: slice) -> NDArray[np.bool_]:
    """(T,478) nothing seen in the gap."""
    hidden = np.zeros((frames, 478), bool)
    hidden[gap] = True
    return hidden


def held(length: int, seen_frames: int = BEFORE) -> tuple[Performance, Seen, slice]:
    frames = 2 * seen_frames + length
    gap = slice(seen_frames, seen_frames + length)
    truth = performance(frames, HELD, gaze=GAZE, degrees=(10.0, -5.0))
    return truth, Seen(noise=noise(frames, NOISE_PX), hidden=lost(frames, gap)), gap


def beyond(values: F64, gap: slice) -> F64:
    """(T,n) how far values in a gap lie outside of what the frames about it have."""
    ends = values[[gap.start - 1, gap.stop]]
    return np.maximum(values[gap] - ends.max(axis=0), ends.min(axis=0) - values[gap]).clip(0)


def assert_held(fitted: FitResult, truth: Performance, gap: slice) -> None:
    """Within 0.02 of what the seen frames have, gaze ±2°, and no pop at either end. 0.46 lost in 6 frames, all of it in
    10, where the priors spoke in a gap, too."""
    seen = np.r_[0 : gap.start, gap.stop : truth.frame_count]
    low, high = fitted.expression[seen].min(axis=0), fitted.expression[seen].max(axis=0)
    assert np.maximum(low - fitted.expression[gap], fitted.expression[gap] - high).max() < 0.02
    assert np.rad2deg(np.abs(fitted.gaze[gap] - truth.gaze[gap])).max() < 2.0
    across = fitted.expression[[gap.start - 1, gap.start, gap.stop - 1, gap.stop]]
    assert np.abs(np.diff(across, axis=0)[[0, 2]]).max() < 0.04
    assert not fitted.tracked[gap].any()


@pytest.mark.parametrize("length", [2, 3, 4, 6, 8, 10, 14, 20])
def test_what_is_held_stays_over_a_gap(length: int) -> None:
    truth, seen, gap = held(length)
    assert_held(fit(truth, seen), truth, gap)


@pytest.mark.slow
@pytest.mark.parametrize("length", [6, 20])
def test_what_is_held_stays_where_a_fit_begins_with_every_few_frames(length: int) -> None:
    truth, seen, gap = held(length, seen_frames=LEAST_SEEN * STRIDE // 2 + STRIDE)
    assert_held(fit(truth, seen), truth, gap)


@pytest.mark.slow
@pytest.mark.parametrize("length", [6, 20])
def test_what_is_held_stays_across_windows(length: int) -> None:
    truth, seen, gap = held(length, seen_frames=30)
    take = prepare(head(), [view(truth, seen)], FitOptions(device="cpu"))
    # The border lies in the middle of the gap.
    state = minimise_in_windows(take, Stage(), sizes=WindowSizes(40, 10, 20)).state
    whole = minimise(take.problem(), take.start, Stage(tolerance=1e-6)).state
    assert np.abs(state.expression - whole.expression)[gap].max() < 0.05
    usual = torch.cat([state.expression[: gap.start], state.expression[gap.stop :]]).mean(dim=0)
    assert (state.expression[gap] - usual).abs().max() < 0.05
    assert (state.gaze[gap].numpy() - truth.gaze[gap].reshape(-1, 4)).max() < np.deg2rad(2.0)


@pytest.mark.parametrize("length", [4, 10, 20])
@pytest.mark.parametrize("when", ["throughout", "early", "late"])
def test_what_moves_is_bridged_without_turning_back(length: int, when: str) -> None:
    """A movement from 0.2 to 0.7 all over the gap, ending soon after its beginning, or beginning shortly before it
    ends."""
    frames = BEFORE + length + AFTER
    gap = slice(BEFORE, BEFORE + length)
    middle, span = {
        "throughout": (BEFORE + (length - 1) / 2, length + 10),
        "early": (BEFORE - 0.5, 8),
        "late": (BEFORE + length - 0.5, 8),
    }[when]
    share = np.clip((np.arange(frames) - middle) / span + 0.5, 0, 1)
    curve = 0.2 + 0.5 * share**2 * (3 - 2 * share)
    turn = np.stack([np.deg2rad(-10 + 20 * share), np.zeros(frames)], axis=1)
    truth = performance(frames, {**dict.fromkeys(MOVED, curve), "mouthSmileRight": curve}, gaze=turn)
    fitted = fit(truth, Seen(noise=noise(frames, NOISE_PX), hidden=lost(frames, gap)))
    curves = fitted.expression[:, [column(name) for name in MOVED]]
    # 0.15 beyond by E_temp's accelerations alone
    assert beyond(curves, gap).max() < 0.05
    assert np.diff(curves[gap.start - 1 : gap.stop + 1], axis=0).min() > -0.02
    # degrees
    assert np.rad2deg(beyond(fitted.gaze[:, 0, :1], gap)).max() < 1.5


def test_the_ends_of_a_take_are_held_and_pull_at_nothing() -> None:
    truth, seen, _ = held(0)
    frames = truth.frame_count
    ends = lost(frames, slice(frames - 6, frames)) | lost(frames, slice(0, 4))
    fitted, whole = fit(truth, replace(seen, hidden=ends)), fit(truth, seen)
    assert np.array_equal(fitted.expression[-6:], fitted.expression[[-7] * 6])
    assert np.abs(fitted.expression - whole.expression)[4:-6].max() < 0.05
    assert np.abs(fitted.expression - truth.expression)[-6:].max() < 0.1


@pytest.mark.parametrize("degrees", [(12.0, 0.0), (0.0, -12.0), (12.0, 8.0)])
def test_a_long_blink_keeps_the_gaze(degrees: tuple[float, float]) -> None:
    """Ten frames of closed lids, behind which no iris is seen."""
    frames, shut = 34, slice(12, 22)
    curve = np.zeros(frames)
    curve[shut], curve[[shut.start - 1, shut.stop]] = 1.0, 0.5
    truth = performance(frames, {"eyeBlinkLeft": curve, "eyeBlinkRight": curve}, gaze=tuple(np.deg2rad(degrees)))
    hidden = np.zeros((frames, 478), bool)
    hidden[shut.start - 1 : shut.stop + 1] = points_of("left_eyeball") | points_of("right_eyeball")
    fitted = fit_take(head(), [view(truth, Seen(noise=noise(frames, NOISE_PX), hidden=hidden))])
    # degrees: 0.9; 7 where the prior spoke of eyes that nobody saw
    assert np.rad2deg(np.abs(fitted.gaze - truth.gaze)[shut]).max() < 2.0
    assert fitted.expression[shut, column("eyeBlinkLeft")].min() > 0.75


def test_a_head_goes_on_through_a_long_gap() -> None:
    """Poses glide by their accelerations: heads go on turning, and noise at the ends of a gap turns them by little."""
    truth, seen, gap = held(20)
    fitted = fit(truth, seen)
    off = Rotation.from_matrix(fitted.head_rotation) * Rotation.from_rotvec(truth.head_rotation).inv()
    assert np.rad2deg(off.magnitude())[gap].max() < 0.5
