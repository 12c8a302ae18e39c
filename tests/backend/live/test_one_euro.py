"""The One-Euro filter against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from backend.live.one_euro import OneEuro, OneEuroFilter, smoothing


def test_a_new_value_counts_for_what_its_cutoff_says() -> None:
    # τ = 1/(2π·1) = 0.15915 s; α = 1/(1 + 0.15915/0.1) = 0.38587
    assert smoothing(1.0, 0.1) == pytest.approx(0.38587, abs=1e-5)


def test_a_step_is_followed_as_the_paper_has_it() -> None:
    filtered = OneEuroFilter(OneEuro(least=1.0, slope=2.0, speed=1.0))
    assert filtered(np.array([0.0]), 0.0)[0] == 0.0
    # The speed is 1/0.1 = 10, filtered 0.38587 · 10 = 3.8587; the cutoff 1 + 2 · 3.8587 = 8.7174 Hz, and
    # α = 1/(1 + 1/(2π · 8.7174 · 0.1)) = 5.47730/6.47730 = 0.84561.
    assert filtered(np.array([1.0]), 0.1)[0] == pytest.approx(0.84561, abs=1e-4)


def test_at_rest_it_is_a_low_pass_of_the_least_cutoff() -> None:
    filtered = OneEuroFilter(OneEuro(least=1.0, slope=0.0))
    filtered(np.array([0.0, 2.0]), 0.0)
    alpha = 1 / (1 + 1 / (2 * math.pi * 0.5))
    np.testing.assert_allclose(filtered(np.array([1.0, 2.0]), 0.5), [alpha, 2.0])


def test_a_quick_signal_lags_less_than_a_slow_filter_would_let_it() -> None:
    slow, quick = OneEuroFilter(OneEuro(1.0, 0.0)), OneEuroFilter(OneEuro(1.0, 5.0))
    for t in np.arange(0, 1, 0.04):
        ends = slow(np.array([t]), t)[0], quick(np.array([t]), t)[0]
    assert ends[0] < ends[1] <= 0.96


def test_what_is_forgotten_is_not_smoothed_into_what_comes() -> None:
    filtered = OneEuroFilter(OneEuro(1.0, 0.0))
    filtered(np.array([5.0]), 0.0)
    filtered.forget()
    assert filtered(np.array([1.0]), 0.04)[0] == 1.0
