"""Closer looks at the eyes."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.data import astronaut

from backend.alignment.crop import cut
from backend.alignment.landmarks.face_finder import BlazeFaceFinder
from backend.alignment.landmarks.face_mesh import FaceMeshNetwork, box_around, crop_of
from backend.alignment.landmarks.irises import IrisNetwork, eye_crops
from backend.head_model.dense_points import IRIS_POINTS, LID_POINTS


@pytest.fixture(scope="module")
def seen() -> np.ndarray:
    """The landmark network's points (478,3) of the astronaut, in pixels."""
    finder, network = BlazeFaceFinder(), FaceMeshNetwork()
    crop = crop_of(finder.find(astronaut())[0])
    for _ in range(2):
        points, _ = network([cut(astronaut(), crop)])
        placed = crop.points_to_image(points[0, :, :2])
        depth, crop = points[0, :, 2] * crop.side / crop.size, crop_of(box_around(placed))
    return np.column_stack([placed, depth])


def test_an_eye_fills_its_crop_the_left_one_as_it_is_the_right_one_mirrored(seen: np.ndarray) -> None:
    for crop, (_, _, right, left) in zip(eye_crops(seen), LID_POINTS, strict=True):
        corners = crop.points_from_image(seen[[right, left], :2])
        np.testing.assert_allclose(corners.mean(axis=0), crop.size / 2, atol=1e-6)
        np.testing.assert_allclose(corners[:, 1], crop.size / 2, atol=1e-6)
        assert 0.3 < np.ptp(corners[:, 0]) / crop.size < 0.5
        assert (corners[0, 0] > corners[1, 0]) == crop.mirrored


def test_irises_stay_in_the_eyes_and_nothing_else_moves(seen: np.ndarray) -> None:
    network = IrisNetwork()
    better = network.improve([astronaut()], seen[None])[0]
    iris = np.array([i for side in IRIS_POINTS for i in side])
    others = np.setdiff1d(np.arange(478), iris)
    np.testing.assert_array_equal(better[others], seen[others])
    eye = np.linalg.norm(seen[33] - seen[133])
    moved = np.linalg.norm(better[iris] - seen[iris], axis=1)
    assert 0 < moved.max() < 0.2 * eye
    for centre, left, top, right, bottom in IRIS_POINTS:
        assert better[left, 0] > better[centre, 0] > better[right, 0]
        assert better[top, 1] < better[centre, 1] < better[bottom, 1]
    assert network.improve([], np.empty((0, 478, 3))).shape == (0, 478, 3)


def test_both_eyes_are_seen_alike_in_a_mirror(seen: np.ndarray) -> None:
    """The picture's mirror image with the mirrored points of the other eye: the very same crops are looked at."""
    network = IrisNetwork()
    straight = network.improve([astronaut()], seen[None])[0]
    swapped = seen.copy()
    pairs = [*zip(*LID_POINTS, strict=True), *zip(*IRIS_POINTS, strict=True)]
    pairs[2:4] = [(LID_POINTS[0][2], LID_POINTS[1][3]), (LID_POINTS[0][3], LID_POINTS[1][2])]
    left, right = IRIS_POINTS
    pairs[-4:] = [(left[k], right[m]) for k, m in ((1, 3), (2, 2), (3, 1), (4, 4))]
    for one, other in pairs:
        swapped[one], swapped[other] = seen[other].copy(), seen[one].copy()
    swapped[:, 0] = 512 - swapped[:, 0]
    mirrored = network.improve([np.ascontiguousarray(astronaut()[:, ::-1])], swapped[None])[0]
    back = mirrored[:, :2] * (-1, 1) + (512, 0)
    for one, other in pairs[4:]:
        np.testing.assert_allclose(back[one], straight[other, :2], atol=0.05)
        np.testing.assert_allclose(back[other], straight[one, :2], atol=0.05)
