"""A picture is shown until the next one comes."""

from __future__ import annotations

import numpy as np
import pytest

from protocol.shown import hold


@pytest.mark.parametrize(
    ("frames", "numbers", "first", "shown"),
    [
        ([1, 2, 3], [5, 6, 7], 1, [5, 6, 7]),
        ([10, 20, 22], [10, 20, 22], 10, [*[10] * 10, 20, 20, 22]),
        ([1, 2, 3, 4], [-1, 8, -1, 9], 2, [8, 8, 9]),
        ([1.4, 2.2, 2.8, 4.5], [1, 2, 3, 4], 1, [1, 1, 3, 3, 4]),
        ([-3], [7], -3, [7]),
    ],
    ids=["each", "held", "not seen", "between frames", "one"],
)
def test_every_whole_frame_shows_the_latest_earlier_picture(
    frames: list[float], numbers: list[int], first: int, shown: list[int]
) -> None:
    pictures = hold(np.array(frames, np.float64), np.array(numbers))
    assert (pictures.first, pictures.numbers.tolist()) == (first, shown)
