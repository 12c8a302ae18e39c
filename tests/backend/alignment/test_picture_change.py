from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from backend.alignment.picture_change import change, difference, glance, mixture
from tests.backend.alignment.shots import Picture, cat, coffee, lit, pan, portrait


def changed(a: Picture, b: Picture) -> float:
    return change(glance(a), glance(b))


def test_motion_and_light_explain_a_picture() -> None:
    [before] = portrait(1)
    turn = cv2.getRotationMatrix2D((128, 128), 5, 1.05)
    turned = np.asarray(cv2.warpAffine(before, turn, (256, 256), borderMode=cv2.BORDER_REFLECT), np.uint8)
    [*_, moved] = portrait(2, step=0.1)
    others = [turned, moved, lit(before, 0.4), lit(before, 1.6), lit(before, 1, 0.5), lit(moved, 1, 2)]
    assert max(changed(before, other) for other in others) < 0.15


def test_another_scene_is_not_explained() -> None:
    [woman], [cup], [pet] = portrait(1), coffee(1), cat(1)
    for a, b in ((woman, cup), (cup, pet), (pet, woman)):
        assert changed(a, b) > 0.4
        assert changed(a, b) == pytest.approx(changed(b, a))
        grey = [np.repeat(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2) for p in (a, b)]
        assert changed(*grey) > 0.3


def test_pictures_of_any_size_and_shape_compare() -> None:
    [picture] = portrait(1)
    for size in ((16, 16), (1000, 40), (30, 700)):
        assert changed(picture, np.asarray(cv2.resize(picture, size), np.uint8)) < 0.3
    assert difference(glance(picture), glance(picture)) == 0


def test_what_light_took_away_is_not_judged() -> None:
    [picture] = portrait(1)
    assert glance(np.full_like(picture, 255)).blank and glance(np.zeros_like(picture)).blank
    assert not glance(picture).blank
    assert math.isnan(changed(picture, np.maximum(picture, 245) + np.uint8(10 - 3)))


def test_a_blend_is_told_from_a_picture_of_its_own() -> None:
    [woman], [cup], [pet] = portrait(1), coffee(1), cat(1)
    blend = np.asarray(0.7 * cup + 0.3 * woman, np.uint8)
    assert mixture(glance(woman), glance(cup), glance(blend)) == pytest.approx(0.7, abs=0.02)
    assert mixture(glance(woman), glance(cup), glance(pet)) is None
    assert mixture(*(glance(p) for p in pan(woman, 3, step=0.05))) is None
