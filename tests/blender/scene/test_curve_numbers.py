"""Smoothing, thinning out and naming, on numbers alone."""

from __future__ import annotations

import numpy as np
import pytest

from blender_addon.scene.curve_layers import regions, stack
from blender_addon.scene.curve_layers.fit import evaluated, fitted
from blender_addon.scene.curve_layers.reduction import Surface, surface_error, thinned_weights
from blender_addon.scene.curve_layers.settings import Layer, LayerSettings, from_text, to_text
from blender_addon.scene.curve_layers.smoothing import smoothed

TIMES = np.arange(60.0)
BLINK = np.interp(TIMES, [27, 29, 30, 33], [0.1, 0.9, 0.9, 0.1])


def smooth(values: np.ndarray, times: np.ndarray = TIMES, **how: float) -> np.ndarray:
    return smoothed(times, values[:, None], np.array([2.0]), **how)[:, 0]


def test_smoothing_takes_noise_away_and_delays_nothing() -> None:
    wave = 0.5 + 0.4 * np.sin(TIMES / 6)
    noise = np.random.default_rng(2).normal(0, 0.01, 60)
    off = smooth(wave + noise) - smooth(wave)
    assert np.std(off) < 0.6 * np.std(noise)
    assert smooth(wave[::-1]) == pytest.approx(smooth(wave)[::-1]), "it looks as far back as ahead"
    assert smooth(0.1 * TIMES)[6:-6] == pytest.approx(0.1 * TIMES[6:-6]), "what rises evenly stays"


def test_a_blink_keeps_its_course_unless_that_is_not_wanted() -> None:
    jitter = np.random.default_rng(2).normal(0, 0.01, 60)
    kept = smooth(BLINK + jitter, fast=stack.FAST_WEIGHT)
    assert kept.max() > 0.87 and np.abs(kept - BLINK).max() < 0.05
    assert np.std((kept - BLINK)[:25]) < 0.6 * np.std(jitter)
    assert smooth(BLINK).max() < 0.7


def test_smoothing_counts_time_and_not_keys() -> None:
    """The same curve with twice as many keys in one half."""
    times = np.union1d(TIMES, np.arange(30, 59, 0.5))
    slow = 0.3 + 0.2 * np.sin(times / 9)
    some = np.isin(times, TIMES)
    assert smooth(slow, times)[some][8:-8] == pytest.approx(smooth(slow[some])[8:-8], abs=2e-3)


@pytest.mark.parametrize("tolerance", [0.003, 0.02, 0.1])
def test_a_thinned_out_curve_is_within_its_tolerance_by_few_keys(tolerance: float) -> None:
    wave = 0.5 + 0.3 * np.sin(TIMES / 5) + BLINK
    fit = fitted(TIMES, wave, tolerance)
    assert np.abs(evaluated(TIMES, wave, fit) - wave).max() <= tolerance
    assert len(fit.keys) < 30 and {0, 59} <= set(fit.keys.tolist())


def test_a_straight_line_needs_two_keys_and_odd_frames_are_no_matter() -> None:
    frames = np.array([1.0, 1.5, 4.0, 4.2, 9.0])
    assert fitted(frames, 3 * frames, 1e-9).keys.tolist() == [0, 4]
    assert len(fitted(frames, np.array([0, 1, 0, 1, 0.0]), 1e-9).keys) == 5
    assert fitted(frames[:1], frames[:1], 0.1).keys.tolist() == [0]


def test_actions_that_are_within_alone_and_not_together_get_more_keys() -> None:
    """Ten actions that move the same point the same way."""
    rng = np.random.default_rng(0)
    values = np.repeat(np.cumsum(rng.normal(0, 0.05, (60, 1)), axis=0), 10, axis=1)
    actions = np.zeros((10, 4, 3), np.float32)
    actions[:, 2, 1] = 5.0
    surface = Surface(np.zeros((4, 3), np.float32), actions, np.zeros((0, 3), np.float32), np.zeros((0, 4), np.float32))
    fits = thinned_weights(TIMES, values, surface, bound=1.0)
    off = np.stack([evaluated(TIMES, values[:, k], fit) - values[:, k] for k, fit in enumerate(fits)], axis=1)
    assert surface_error(off, actions)[0].max() <= 1.0
    assert np.abs(off).max() < 0.2, "by each alone the point may be off by 1 mm"


def test_every_arkit_action_has_its_region_and_its_counterpart() -> None:
    assert [regions.region_of(name) for name in ("browInnerUp", "eyeBlinkLeft", "eyeLookInLeft", "tongueOut")] == [
        *("brows", "lids", "gaze", "mouth")
    ]
    pairs = regions.pairs_of(("mouthSmileLeft", "jawLeft", "jawRight", "mouthSmileRight", "eyeLookInLeft", "smile_L"))
    assert [(pair.left, pair.right, pair.sideways) for pair in pairs] == [
        ("mouthSmileLeft", "mouthSmileRight", False),
        ("jawLeft", "jawRight", True),
    ]


def test_settings_are_read_as_they_were_written_by_whatever_wrote_them() -> None:
    settings = LayerSettings(by_region={"jaw": Layer(gain=0.5)}, zero=(3.0, 4.0), gaze_turn=(0.1, 0.2), symmetry=1.0)
    assert from_text(to_text(settings)) == settings
    assert to_text(LayerSettings()) == "" and from_text("") == LayerSettings()
    assert from_text('{"symmetry": 0.5, "by_region": {"jaw": {"gain": 2, "curl": 1}}, "later": 1}') == LayerSettings(
        symmetry=0.5, by_region={"jaw": Layer(gain=2)}
    )
