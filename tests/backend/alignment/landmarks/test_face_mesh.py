from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from backend.alignment.crop import CROP, Crop, cut

SIZE, STEEP = 250, 8  # steep, as the whole values of two pictures may each be half a value off all over
crops = st.builds(Crop, st.floats(80, 170), st.floats(80, 170), st.floats(60, 700), st.floats(-3.1, 3.1), st.booleans())


def ramps(x: float, y: float) -> NDArray[np.uint8]:
    """A picture whose first two channels rise by ``STEEP`` per pixel and are 128 at column and row (x, y)."""
    columns, rows = np.meshgrid(np.arange(SIZE) + 0.5 - x, np.arange(SIZE) + 0.5 - y)
    picture = np.stack([columns, rows, np.zeros_like(rows)], axis=-1) * STEEP + 128
    return np.clip(picture.round(), 0, 255).astype(np.uint8)


@given(crops)
def test_a_cut_shows_what_lies_where_its_map_says(crop: Crop) -> None:
    pixels = cut(ramps(crop.x, crop.y), crop)[..., :2].reshape(-1, 2).astype(float)
    at = np.stack(np.meshgrid(np.arange(CROP), np.arange(CROP)), axis=-1).reshape(-1, 2)
    there = crop.points_to_image(at + 0.5)
    inside = ((pixels > 40) & (pixels < 215) & (there > 12) & (there < SIZE - 12)).all(axis=1)
    off = (pixels[inside] - 128) / STEEP - (there[inside] - (crop.x, crop.y))
    np.testing.assert_allclose(off, 0, atol=0.6)
    np.testing.assert_allclose(off.mean(axis=0), 0, atol=0.2)


@given(crops)
def test_the_map_turns_and_scales_but_does_not_shear(crop: Crop) -> None:
    linear = crop.to_image[:, :2] * CROP / crop.side
    np.testing.assert_allclose(linear @ linear.T, np.eye(2), atol=1e-9)
    assert np.sign(np.linalg.det(linear)) == (-1 if crop.mirrored else 1)
    np.testing.assert_allclose(crop.points_to_image(np.array([CROP / 2, CROP / 2])), (crop.x, crop.y), atol=1e-9)


def test_large_faces_are_averaged_not_sampled() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (1200, 1200, 3), dtype=np.uint8)
    assert cut(noise, Crop(600, 600, 1100)).std() < 0.35 * noise.std()


def test_outside_the_image_is_black() -> None:
    white = np.full((100, 100, 3), 255, np.uint8)
    pixels = cut(white, Crop(0, 50, 96))
    assert pixels[:, : CROP // 2 - 4].max() == 0
    assert pixels[8:-8, CROP // 2 + 4 :].min() == 255
    assert cv2.countNonZero(cut(white, Crop(900, 900, 50))[..., 0]) == 0
