"""Frames of several views are matched by time, whatever their rates, starts and gaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.footage import FootageInfo
from backend.footage.timeline import frames_between, matching_frames


def clock(count: int, rate: float, start: float = 0.0) -> np.ndarray:
    return start + np.arange(count) / rate


@pytest.mark.parametrize(
    ("times", "other", "offset", "expected"),
    [
        (clock(5, 25), clock(5, 25), 0.0, [0, 1, 2, 3, 4]),
        (clock(5, 25), clock(5, 25), 0.08, [2, 3, 4, -1, -1]),
        (clock(5, 25), clock(5, 25), -0.08, [-1, -1, 0, 1, 2]),
        (clock(5, 25), clock(5, 25), 0.015, [0, 1, 2, 3, 4]),
        (clock(4, 25), clock(8, 50), 0.0, [0, 2, 4, 6]),
        (clock(6, 50), clock(3, 25), 0.0, [0, -1, 1, -1, 2, -1]),
        (clock(6, 50), clock(3, 25), 0.01, [0, 1, -1, 2, -1, -1]),
        (clock(3, 25), np.array([0.0, 0.081]), 0.0, [0, -1, 1]),
        (clock(5, 30, 10.0), clock(400, 30), -9.0, [30, 31, 32, 33, 34]),
        (clock(1, 25), clock(1, 25), 0.0, [0]),
        (np.array([0.0]), np.array([7.0]), 0.0, [0]),
        (np.array([0.0]), clock(9, 25), 0.09, [2]),
        (np.array([0.0]), clock(9, 25), 3.0, [-1]),
        (clock(3, 25), np.array([0.0]), 0.0, [0, -1, -1]),
        (clock(3, 25), np.zeros(0), 0.0, [-1, -1, -1]),
    ],
)
def test_matches(times, other, offset, expected):
    assert matching_frames(times, other, offset).tolist() == expected


MILLISECONDS = st.lists(st.integers(0, 3000), min_size=1, max_size=30, unique=True).map(sorted).map(np.array)


@settings(deadline=None, max_examples=100)
@given(MILLISECONDS, MILLISECONDS, st.integers(-900, 900))
def test_every_match_is_the_nearest_and_in_order(times, other, offset):
    times, other, offset = times / 1024, other / 1024, offset / 1024
    found = matching_frames(times, other, offset)
    seen = found >= 0
    distance = np.abs(other[None] - (times + offset)[:, None])
    np.testing.assert_allclose(distance[np.arange(len(times)), found][seen], distance.min(axis=1)[seen])
    assert (np.diff(found[seen]) > 0).all(), "no frame twice, none backwards"
    if len(times) > 1:
        # What is left out is too far away, or its frame was nearer to the one before.
        for t in np.flatnonzero(~seen):
            nearest = int(distance[t].argmin())
            assert distance[t].min() > 0.5 * np.median(np.diff(times)) - 1e-9 or nearest in found[:t]


def info(kind="video", first=1, count=100, rate=25.0, variable=False):
    sizes = {"width": 8, "height": 8, "stored_width": 8, "stored_height": 8, "rotation": 0, "pixel_aspect": 1.0}
    return FootageInfo(
        path=Path("a.mp4"),
        kind=kind,
        frame_count=count,
        first_frame=first,
        last_frame=first + count - 1,
        frame_rate=rate,
        duration=(count - 1) / rate,
        variable_rate=variable,
        codec="",
        pixel_format="",
        **sizes,
    )


@settings(deadline=None, max_examples=100)
@given(
    st.floats(-3, 8), st.floats(0, 4), st.sampled_from([23.976, 25.0, 59.94]), st.integers(0, 2000), st.integers(1, 150)
)
def test_no_frame_that_matches_lies_outside_the_range_that_is_read(start, length, rate, first, count):
    one = info(first=first, count=count, rate=rate)
    times = start + np.arange(0, length + 1e-9, 1 / 25)
    matched = matching_frames(times - start, clock(count, rate), start)
    numbers = first + matched[matched >= 0]
    found = frames_between(one, start, float(times[-1]))
    if len(times) == 1:
        return
    if found is None:
        assert not len(numbers)
    elif len(numbers):
        assert found[0] <= numbers.min() and numbers.max() <= found[1]
        assert first <= found[0] <= found[1] <= one.last_frame


def test_what_is_read_of_stills_and_varying_rates():
    assert frames_between(info("still", count=1), 30.0, 40.0) == (1, 1)
    assert frames_between(info(variable=True), 1.0, 2.0) == (1, 100)
    assert frames_between(info(), 5.0, 6.0) is None
    assert frames_between(info(), 1.0, 2.0) == (25, 52)
