"""Lids and the gaze behind them in a take's energy: several views, half-closed lids, long blinks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.fitting import View, fit_take
from backend.fitting.observed_lids import told_closure
from backend.head_model.dense_points import IRIS_POINTS
from backend.head_model.lids import lid_closure
from tests.backend.fitting.made_takes import Seen, head, noise, performance, view

NAN = np.nan


def told(view: View, closure: list[list[float]]) -> View:
    return replace(view, alignment=replace(view.alignment, lid_closure=np.float32(closure)))


def test_a_view_that_cannot_see_an_eye_has_no_veto() -> None:
    one = view(performance(3), Seen())
    (points,) = one.alignment.point_sets
    unsure = np.full_like(points.sigma, 3 * points.sigma[0, 0])
    dim = replace(one, alignment=replace(one.alignment, point_sets=(replace(points, sigma=unsure),)))
    sure = told(one, [[1, NAN], [1, 0], [NAN, NAN]])
    other = told(dim, [[NAN, NAN], [0, 0], [NAN, NAN]])
    # the second is three times less sure: a ninth of the weight; an eye that nobody sees closes with the other one
    np.testing.assert_allclose(told_closure([sure, other]), [[1, 1], [0.9, 0], [NAN, NAN]], rtol=1e-6)
    assert np.isnan(told_closure([one])).all(), "nobody looked"


def closure_of(expression: NDArray[np.float64]) -> NDArray[np.float64]:
    rows = lid_closure(head())
    assert rows is not None
    return expression @ rows.T


@pytest.fixture(scope="module")
def blink() -> tuple[View, NDArray[np.float64]]:
    """Thirty frames behind closed lids whose points say three quarters; before and after the eyes look 12° aside."""
    frames, shut = 48, slice(9, 39)
    curve = np.zeros(frames)
    curve[shut] = 0.75
    truth = performance(frames, {"eyeBlinkLeft": curve, "eyeBlinkRight": curve}, gaze=(np.deg2rad(12.0), 0.0))
    hidden = np.zeros((frames, 478), bool)
    hidden[shut, [[i] for side in IRIS_POINTS for i in side]] = True
    seen = view(truth, Seen(noise=noise(frames), hidden=hidden))
    closed = np.zeros((frames, 2))
    closed[shut] = 1
    return told(seen, closed.tolist()), closed


def test_a_long_blink_closes_and_keeps_the_gaze(blink: tuple[View, NDArray[np.float64]]) -> None:
    seen, closed = blink
    fitted = fit_take(head(), [seen])
    lids = closure_of(fitted.expression)
    assert lids[10:38].min() > 0.95 and lids[:8].max() < 0.1
    yaw = np.rad2deg(fitted.gaze[:, :, 0])
    # degrees of the true 12: at least 11; 4.2 in the middle where it is not held
    assert np.abs(yaw - 12).max() < 1.5
    assert np.abs(np.diff(yaw, axis=0)).max() < 0.5, "no jump"


def test_eyes_that_stay_closed_keep_the_gaze(blink: tuple[View, NDArray[np.float64]]) -> None:
    seen, _ = blink
    fitted = fit_take(head(), [replace(seen, alignment=seen.alignment.at(np.arange(36)))])
    assert np.abs(np.rad2deg(fitted.gaze[:, :, 0]) - 12).max() < 1.5
