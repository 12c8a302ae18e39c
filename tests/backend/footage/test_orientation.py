"""All eight ways in which a picture may be stored, from tags and from matrices, on pixels."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from backend.footage.orientation import UPRIGHT, displayed, from_exif, from_matrix

PICTURE = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3)
CORNERS = [(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0), (-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0)]


@pytest.mark.parametrize("value", range(1, 9))
def test_exif_is_followed_as_pillow_does(value: int) -> None:
    tagged = Image.fromarray(PICTURE)
    tagged.getexif()[0x0112] = value
    shown = displayed(PICTURE, from_exif(value))
    assert shown.flags.c_contiguous
    np.testing.assert_array_equal(shown, np.asarray(ImageOps.exif_transpose(tagged)))


def test_what_is_no_orientation_is_upright() -> None:
    assert [from_exif(value) for value in (0, 9, -1, None, "6")] == [UPRIGHT] * 5


@pytest.mark.parametrize("corner", [*CORNERS, (0, -1, -1, 0)])
@pytest.mark.parametrize("scale", [1.0, 0.75])
def test_a_matrix_moves_every_pixel_where_it_says(corner: tuple[int, int, int, int], scale: float) -> None:
    a, b, c, d = corner
    stored = np.arange(15, dtype=np.uint8).reshape(3, 5)
    places = {(a * x + c * y, b * x + d * y): stored[y, x] for y in range(3) for x in range(5)}
    left, top = min(x for x, _ in places), min(y for _, y in places)
    expected = np.zeros((5, 3) if a == 0 else (3, 5), np.uint8)
    for (x, y), value in places.items():
        expected[y - top, x - left] = value
    matrix = np.array([[a, b, 0], [c, d, 0], [7, 9, 1 << 14]]) * (65536 * scale)
    np.testing.assert_array_equal(displayed(stored, from_matrix(matrix.astype(np.int32))), expected)
