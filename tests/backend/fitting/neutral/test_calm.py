"""The frames at rest of made takes are found; a held expression is none, and neither is a moment."""

from __future__ import annotations

import numpy as np
import pytest

from backend.fitting import FitOptions
from backend.fitting.neutral.calm import ALIKE, LEAST, POINTS, calm_frames, typical
from tests.backend.fitting.made_takes import Seen, fit, head, noise, performance, view

FRAMES = 24
SOMEBODY = np.array([0.8, -0.6, 0.5, 0.9, -0.4, 0.3, -0.7, 0.2, 0.4, -0.3])


def calm(curves=None, degrees=(0.0, 0.0), shown=None) -> list[int]:  # type: ignore[no-untyped-def]
    truth = performance(FRAMES, curves, identity=SOMEBODY, degrees=degrees)
    shown = shown or Seen(noise=noise(FRAMES, 0.15))
    return calm_frames(head(), [view(truth, shown)], fit(truth, shown), FitOptions()).tolist()


def held(first: int, last: int) -> np.ndarray:
    curve = np.zeros(FRAMES)
    curve[first:last] = 0.9
    return curve


def test_the_frames_between_expressions_are_those_at_rest() -> None:
    smile, jaw = held(0, 8), held(16, FRAMES)
    assert calm({"mouthSmileLeft": smile, "mouthSmileRight": smile, "jawOpen": jaw}) == list(range(8, 16))


def test_a_smile_or_an_open_mouth_all_the_time_is_no_rest() -> None:
    smile = dict.fromkeys(("mouthSmileLeft", "mouthSmileRight"), 1.0)
    assert calm(smile | {"jawOpen": 0.5}) == []
    assert calm({"jawOpen": 0.8}) == []


def test_blinks_moments_and_turned_heads_are_left_out() -> None:
    jaw = np.full(FRAMES, 0.8)
    jaw[4 : 4 + LEAST - 1] = 0.0
    assert calm({"jawOpen": jaw}) == []
    yaw = np.where(np.arange(FRAMES) < 12, 0.0, 40.0)
    found = calm(degrees=np.stack([yaw, np.zeros(FRAMES)], axis=1))
    assert set(range(10)) <= set(found) <= set(range(12))


def test_points_that_are_hidden_now_and_then_do_not_hide_the_rest() -> None:
    hidden = np.zeros((FRAMES, 478), bool)
    hidden[3, :200] = True
    jaw = held(12, FRAMES)
    found = calm({"jawOpen": jaw}, shown=Seen(noise=noise(FRAMES, 0.15), hidden=hidden))
    assert set(range(4, 12)) <= set(found) <= set(range(12))


@pytest.mark.parametrize("many", [5, 9])
def test_of_calm_faces_the_calmest_that_many_frames_show_counts(many: int) -> None:
    here = np.zeros(2 * POINTS)
    there = here + 2 * ALIKE
    faces = np.array([*[here] * 10, *[there] * many, here + 9 * ALIKE])
    energy = np.array([*[50.0] * 10, *[40.0] * many, 10.0])
    assert typical(faces, energy).tolist() == list(range(10, 10 + many))
    energy[10:-1] = 60.0
    assert typical(faces, energy).tolist() == list(range(10))
    assert typical(faces[: LEAST - 1], energy[: LEAST - 1]).tolist() == []
