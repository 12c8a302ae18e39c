"""The same keypoints found in pictures whose displacement is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from backend.errors import Cancelled
from backend.skin_matching.match import consensus, match
from backend.skin_matching.unwrap import Unwrapped

SIDE = 256


def shifted(offset: tuple[float, float], facing: float = 0.9) -> Unwrapped:
    """A marked atlas whose texels hold what the plain one has ``offset`` further to the left and up.

    Each texel lies two pixels from the next.
    """
    random = np.random.default_rng(2)
    marks = cv2.resize(random.uniform(40, 215, (80, 80)), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    move = np.array([[1, 0, offset[0]], [0, 1, offset[1]]], np.float64)
    moved = cv2.warpAffine(marks, move, (SIDE, SIDE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    return Unwrapped(
        np.clip(moved, 0, 255).astype(np.uint8),
        np.full((SIDE, SIDE), facing, np.float32),
        (2 * np.stack([x, y], axis=-1)).astype(np.float32),
    )


def places() -> NDArray[np.float64]:
    y, x = np.mgrid[60:200:20, 60:200:20]
    return np.column_stack([x.ravel(), y.ravel()]).astype(np.float64)


def test_keypoints_are_where_the_pictures_were_shifted_to() -> None:
    offsets = np.array([(0.0, 0.0), (2.3, -1.1), (-1.4, 3.2)])
    found = match([shifted((x, y)) for x, y in offsets], places())
    assert found.valid.mean() > 0.95
    expected = 2 * (places() + (offsets - offsets.mean(axis=0))[:, None])
    error = np.linalg.norm(found.position - expected, axis=2)[found.valid]
    assert np.median(error) < 0.2 and np.percentile(error, 95) < 0.6
    assert found.sigma[found.valid].min() >= 0.495, "a quarter of a texel of two pixels at best"


def test_a_view_without_the_face_or_with_another_one_takes_no_part() -> None:
    random = np.random.default_rng(7)
    noise = cv2.resize(random.uniform(40, 215, (80, 80)), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    plain = shifted((0, 0))
    stranger = Unwrapped(np.clip(noise, 0, 255).astype(np.uint8), plain.facing, plain.position)
    found = match([plain, None, shifted((1.5, 0.5)), stranger], places())
    assert not found.valid[1].any() and found.valid[3].mean() < 0.05
    assert found.valid[[0, 2]].mean() > 0.9


def test_skin_without_marks_and_skin_turned_away_is_not_matched() -> None:
    plain = shifted((0, 0))
    flat = Unwrapped(np.full_like(plain.grey, 128), plain.facing, plain.position)
    assert not match([flat, flat], places()).valid.any()
    away = shifted((1, 1), facing=0.1)
    assert not match([plain, away], places()).valid.any()


def test_it_can_be_stopped() -> None:
    def stop() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        match([shifted((0, 0)), shifted((1, 0))], places(), stop)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6))
def test_what_views_say_of_each_other_is_solved_for_every_view(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    facing = random.uniform(0.3, 1, (count, 5))
    truth = random.normal(size=(count, 5, 2))
    gauge = np.sqrt(facing)[..., None]
    truth -= (gauge * truth).sum(axis=0) / gauge.sum(axis=0)
    flow = truth[None] - truth[:, None]
    flow[np.arange(count), np.arange(count)] = np.nan
    offset, misfit, valid = consensus(flow, facing)
    assert valid.all()
    np.testing.assert_allclose(offset, truth, atol=1e-4)
    np.testing.assert_allclose(misfit, 0, atol=1e-4)


def test_one_wrong_comparison_is_outvoted_and_views_apart_are_not_joined() -> None:
    flow = np.zeros((5, 5, 1, 2))
    flow[np.arange(5), np.arange(5)] = np.nan
    flow[0, 1] = flow[1, 0] = 6.0
    offset, _, valid = consensus(flow, np.full((5, 1), 0.8))
    assert valid.all() and np.abs(offset).max() < 0.2
    flow = np.full((4, 4, 1, 2), np.nan)
    for i, j in ((0, 1), (2, 3)):
        flow[i, j], flow[j, i] = 1.0, -1.0
    _, _, valid = consensus(flow, np.array([[0.9], [0.8], [0.7], [0.6]]))
    assert valid[:, 0].tolist() == [True, True, False, False], "nothing tells how the pairs lie to each other"
