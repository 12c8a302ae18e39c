"""The camera of a crop: what is in the crop's middle is on its axis, and a head's place comes back."""

from __future__ import annotations

import numpy as np
import pytest

from backend.alignment.crop import Crop
from backend.training.coarse.framed import crop_turn, head_place, to_units
from backend.training.synthetic.views import Camera

CAMERA = Camera(400.0, (150.0, 130.0))
CROP = Crop(230.0, 80.0, 120.0, roll=0.3, size=256)


def test_the_crops_middle_is_on_the_axis_and_its_sides_are_level() -> None:
    turn = crop_turn(CROP, CAMERA)
    ray = turn @ [(230 - 150) / 400, (80 - 130) / 400, 1.0]
    np.testing.assert_allclose(ray[:2], 0, atol=1e-12)
    assert ray[2] > 0
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    right = CROP.points_to_image(np.array([[150.0, 128.0]]))[0]  # beside the middle, to the right in the crop
    seen = turn @ [(right[0] - 150) / 400, (right[1] - 130) / 400, 1.0]
    assert seen[0] > 0
    assert abs(seen[1] / seen[0]) < 0.02  # a picture is flat and turned views of it are not: nearly level


def test_straight_ahead_nothing_turns_but_the_roll() -> None:
    straight = crop_turn(Crop(150.0, 130.0, 100.0, roll=np.pi / 2), CAMERA)
    np.testing.assert_allclose(straight, [[0, 1, 0], [-1, 0, 0], [0, 0, 1]], atol=1e-12)


@pytest.mark.parametrize("place", [(0.0, 0.0, 1.0), (0.2, -0.1, 0.9), (-0.1, 0.15, 0.5)])
def test_a_heads_place_is_told_back_from_scale_and_shift(place: tuple[float, float, float]) -> None:
    """A metre across the line of sight is scale half sides long; the shift is where the origin is seen."""
    origin = np.array(place)
    seen = CAMERA.project(origin[None])[0]
    crop = Crop(float(seen[0]), float(seen[1]), 90.0, roll=-0.2, size=256)
    turn = crop_turn(crop, CAMERA)
    # a metre at that distance, across the ray, in pixels of the picture, as the crop's camera has them
    pixels = CAMERA.focal_px * np.linalg.norm([*(seen - CAMERA.principal_point) / CAMERA.focal_px, 1.0])
    scale = float(pixels / np.linalg.norm(origin) / 45.0)
    np.testing.assert_allclose(head_place(scale, np.zeros(2), crop, CAMERA, turn), origin, atol=1e-12)
    aside = turn @ head_place(scale, np.array([0.5, 0.0]), crop, CAMERA, turn)
    assert aside[0] == pytest.approx(0.5 / scale)


def test_units_run_from_side_to_side() -> None:
    np.testing.assert_allclose(to_units(np.array([[0.0, 128.0], [256.0, 64.0]]), 256), np.array([[-1, 0], [1, -0.5]]))
