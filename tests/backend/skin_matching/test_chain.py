"""Displacements over time from what pictures say of each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.skin_matching.chain import Said, solve

F64 = NDArray[np.float64]
FRAMES, POINTS = 40, 6


def said(noise: float = 0.05) -> tuple[F64, Said]:
    """Random walks (T,P,2), and what pictures say of them; the mean texture is off by a constant of each keypoint."""
    random = np.random.default_rng(3)
    truth = np.cumsum(random.normal(0, 0.4, (FRAMES, POINTS, 2)), axis=0, dtype=np.float64)
    truth -= truth.mean(axis=0)
    relative = np.full(truth.shape, np.nan)
    relative[1:] = np.diff(truth, axis=0) + random.normal(0, noise, (FRAMES - 1, POINTS, 2))
    absolute = truth + random.normal(0, 1, (1, POINTS, 2)) + random.normal(0, 4 * noise, truth.shape)
    sigma: F64 = np.full((FRAMES, POINTS), noise)
    return truth, Said(relative, sigma, absolute, 4 * sigma, np.ones((FRAMES, POINTS)))


def test_both_comparisons_together_are_better_than_either() -> None:
    truth, both = said()
    nothing = np.full(truth.shape, np.nan)
    only_steps = Said(both.relative, both.relative_sigma, nothing, both.absolute_sigma, both.facing)
    only_levels = Said(nothing, both.relative_sigma, both.absolute, both.absolute_sigma, both.facing)
    error = [
        np.abs(found.offset - truth)[found.valid].mean()
        for found in (solve(both), solve(only_steps, anchored=False), solve(only_levels))
    ]
    assert error[0] < 0.75 * min(error[1:])


def test_wrong_comparisons_do_not_move_a_chain() -> None:
    truth, right = said()
    random = np.random.default_rng(8)
    wrong = random.random((FRAMES, POINTS)) < 0.1
    right.absolute[wrong] += 6.0
    found = solve(right)
    assert np.abs(found.offset - truth)[found.valid].max() < 0.6
    assert found.valid.mean() > 0.75


def test_what_only_steps_speak_of_is_not_believed() -> None:
    truth, right = said()
    hidden = slice(10, 20)
    right.absolute[hidden] = np.nan
    right.relative[hidden, :, 0] += 1.5  # what passes over the face takes its keypoints along
    found = solve(right)
    assert not found.valid[12:18].any()
    elsewhere = np.r_[0:9, 21:FRAMES]
    assert found.valid[elsewhere].all()
    assert np.abs(found.offset - truth)[elsewhere].mean() < 0.25


def test_a_held_frame_costs_no_keypoint() -> None:
    truth, right = said()
    right.relative_sigma[7] = 0.0  # pictures that are the same to the bit
    right.relative[7] = truth[7] - truth[6]
    found = solve(right)
    assert found.valid.all()
    assert np.abs(found.offset - truth).mean() < 0.25
