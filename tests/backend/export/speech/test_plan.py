"""Which stretches of a take become sentences, who speaks in which split, and what lies between two frames."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from backend.errors import UserError
from backend.export.speech.plan import (
    interpolated,
    sentence_numbers,
    speaker_of,
    speakers_of,
    split_of,
    stretches,
)


def test_a_take_is_cut_where_more_than_two_frames_are_lost() -> None:
    times = np.arange(120) / 24
    tracked = np.ones(120, bool)
    tracked[[10, 11]] = False  # bridged: 0.125 s from frame 9 to 12
    tracked[[40, 41, 42]] = False  # 0.167 s
    tracked[[62, 63, 64]] = False  # what lies before is 43…61, 0.75 s: too short
    tracked[119] = False
    first, second = stretches(times, tracked)
    assert first.frames.tolist() == [*range(10), *range(12, 40)] and first.start == 0
    assert second.frames[[0, -1]].tolist() == [65, 118] and second.start == 65 / 24
    # 39/24 s are 97.5 frames of 60 a second, 53/24 s are 132.5: those that begin within, and the one at 0
    assert (first.count, second.count) == (98, 133)
    np.testing.assert_allclose(second.grid(1, 3), [65 / 24 + 1 / 60, 65 / 24 + 2 / 60])
    assert second.grid(0, second.count)[-1] <= times[118]


def test_frames_that_cannot_be_told_apart_and_lone_ones_are_no_sentence() -> None:
    assert stretches(np.zeros(0), np.zeros(0, bool)) == ()
    assert stretches(np.arange(30) / 24, np.zeros(30, bool)) == ()
    assert stretches(np.arange(5) * 0.5, np.ones(5, bool)) == ()
    times = np.sort(np.concatenate([np.arange(30) / 24, [0.5001]]))
    (whole,) = stretches(times, np.ones(31, bool))
    assert whole.frames.tolist() == [*range(13), *range(14, 31)]


def test_a_long_take_is_divided_into_what_those_models_take() -> None:
    parts = stretches(np.arange(30 * 50 + 1) / 30, np.ones(1501, bool))  # 50 s: 3001 frames
    assert [part.count for part in parts] == [1002, 1002, 997]
    assert [part.start for part in parts] == pytest.approx([0, 1002 / 60, 2004 / 60])


def test_the_speaker_stands_before_the_first_underscore() -> None:
    names = ["anna_1", "anna_two_words", "Zoë", "_odd", "s.1 b_x", "wavid_1", "___"]
    expected = ("anna", "anna", "Zoë", "odd", "s-1-b", "wa-vid", "speaker")
    assert speakers_of(names) == expected
    for name in expected:  # what the loaders' taking apart must leave whole
        file = f"{name}_sentence01.wav"
        assert file.replace("wav", "npy") == f"{name}_sentence01.npy" and file.split("_")[0] == name
    assert speaker_of("anna") == "anna"
    with pytest.raises(UserError) as caught:
        speakers_of(["s.1_a", "s 1_b"])
    assert caught.value.code == "bad_export" and "“s.1” and “s 1”" in caught.value.message


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(1, (1, 0, 0)), (2, (1, 0, 1)), (3, (1, 1, 1)), (8, (6, 1, 1)), (12, (8, 2, 2)), (43, (31, 6, 6))],
)
def test_splits_are_by_speaker_in_alphabetical_order(count: int, sizes: tuple[int, int, int]) -> None:
    names = [f"s{number:02d}" for number in range(count)]
    splits = split_of([*reversed(names), *names])
    expected = ["train"] * sizes[0] + ["val"] * sizes[1] + ["test"] * sizes[2]
    assert [splits[name] for name in names] == expected


def test_numbers_end_as_the_loaders_of_each_split_ask() -> None:
    assert list(islice(sentence_numbers("train"), 42))[38:] == [39, 40, 101, 102]
    assert list(islice(sentence_numbers("test"), 22))[18:] == [39, 40, 121, 122]


def test_motion_between_frames_is_that_of_the_closed_form() -> None:
    random = np.random.default_rng(3)
    even = np.arange(49) / 24
    uneven = even + np.concatenate([[0], random.uniform(-0.008, 0.008, 47), [0]])
    at = np.arange(121) / 60
    for times in (even, uneven):
        motion = interpolated(times, np.sin(2 * np.pi * 2 * times), at)
        # A cubic spline is off by 5/384·h⁴·(2πf)⁴ within (de Boor 1978), h ≤ 58 ms: 0.4 % of the amplitude
        np.testing.assert_allclose(motion[10:-10], np.sin(2 * np.pi * 2 * at)[10:-10], atol=0.004)
        own = interpolated(times, np.stack([times, times**3], 1), times)
        np.testing.assert_allclose(own, np.stack([times, times**3], 1), atol=1e-12)
    assert interpolated(even, even, np.array([-1.0, 3.0])).tolist() == [0.0, 2.0]  # never beyond the ends
