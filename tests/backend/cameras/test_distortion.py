"""Taking a lens out of points agrees with OpenCV, is exact both ways, and says where a lens model ends."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.cameras.distortion import Lens, distort, undistort

PHONE = Lens(1500.0, (970.3, 530.9), 1.004, (0.09, -0.23, 0.0011, -0.0007, 0.11))
ACTION_CAM = Lens(880.0, (955.0, 542.0), 1.0, (-0.25, 0.09, 0.0004, -0.0002, -0.012))
RATIONAL = Lens(900.0, (640.0, 360.0), 0.98, (1.3, 0.4, 0.0002, 0.0003, 0.02, 1.6, 0.7, 0.08))


def grid(width=1920, height=1080):
    return np.stack(np.meshgrid(np.linspace(0, width, 33), np.linspace(0, height, 21)), axis=-1)


def opencv(lens):
    fx, (cx, cy) = lens.focal_px, lens.principal_point
    return np.array([[fx, 0, cx], [0, fx * lens.focal_ratio, cy], [0, 0, 1.0]]), np.array(lens.coefficients)


@pytest.mark.parametrize("lens", [PHONE, ACTION_CAM, RATIONAL])
def test_distortion_is_opencvs(lens):
    ideal = grid()
    rays = np.concatenate([(ideal - lens.principal_point) / lens.focal_px, np.ones((*ideal.shape[:2], 1))], axis=-1)
    matrix, coefficients = opencv(lens)
    expected = cv2.projectPoints(rays.reshape(-1, 3), np.zeros(3), np.zeros(3), matrix, coefficients)[0]
    np.testing.assert_allclose(distort(ideal, lens).reshape(-1, 2), expected.reshape(-1, 2), atol=1e-9)


@pytest.mark.parametrize("lens", [PHONE, ACTION_CAM, RATIONAL])
def test_every_pixel_of_the_picture_comes_back(lens):
    seen = undistort(grid(), lens)
    assert seen.valid.all()
    np.testing.assert_allclose(distort(seen.points, lens), grid(), atol=1e-6)
    matrix, coefficients = opencv(lens)
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-12)
    rays = cv2.undistortPointsIter(grid().reshape(-1, 1, 2), matrix, coefficients, None, None, criteria)
    expected = rays.reshape(-1, 2) * lens.focal_px + lens.principal_point
    np.testing.assert_allclose(seen.points.reshape(-1, 2), expected, atol=1e-4)


@pytest.mark.parametrize("lens", [PHONE, ACTION_CAM, RATIONAL])
def test_magnification_is_the_size_of_a_small_square(lens):
    step = 0.01
    around = np.array([(0, 0), (step, 0), (0, step)])
    corners = undistort(grid()[..., None, :] + around, lens).points
    a, b = corners[..., 1, :] - corners[..., 0, :], corners[..., 2, :] - corners[..., 0, :]
    area = np.abs(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]) / step**2
    np.testing.assert_allclose(undistort(grid(), lens).magnification ** 2, area, rtol=1e-3)


def test_beyond_the_fold_of_the_polynomial_nothing_is_known():
    lens = Lens(1000.0, (960.0, 540.0), 1.0, (-0.4, 0.0, 0.0, 0.0))
    # r (1 - 0.4 r²) is largest, 0.6086, at r = 0.9129: no direction at all is seen farther out than that.
    inside, outside = undistort(np.array([(960 + 600.0, 540.0), (960 + 615.0, 540.0)]), lens).valid
    assert inside and not outside
    assert undistort(np.array([[np.nan, 3.0]]), lens).valid.tolist() == [False]


def test_without_distortion_points_stay_where_they_are():
    points = np.random.default_rng(0).uniform(0, 900, (5, 2))
    seen = undistort(points, Lens(800.0, (400.0, 300.0)))
    np.testing.assert_array_equal(seen.points, points)
    assert (seen.magnification == 1).all() and seen.valid.all()
    tall = undistort(points, Lens(800.0, (400.0, 300.0), 1.25)).points
    np.testing.assert_allclose((points[:, 1] - 300) / (tall[:, 1] - 300), 1.25)
    np.testing.assert_allclose(tall[:, 0], points[:, 0])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-0.5, 0.5), min_size=8, max_size=8), st.integers(0, 2**31))
def test_whatever_the_lens_what_is_valid_comes_back(numbers, seed):
    coefficients = tuple(n * (0.02 if i in (2, 3) else 1.0) for i, n in enumerate(numbers))
    lens = Lens(700.0, (320.0, 240.0), 1.0 + numbers[0] / 10, coefficients)
    ideal = np.random.default_rng(seed).uniform((-200, -200), (840, 680), (50, 2))
    real = distort(ideal, lens)
    back = undistort(real, lens)
    np.testing.assert_allclose(distort(back.points[back.valid], lens), real[back.valid], atol=1e-3)
    assert np.isfinite(back.points[np.isfinite(real).all(axis=1)]).all() and (back.magnification > 0).all()
