"""Lids and the gaze behind them in a take's energy: several views, half-closed lids, long blinks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.alignment.face_following import align_frames
from backend.alignment.finder import face_finder
from backend.alignment.landmarks.aligner import LandmarkAligner
from backend.alignment.lids import with_lid_closure
from backend.evaluation.benchmark import load_ict_head
from backend.fitting import View, fit_take
from backend.fitting.observed_lids import told_closure
from backend.footage import FootageFrame
from backend.head_model.dense_points import IRIS_POINTS
from backend.head_model.lids import lid_closure
from backend.observations import ViewAlignment
from backend.point_calibration.rendered_heads import dev_person, pictures
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
def blink() -> View:
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
    return told(seen, closed.tolist())


def test_a_long_blink_closes_and_keeps_the_gaze(blink: View) -> None:
    fitted = fit_take(head(), [blink])
    lids = closure_of(fitted.expression)
    assert lids[10:38].min() > 0.95 and lids[:8].max() < 0.1
    yaw = np.rad2deg(fitted.gaze[:, :, 0])
    # degrees of the true 12: 11.6 to 12.7 behind the lids, and up to 2.5 off by noise where irises are seen
    assert np.abs(yaw[9:39] - 12).max() < 2.0
    assert np.abs(np.diff(yaw[9:39], axis=0)).max() < 0.5, "no jump"


def test_eyes_that_stay_closed_keep_the_gaze(blink: View) -> None:
    fitted = fit_take(head(), [replace(blink, alignment=blink.alignment.at(np.arange(36)))])
    assert np.abs(np.rad2deg(fitted.gaze[9:, :, 0]) - 12).max() < 1.5


@pytest.mark.slow
@pytest.mark.parametrize(("yaw", "pitch"), [(0, -25), (50, 0)])
def test_a_rendered_blink_of_a_turned_head_closes(shared_data: Path, yaw: float, pitch: float) -> None:
    """From pictures to lids: the aligner's own points say 0.6 to 0.8 of a closed eye at 50°, and 0.4 of the far one."""
    ict, spec = load_ict_head(shared_data / "ict" / "ict_facekit.npz"), dev_person(3, 9)
    blink = [0.0] * 4 + [1.0] * 3 + [0.0] * 2
    shown = [{"eyeBlink_L": strength, "eyeBlink_R": strength} for strength in blink]
    frames = [
        FootageFrame(index + 1, index / 25, index + 1.0, picture)
        for index, (_, picture) in enumerate(pictures(ict, spec, shown, np.radians(np.tile((yaw, pitch), (9, 1)))))
    ]
    aligner = LandmarkAligner()
    aligned = list(align_frames(iter(frames), aligner, finder=face_finder()))
    stacked = ViewAlignment.stacked(
        aligned, aligner.point_sets, aligner=aligner.name, image_size=(spec.side, spec.side), frame_rate=25.0
    )
    fitted = fit_take(head(), [View(with_lid_closure(stacked, aligner.lids))])
    aligner.close()
    closure = closure_of(fitted.expression)
    assert closure[4:7].min() > 0.95
    assert closure[[0, 1, 2, 8]].max() < 0.3
