"""Frames that come unevenly, or were dropped, are as well told as even ones: smoothness is about their own times."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.fitting import FitOptions, View, fit_take
from backend.fitting.problem import LEAST_INTERVAL, frame_intervals
from backend.synthesis.performance import Performance
from tests.backend.fitting.made_takes import Seen, head, noise, performance, view

F64 = NDArray[np.float64]

FRAMES = 24
RATE = 50.0  # of the grid whose frames are dropped


def moving(times: F64) -> Performance:
    """A face that talks and turns, as it is at ``times`` (T,) seconds."""

    def swing(period: float) -> F64:
        return np.asarray(np.sin(2 * np.pi * times / period))

    smile = 0.3 + 0.3 * swing(1.3)
    return performance(
        len(times),
        {"jawOpen": 0.3 + 0.3 * swing(0.9), "mouthSmileLeft": smile, "mouthSmileRight": smile},
        degrees=np.stack([18 * swing(0.8), 6 * swing(0.6)], axis=1),
        gaze=np.stack([0.2 * swing(1.1), np.zeros_like(times)], axis=1),
    )


def errors(times: F64, told: F64) -> tuple[float, float]:
    """Mean errors of the weights, and of the head's rotation in degrees, of frames at ``times`` said to be at
    ``told``."""
    truth = moving(times)
    seen = view(truth, Seen(noise=noise(len(times), 1.0)))
    fitted = fit_take(head(), [View(seen.alignment.at_times(told), seen.camera)], FitOptions())
    off = Rotation.from_matrix(fitted.head_rotation) * Rotation.from_rotvec(truth.head_rotation).inv()
    return float(np.abs(fitted.expression - truth.expression).mean()), float(np.rad2deg(off.magnitude()).mean())


def evened(times: F64) -> F64:
    return np.linspace(times[0], times[-1], len(times))


@settings(deadline=None, max_examples=4)
@given(st.lists(st.integers(1, 3), min_size=FRAMES - 1, max_size=FRAMES - 1).filter(lambda steps: np.ptp(steps) > 1))
def test_a_motion_at_uneven_times_is_as_well_told_as_at_even_ones(steps: list[int]) -> None:
    times = np.concatenate([[0.0], np.cumsum(steps)]) / RATE
    weights, turn = errors(times, times)
    even_weights, even_turn = errors(evened(times), evened(times))
    assert weights < 1.25 * even_weights
    assert turn < 1.5 * even_turn + 0.05


def test_times_that_are_not_looked_at_cost_accuracy() -> None:
    """Every fourth frame of 50 a second is left out, and a run of four."""
    kept = np.array([t for t in range(36) if t % 4 and not 12 <= t < 17])
    times = kept / RATE
    # degrees: 0.15; 0.8 where they count as even
    assert errors(times, times)[1] < 0.4 * errors(times, evened(times))[1]


def test_times_of_a_recorder_that_empties_its_queue_are_not_believed() -> None:
    even = np.arange(30) / 30.0
    burst = even.copy()
    burst[10:15] = even[14] + 0.001 * np.arange(-4, 1)
    seen = view(moving(even), Seen()).alignment.at_times(burst)
    assert frame_intervals(seen).min() == LEAST_INTERVAL
    assert frame_intervals(replace(seen, times=even)) == pytest.approx(np.ones(29))
    # degrees: half the noise in the points
    assert errors(even, burst)[1] < 0.8
