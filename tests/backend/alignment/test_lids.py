"""Lids measured in the head's pose: turned and nodding heads, degrees, hysteresis, eyes that nobody sees."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.alignment.landmarks.lid_points import mediapipe_lids
from backend.alignment.lids import closures, with_lid_closure
from backend.head_model.dense_points import IRIS_POINTS
from backend.observations import PointSet, ViewAlignment

LIDS = mediapipe_lids()


def seen(closed: list[float], yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> ViewAlignment:
    """The mean face with both eyes closed by these shares in one frame each, turned by degrees (nodding: pitch > 0)."""
    turn = Rotation.from_euler("ZXY", [roll, pitch, yaw], degrees=True).as_matrix()
    mu = np.tile(LIDS.shape, (len(closed), 1, 1))
    for pairs in LIDS.pairs:
        upper, lower = pairs.T
        mu[:, upper] -= np.array(closed)[:, None, None] * (LIDS.shape[upper] - LIDS.shape[lower]).mean(axis=0)
    image = (90 * mu @ turn.T)[..., :2] + 200
    shape = len(closed), 478
    points = PointSet(LIDS.id, image.astype(np.float32), np.ones(shape, np.float32), np.ones(shape, bool))
    return ViewAlignment.of(points, image_size=(400, 400))


BLINK = [0.0] * 20 + [0.3, 1.0, 1.0, 0.3] + [0.0] * 20


@pytest.mark.parametrize("pose", [(0, 0, 0), (0, 25, 0), (0, -20, 0), (35, 10, 20), (-35, 0, -40)])
def test_pose_is_no_closure(pose: tuple[float, float, float]) -> None:
    told = with_lid_closure(seen(BLINK, *pose), LIDS).lid_closure
    assert told is not None
    assert (told[21:23] == 1).all()
    assert np.abs(told[:20]).max() < 0.02 and np.abs(told[-20:]).max() < 0.02
    assert ((told[[20, 23]] > 0.3) & (told[[20, 23]] < 0.6)).all(), "by degrees"


@pytest.mark.parametrize(("yaw", "hidden"), [(55, 1), (-55, 0)])
def test_an_eye_that_is_turned_away_is_not_told(yaw: float, hidden: int) -> None:
    told = with_lid_closure(seen(BLINK, yaw), LIDS).lid_closure
    assert told is not None
    assert np.isnan(told[:, hidden]).all() and np.isfinite(told[:, 1 - hidden]).all()
    assert (told[21:23, 1 - hidden] == 1).all()


def test_closed_lids_hide_irises_and_half_closed_ones_do_not() -> None:
    view = with_lid_closure(seen(BLINK), LIDS)
    iris = [i for side in IRIS_POINTS for i in side]
    assert not view.valid[21:23, iris].any() and view.valid[21:23, :468].all()
    assert view.valid[[20, 23]].all()


def test_narrow_eyes_are_not_closed_and_a_still_of_closed_ones_is() -> None:
    narrow = with_lid_closure(seen([0.35] * 60), LIDS).lid_closure
    still = with_lid_closure(seen([0.97]), LIDS).lid_closure
    asleep = with_lid_closure(seen([0.97] * 60), LIDS).lid_closure
    assert narrow is not None and still is not None and asleep is not None
    assert narrow.max() < 0.15
    assert (still == 1).all() and (asleep == 1).all()


def states(*closed: float) -> NDArray[np.bool_]:
    opening = np.concatenate([np.ones((40, 2)), 1 - 0.9 * np.repeat(np.array(closed)[:, None], 2, axis=1)])
    return closures(opening, np.full(opening.shape, 0.9))[40:, 0] >= 1


def test_lids_that_are_closed_flicker_not() -> None:
    assert states(0.5, 0.75, 0.66, 0.75, 0.63, 0.5).tolist() == [False, True, True, True, True, False]
    assert not states(0.5, 0.66, 0.7, 0.66).any(), "what never closed does not hold"
    assert states(0.9, np.nan, 0.66).tolist() == [True, False, True], "a frame that tells nothing changes nothing"
