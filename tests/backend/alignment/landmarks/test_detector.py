"""Anchors, the meaning of the detectors' numbers, and one answer per face."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.data import astronaut

from backend.alignment.landmarks.detector import (
    FAR,
    NEAR,
    Detections,
    Detector,
    Layout,
    anchor_centres,
    decoded,
    letterboxed,
    one_per_face,
)

LAYOUTS = pytest.mark.parametrize(("layout", "count"), [(NEAR, 896), (FAR, 2304)])
EYES_NOSE_MOUTH = np.array([(205.0, 109), (240, 108), (228, 128), (226, 146)])  # of the astronaut, by eye


@LAYOUTS
def test_anchors_lie_evenly_over_the_picture(layout: Layout, count: int) -> None:
    centres = anchor_centres(layout)
    assert centres.shape == (count, 2)
    assert 0 < centres.min() < centres.max() < 1
    np.testing.assert_allclose(centres.mean(axis=0), 0.5)
    there = {tuple(c) for c in centres.round(6).tolist()}
    assert there == {(round(1 - x, 6), y) for x, y in there} == {(y, x) for x, y in there}


@LAYOUTS
def test_numbers_are_read_as_offsets_from_anchors(layout: Layout, count: int) -> None:
    anchors, raw, logits = anchor_centres(layout), np.zeros((count, 16), np.float32), np.full(count, -9.0, np.float32)
    raw[7] = (3, -2, 20, 30, *range(12))
    logits[7] = 2.0
    seen = decoded(raw, logits, anchors, 100, 0.5)
    np.testing.assert_allclose(seen.scores, 1 / (1 + np.exp(-2.0)))
    x, y = anchors[7]
    np.testing.assert_allclose(seen.boxes, [(x + 0.03 - 0.1, y - 0.02 - 0.15, x + 0.03 + 0.1, y - 0.02 + 0.15)])
    np.testing.assert_allclose(seen.keypoints[0], anchors[7] + np.arange(12).reshape(6, 2) / 100)


faces = st.lists(
    st.tuples(st.floats(0, 90), st.floats(0, 90), st.floats(2, 40), st.floats(2, 40), st.floats(0.5, 1)), max_size=12
)


def detections(told: list[tuple[float, ...]]) -> Detections:
    numbers = np.array(told).reshape(-1, 5)
    low, high = numbers[:, :2], numbers[:, :2] + numbers[:, 2:4]
    keypoints = np.repeat(((low + high) / 2)[:, None], 6, axis=1)
    return Detections(np.concatenate([low, high], axis=1), keypoints, numbers[:, 4])


@given(faces)
def test_answers_of_one_face_become_one(told: list[tuple[float, ...]]) -> None:
    seen = detections(told)
    kept = one_per_face(seen)
    assert len(kept.scores) <= len(seen.scores)
    assert bool(len(kept.scores)) == bool(told)
    assert (np.diff(kept.scores) <= 0).all()
    assert set(kept.scores) <= set(seen.scores)
    if told:
        assert kept.scores[0] == seen.scores.max()
        assert (kept.boxes >= seen.boxes.min(axis=0) - 1e-9).all()
        assert (kept.boxes <= seen.boxes.max(axis=0) + 1e-9).all()
        np.testing.assert_allclose(kept.keypoints[:, 0], (kept.boxes[:, :2] + kept.boxes[:, 2:]) / 2, atol=1e-9)


def test_alike_answers_are_averaged_by_their_scores_and_others_left() -> None:
    kept = one_per_face(detections([(10, 10, 20, 20, 0.9), (13, 10, 20, 20, 0.6), (60, 60, 9, 9, 0.7)]))
    np.testing.assert_allclose(kept.boxes[0, 0], (10 * 0.9 + 13 * 0.6) / 1.5)
    np.testing.assert_allclose(kept.boxes[1], (60, 60, 69, 69))
    np.testing.assert_allclose(kept.scores, (0.9, 0.7))


@given(st.integers(1, 60), st.integers(1, 60))
def test_any_picture_fits_into_the_square(width: int, height: int) -> None:
    image = np.full((height, width, 3), 200, np.uint8)
    square, scale, left, top = letterboxed(image, 32)
    inside = np.argwhere(square.any(axis=2))
    assert square.shape == (32, 32, 3)
    np.testing.assert_array_equal(inside.min(axis=0), (top, left))
    np.testing.assert_allclose(np.ptp(inside, axis=0) + 1, scale[::-1] * (height, width))


@pytest.mark.parametrize("layout", [NEAR, FAR])
@pytest.mark.parametrize("padding", [((0, 0), (0, 0)), ((90, 0), (0, 140)), ((0, 120), (150, 10))])
def test_a_face_is_where_it_is_in_pictures_of_any_shape(
    layout: Layout, padding: tuple[tuple[int, int], tuple[int, int]]
) -> None:
    picture: NDArray[np.uint8] = np.pad(astronaut(), (*padding, (0, 0)))
    detector = Detector(layout)
    seen = detector(picture, 0.5)
    assert len(seen.scores) == 1
    expected = EYES_NOSE_MOUTH + np.array([padding[1][0], padding[0][0]])
    np.testing.assert_allclose(seen.keypoints[0, :4], expected, atol=15)
    assert (seen.boxes[0, :2] < expected.min(axis=0)).all()
    assert (seen.boxes[0, 2:] > expected.max(axis=0)).all()
    assert not len(detector(np.zeros((90, 120, 3), np.uint8), 0.5).scores)
    detector.close()
