"""Painted people: photographs where there are any, and eyes and teeth that stay painted."""

from __future__ import annotations

import numpy as np
import pytest

from backend.head_model.library import load_head
from backend.training.synthetic.canvas import CANVAS, Canvas, make_canvas
from backend.training.synthetic.skins import paint
from backend.training.textures import FaceTexture

PINK = (240, 20, 160)


@pytest.fixture(scope="module")
def canvas() -> Canvas:
    return make_canvas(load_head("open"))


def photograph() -> FaceTexture:
    """A face in a colour that nobody has, seen in the atlas's upper half only."""
    coverage = np.zeros((CANVAS, CANVAS), np.float32)
    coverage[: CANVAS // 2] = 1
    color = np.broadcast_to(np.array(PINK, np.uint8), (CANVAS, CANVAS, 3))
    return FaceTexture(color, coverage, "pink", np.array([0.8, 0.6, 0.5], np.float32))


@pytest.mark.slow
def test_half_of_the_people_wear_a_photographs_skin_where_it_shows_any(canvas: Canvas) -> None:
    skins = [paint(canvas, np.random.default_rng(seed), [photograph()]).picture for seed in range(12)]
    row, column = 100, CANVAS // 2  # the forehead's middle
    pink = [np.abs(skin[row, column, :3].astype(int) - PINK).max() < 3 for skin in skins]
    assert 2 <= sum(pink) <= 10
    for skin in (skin for skin, is_pink in zip(skins, pink, strict=True) if is_pink):
        below = skin[CANVAS // 2 + 4 :, :, :3].astype(int)
        assert (np.abs(below - PINK).max(axis=2) < 3).mean() < 0.01


def test_eyes_and_teeth_take_no_skin_tint(canvas: Canvas) -> None:
    skin = paint(canvas, np.random.default_rng(3))
    tinted = skin.picture[..., 3].ravel()[canvas.flat]
    for part in ("left_eyeball", "right_eyeball", "teeth", "tongue"):
        assert (tinted[canvas.parts[part]] == 0).all(), part
    assert (tinted[canvas.parts["nose"]] == 255).all()


@pytest.mark.slow
def test_people_differ(canvas: Canvas) -> None:
    tones = np.array([paint(canvas, np.random.default_rng(seed)).tone for seed in range(8)])
    assert tones.max(axis=0)[0] - tones.min(axis=0)[0] > 0.3
