"""Taking a lens out of points agrees with OpenCV, is exact both ways, and says where a lens model ends."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.cameras.distortion import COEFFICIENTS, MODELS, Lens, distort, undistort
from protocol.messages import DistortionModel

PHONE = Lens(1500.0, (970.3, 530.9), 1.004, (0.09, -0.23, 0.0011, -0.0007, 0.11))
ACTION_CAM = Lens(880.0, (955.0, 542.0), 1.0, (-0.25, 0.09, 0.0004, -0.0002, -0.012))
RATIONAL = Lens(900.0, (640.0, 360.0), 0.98, (1.3, 0.4, 0.0002, 0.0003, 0.02, 1.6, 0.7, 0.08))

GOPRO = Lens(860.0, (965.0, 538.0), 0.99, (0.05, -0.012, 0.004, -0.001), DistortionModel.FISHEYE)
EQUIDISTANT = Lens(700.0, (960.0, 540.0), 1.0, (0.0, 0.0, 0.0, 0.0), DistortionModel.FISHEYE)
LENSES = (PHONE, ACTION_CAM, RATIONAL, GOPRO, EQUIDISTANT)


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


@pytest.mark.parametrize("lens", LENSES)
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


def rays(lens, ideal):
    return np.concatenate([(ideal - lens.principal_point) / lens.focal_px, np.ones((*ideal.shape[:-1], 1))], axis=-1)


@pytest.mark.parametrize("lens", [GOPRO, EQUIDISTANT])
def test_a_fisheye_is_opencvs_both_ways(lens):
    matrix, coefficients = opencv(lens)
    ideal = grid()
    seen = cv2.fisheye.projectPoints(
        rays(lens, ideal).reshape(-1, 1, 3), np.zeros(3), np.zeros(3), matrix, coefficients
    )[0].reshape(ideal.shape)
    np.testing.assert_allclose(distort(ideal, lens), seen, atol=1e-9)
    back = undistort(seen, lens)
    assert back.valid.all()
    np.testing.assert_allclose(back.points, ideal, atol=1e-7)
    expected = cv2.fisheye.undistortPoints(seen.reshape(-1, 1, 2), matrix, coefficients).reshape(ideal.shape)
    np.testing.assert_allclose(back.points, expected * lens.focal_px + lens.principal_point, atol=1e-3)
    assert undistort(np.array([lens.principal_point]), lens).points[0] == pytest.approx(lens.principal_point)


def test_a_fisheyes_field_ends_where_no_pinhole_can_follow():
    centre = np.array(EQUIDISTANT.principal_point)
    at = centre + np.array([[np.deg2rad(angle) * 700.0, 0.0] for angle in (60, 84.9, 85.1, 90, 120, 200)])
    seen = undistort(at, EQUIDISTANT)
    assert seen.valid.tolist() == [True, True, False, False, False, False]
    assert seen.points[0, 0] - centre[0] == pytest.approx(700 * np.tan(np.pi / 3))
    np.testing.assert_array_equal(seen.points[2:], at[2:])
    assert np.isnan(distort(np.array([[960.0 + 700 * np.tan(np.deg2rad(86)), 540.0]]), EQUIDISTANT)).all()
    # θ (1 - 0.3 θ²) is largest, 0.7027, at θ = 1.0541.
    folded = Lens(1000.0, (0.0, 0.0), 1.0, (-0.3, 0.0, 0.0, 0.0), DistortionModel.FISHEYE)
    assert undistort(np.array([(700.0, 0.0), (704.0, 0.0), (np.nan, 0.0)]), folded).valid.tolist() == [
        True,
        False,
        False,
    ]


def test_a_pinhole_lens_says_nothing_beyond_its_fold():
    lens = Lens(1000.0, (0.0, 0.0), 1.0, (-0.4, 0.0, 0.0, 0.0))
    assert np.isfinite(distort(np.array([(900.0, 0.0)]), lens)).all()
    assert np.isnan(distort(np.array([(1200.0, 0.0)]), lens)).all(), "it would be seen where 700 is, too"


@settings(deadline=None, max_examples=80)
@given(
    st.sampled_from(list(DistortionModel)),
    st.lists(st.floats(-0.4, 0.4), min_size=8, max_size=8),
    st.integers(0, 2**31),
)
def test_derivatives_are_those_of_finite_differences(model, numbers, seed):
    k = np.array(numbers[: COEFFICIENTS[model]])
    directions = np.random.default_rng(seed).normal(size=(40, 2))
    directions[0] = 0.0
    directions[1] = 1e-6
    _, jacobian = MODELS[model].through_lens(directions, k)
    step = 1e-6
    for axis in range(2):
        offset = np.eye(2)[axis] * step
        ahead, behind = (MODELS[model].through_lens(directions + sign * offset, k)[0] for sign in (1, -1))
        smooth = np.abs(jacobian).max(axis=(1, 2)) < 1e2  # elsewhere the rational model is next to a pole
        difference = (ahead - behind)[smooth] / (2 * step)
        np.testing.assert_allclose(jacobian[smooth][..., axis], difference, rtol=1e-4, atol=1e-4)


@settings(deadline=None, max_examples=80)
@given(st.lists(st.floats(-0.3, 0.3), min_size=4, max_size=4), st.floats(0.5, 2.0), st.integers(0, 2**31))
def test_whatever_the_fisheye_what_is_imaged_comes_back(numbers, ratio, seed):
    lens = Lens(500.0, (320.0, 240.0), ratio, tuple(numbers), DistortionModel.FISHEYE)
    angle, turn = np.random.default_rng(seed).uniform((0, 0), (1.5, 2 * np.pi), (60, 2)).T
    ideal = np.stack([np.cos(turn), np.sin(turn)], axis=-1) * np.tan(angle)[:, None] * 500 + lens.principal_point
    real = distort(ideal, lens)
    imaged = np.isfinite(real).all(axis=1)
    back = undistort(real, lens)
    assert not back.valid[~imaged].any() and (back.magnification > 0).all()
    assert back.valid[imaged].mean() > 0.95 or imaged.sum() < 20
    seen = imaged & back.valid
    size = np.linalg.norm(ideal[seen] - lens.principal_point, axis=1, keepdims=True)
    assert (np.abs(back.points[seen] - ideal[seen]) <= 1e-5 * (1 + size)).all()
    matrix, coefficients = opencv(lens)
    if seen.any():
        expected = cv2.fisheye.projectPoints(
            rays(lens, ideal[seen])[:, None], np.zeros(3), np.zeros(3), matrix, coefficients
        )[0][:, 0]
        np.testing.assert_allclose(real[seen], expected, atol=1e-6)
