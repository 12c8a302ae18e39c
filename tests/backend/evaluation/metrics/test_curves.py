"""Curve figures against values worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.evaluation.metrics.curves import MIRRORED, compare_curves, curve_figures
from backend.head_model.opposed_actions import OPPOSED_ACTIONS
from protocol.face_actions import ARKIT_ACTIONS


def weights(frames: int, **curves: list[float]) -> np.ndarray:
    found = np.zeros((frames, 52))
    for name, values in curves.items():
        found[:, ARKIT_ACTIONS.index(name)] = values
    return found


def test_opposites_contradict_each_other_where_both_are_on() -> None:
    w = weights(4, mouthLeft=[0.2, 0.2, 0.05, 0], mouthRight=[0.3, 0.1, 0.9, 0], jawOpen=[1, 1, 1, 1])
    assert len(OPPOSED_ACTIONS) == 14
    assert curve_figures(w).contradictions == pytest.approx(1 / 4 / 14)  # 0.1 itself is not above 0.1


def test_rest_is_what_the_calmest_frames_still_add_up_to_without_gaze() -> None:
    w = weights(41, jawOpen=list(np.arange(41) / 40), mouthPucker=[0.5] * 41, eyeLookInLeft=[1.0] * 41)
    assert curve_figures(w).rest == pytest.approx(0.5 + 2 / 40)  # the third calmest of 41: 5 % between first and last


def test_asymmetry_is_the_mean_difference_of_sixteen_pairs() -> None:
    w = weights(2, mouthSmileLeft=[0.8, 0], browDownRight=[0.4, 0.4], eyeLookInLeft=[1, 1])
    assert len(MIRRORED) == 16
    assert curve_figures(w).asymmetry == pytest.approx((0.8 + 0.4 + 0.4) / 2 / 16)


def test_jitter_is_the_mean_second_difference_between_tracked_frames() -> None:
    w = weights(5, jawOpen=[0, 0.5, 0, 0.1, 0.2])
    assert curve_figures(w).jitter == pytest.approx((1.0 + 0.6 + 0.0) / 3 / 52)
    lost = np.array([True, True, True, True, False])
    assert curve_figures(w, lost).jitter == pytest.approx((1.0 + 0.6) / 2 / 52)
    assert np.isnan(curve_figures(w, np.zeros(5, bool)).rest)


def test_a_damped_curve_has_full_correlation_and_its_slope() -> None:
    true = weights(4, jawOpen=[0, 1, 0, 1], mouthPucker=[0.02, 0, 0, 0.02])
    found = weights(4, jawOpen=[0.1, 0.6, 0.1, 0.6], mouthPucker=[0, 1, 0, 0], cheekPuff=[0.5] * 4)
    seen = compare_curves(found, true)
    jaw, pucker, puff = (ARKIT_ACTIONS.index(name) for name in ("jawOpen", "mouthPucker", "cheekPuff"))
    assert seen.correlation[jaw] == pytest.approx(1)
    assert seen.slope[jaw] == pytest.approx(0.5)
    assert seen.error[[jaw, puff]] == pytest.approx([0.25, 0.5])
    assert np.isnan(seen.correlation[pucker])  # it hardly moves
    assert seen.mean_correlation == pytest.approx(1)
    assert seen.mean_error == pytest.approx(0.25)
    assert not seen.wrong


def test_the_wrong_side_and_the_wrong_sign_are_named() -> None:
    true = weights(4, jawLeft=[0, 1, 0, 1], mouthSmileLeft=[0, 0.5, 1, 0.5], mouthSmileRight=[0, 0.4, 0.5, 0.2])
    found = weights(4, jawRight=[0, 1, 0, 1], mouthSmileLeft=[0, 0.4, 0.5, 0.2], mouthSmileRight=[0, 0.5, 1, 0.5])
    seen = compare_curves(found, true)
    assert seen.correlation[ARKIT_ACTIONS.index("jawLeft")] == 0  # it moves, and nothing was found
    assert seen.wrong == ("jawLeft", "jawRight", "mouthSmileLeft", "mouthSmileRight")
    assert compare_curves(weights(4, jawLeft=[1, 0, 1, 0]), true).wrong == ("jawLeft", "jawRight")


def test_apples_own_curves_are_what_their_readme_says(shared_data: Path) -> None:
    with np.load(shared_data / "characters" / "facecap" / "facecap_curves.npz") as data:
        order = [list(data["names"]).index(name) for name in ARKIT_ACTIONS]
        figures = curve_figures(data["w"][:, order])
    assert figures.contradictions == pytest.approx(0.001, abs=5e-4)
    assert figures.asymmetry == pytest.approx(0.057, abs=5e-4)
    assert figures.jitter == pytest.approx(0.0085, abs=5e-5)
