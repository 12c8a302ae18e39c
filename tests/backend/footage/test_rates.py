"""When pictures show: the frame of the scene that each has, and the rate that the scene plays at."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.footage.rates import clock_for, snapped, told_apart

STEPS = st.lists(st.floats(0.02, 3.0), max_size=60)


@settings(deadline=None, max_examples=300)
@given(STEPS)
def test_frames_are_whole_near_and_in_order(steps: list[float]) -> None:
    scene = 1 + np.concatenate([[0.0], np.cumsum(steps)])
    frames = snapped(scene)
    assert frames[0] == 1
    assert (np.diff(frames) > 0).all()
    whole = frames == np.floor(frames)
    assert (np.abs(frames - np.floor(scene + 0.5))[whole] <= 1).all()
    np.testing.assert_array_equal(frames[~whole], scene[~whole])
    if (np.diff(np.floor(scene + 0.5)) > 0).all():
        np.testing.assert_array_equal(frames, np.floor(scene + 0.5))


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(0, 1), min_size=2, max_size=8), st.integers(2, 5))
def test_no_picture_is_left_between_frames_where_all_have_room(halves: list[int], gap: int) -> None:
    """Pictures of which never more than two fall on one frame, with room around each pair."""
    scene = [1.0]
    for half in halves:
        scene += [scene[-1] + gap + 1, scene[-1] + gap + 1.3][: half + 1]
    frames = snapped(np.array(scene))
    np.testing.assert_array_equal(frames, np.floor(frames))


def test_what_has_no_room_keeps_its_time() -> None:
    crowded = 1 + np.array([0, 10, 10.1, 10.2, 10.3, 10.4, 20])
    frames = snapped(crowded)
    assert frames[[0, 1, -1]].tolist()[::2] == [1, 21]
    assert {10, 11, 12} <= set(frames.tolist())
    assert np.isin(frames[frames != np.floor(frames)], crowded).all()
    assert (frames != np.floor(frames)).sum() == 2


def times_of(milliseconds: list[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(milliseconds)]) / 1000


def test_a_recorders_rate_gives_way_to_its_times() -> None:
    steps = np.random.default_rng(0).choice([31, 33, 34, 36, 66], 200).tolist()
    for claimed in (1000.0, None):
        clock = clock_for(times_of(steps), claimed, 0.001)
        assert clock.rate == pytest.approx(1000 / np.median(steps), rel=0.03)
        assert clock.variable
        assert len(clock.notes) == 1 and f"{clock.rate:.6g}" in clock.notes[0]
        np.testing.assert_array_equal(clock.scene_frames, np.floor(clock.scene_frames))


@pytest.mark.parametrize(
    ("steps", "tick", "rate"),
    [
        ([40] * 9, 0.01, 25.0),
        ([40, 40, 400, 40, 40, 200, 40, 40], 0.01, 25.0),
        ([200, 200, 40, 40, 300, 200, 200], 0.01, 50.0),
        ([100, 110, 90, 100, 120, 80, 100, 100, 100, 110, 90], 0.01, 10.0),
        ([33, 34, 33] * 40, 0.001, 30.0),
        ([16, 17, 17] * 40, 0.001, 60.0),
        ([8, 9, 8] * 40, 0.001, 120.0),
        ([66, 67, 67] * 40, 0.001, 15.0),
        ([500, 500, 1000, 500], 0.001, 2.0),
    ],
)
def test_times_alone_tell_a_sensible_rate(steps: list[int], tick: float, rate: float) -> None:
    clock = clock_for(times_of(steps), None, tick)
    assert clock.rate == pytest.approx(rate, rel=2e-3)
    np.testing.assert_array_equal(clock.scene_frames, np.floor(clock.scene_frames))
    np.testing.assert_allclose((clock.scene_frames - 1) / rate, clock.times, atol=0.51 / rate)


def test_a_rate_that_the_times_bear_out_is_kept() -> None:
    even = clock_for(np.arange(100) / 29.97, 29.97, 1 / 90000)
    assert (even.rate, even.variable, even.notes) == (29.97, False, ())
    np.testing.assert_array_equal(even.scene_frames, np.arange(1, 101))
    ntsc = clock_for(np.round(np.arange(5000) * 1001 / 24) / 1000, 24000 / 1001, 0.001)
    assert not ntsc.variable and ntsc.rate == 24000 / 1001
    np.testing.assert_array_equal(ntsc.scene_frames, np.arange(1, 5001))
    phone = clock_for(times_of([33, 33, 33, 67, 33, 33, 100, 33]), 30.0, 1 / 90000)
    assert (phone.rate, phone.variable, phone.notes) == (30.0, True, ())
    assert phone.scene_frames.tolist() == [1, 2, 3, 4, 6, 7, 8, 11, 12]


def test_one_picture_and_none_of_its_times() -> None:
    clock = clock_for(np.zeros(1), None, 0.001)
    assert (clock.scene_frames.tolist(), clock.variable, clock.notes) == ([1], False, ())


RECORDED = {
    "bursts": [1, 32, 33, 34, 100],
    "strong jitter": [13, 20, 28, 33, 33, 39, 46, 53],
    "a queue that empties": [33] * 17 + [100, 1, 1],
}


@pytest.mark.parametrize("name", RECORDED)
def test_bursts_and_jitter_of_a_recorder_make_no_high_rate(name: str) -> None:
    steps = np.random.default_rng(1).choice(RECORDED[name], 300).tolist()
    clock = clock_for(times_of(steps), 1000.0, 0.001)
    assert 28 < clock.rate < 34
    whole = clock.scene_frames == np.floor(clock.scene_frames)
    assert whole.mean() > 0.9
    assert (np.diff(clock.scene_frames) > 0).all()


@pytest.mark.parametrize(("slow", "fast"), [(30, 60), (25, 60), (30, 240), (15, 120)])
def test_a_stretch_of_a_higher_rate_has_a_frame_for_each_picture(slow: int, fast: int) -> None:
    steps = [1000 / slow] * 40 + [1000 / fast] * 20 + [1000 / slow] * 20
    clock = clock_for(np.concatenate([[0], np.cumsum(steps)]) / 1000, float(slow), 1e-5)
    assert clock.rate == pytest.approx(fast, rel=1e-3)
    np.testing.assert_array_equal(clock.scene_frames, np.floor(clock.scene_frames))


def test_pictures_of_one_time_follow_each_other_within_its_tick() -> None:
    times = np.array([0, 10, 10, 10, 11, 20]) / 1000
    apart = told_apart(times, 0.001)
    assert (np.diff(apart) > 0).all()
    np.testing.assert_array_equal(np.floor(apart * 1000 + 1e-6), [0, 10, 10, 10, 11, 20])
    assert told_apart(times[[0, 1, 4]], 0.001).tolist() == times[[0, 1, 4]].tolist()
