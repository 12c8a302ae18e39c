"""A face laid over its points: it is the truth where points tell it, what was expected where they do not, and within
bounds the very least of its energy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from backend.appearance.face_solve import Laid, lay_face, turn_eyes
from backend.appearance.person import Eyes, FacePoints, iris_centres
from backend.appearance.pose import project
from backend.cameras.distortion import Lens
from backend.head_model.library import load_head
from backend.head_model.model import posed_vertices, surface_positions

RNG = np.random.default_rng(5)
POINTS = FacePoints(np.arange(30), RNG.normal(size=(30, 3)) * (0.05, 0.06, 0.03), RNG.normal(size=(6, 30, 3)) * 0.004)
CAMERA = Lens(500.0, (160.0, 120.0))
CENTRE = np.array(CAMERA.principal_point)
BOUNDS = np.tile((0.0, 1.0), (6, 1))
TURN, PLACE = Rotation.from_rotvec((0.1, -0.4, 0.2)).as_matrix(), np.array([0.02, -0.01, 0.45])
NOISE = np.full(30, 1.0)


def _pixels(expression: NDArray[np.float64]) -> NDArray[np.float64]:
    return project(POINTS.at(expression) @ TURN.T + PLACE, CAMERA.focal_px, CENTRE)


def test_points_tell_expression_and_pose_where_little_is_expected() -> None:
    truth = np.array([0.3, 0.0, 0.7, 0.2, 0.9, 0.4])
    laid = lay_face(POINTS, BOUNDS, CAMERA, _pixels(truth), 1e-3 * NOISE, np.full(6, 0.4), spread=1.0)
    assert np.abs(laid.expression - truth).max() < 0.01
    assert np.allclose(laid.rotation, TURN, atol=1e-3)
    assert np.allclose(laid.translation, PLACE, atol=1e-3)


def test_what_was_expected_stays_where_points_are_not_believed() -> None:
    expected = np.full(6, 0.4)
    pixels = _pixels(np.array([0.3, 0.0, 0.7, 0.2, 0.9, 0.4]))
    laid = lay_face(POINTS, BOUNDS, CAMERA, pixels, NOISE, expected, spread=1e-4)
    assert np.abs(laid.expression - expected).max() < 1e-3


def test_within_bounds_the_energy_is_least() -> None:
    pixels = _pixels(np.array([-0.3, 0.2, 1.4, 0.2, 0.9, -0.2]))  # as no face may be
    expected, spread = np.full(6, 0.3), 0.4
    noise = RNG.uniform(0.5, 3.0, 30)

    def residual(unknown: NDArray[np.float64]) -> NDArray[np.float64]:
        placed = POINTS.at(unknown[:6]) @ Rotation.from_rotvec(unknown[6:9]).as_matrix().T + unknown[9:]
        off = (project(placed, CAMERA.focal_px, CENTRE) - pixels) / noise[:, None]
        return np.concatenate([off.ravel(), (unknown[:6] - expected) / spread])

    start = np.concatenate([expected, Rotation.from_matrix(TURN).as_rotvec(), PLACE])
    lower, upper = np.full(12, -np.inf), np.full(12, np.inf)
    lower[:6], upper[:6] = 0, 1
    best = least_squares(residual, start, bounds=(lower, upper), xtol=1e-12, ftol=1e-12)
    laid = lay_face(POINTS, BOUNDS, CAMERA, pixels, noise, expected, spread)
    turn = Rotation.from_matrix(laid.rotation).as_rotvec()
    found = np.concatenate([laid.expression, turn, laid.translation])
    assert laid.expression.min() == 0 and laid.expression.max() == 1
    assert np.square(residual(found)).sum() < 1.01 * 2 * best.cost
    assert np.abs(laid.expression - best.x[:6]).max() < 0.03


def test_irises_tell_where_the_head_looks_unless_they_are_not_believed() -> None:
    head = load_head("open")
    neutral = head.neutral(np.zeros(len(head.shape_basis), np.float32))
    gaze = np.array([[0.25, -0.15], [0.1, 0.2]])
    posed = posed_vertices(head, neutral, np.zeros((1, len(head.expression_basis))), gaze[None])[0]
    irises = iris_centres(surface_positions(head.landmarks["mediapipe478"], head.triangles, posed))
    pixels = project(irises @ TURN.T + PLACE, CAMERA.focal_px, CENTRE)
    laid = Laid(np.zeros(0), TURN, PLACE)
    eyes = Eyes.of_head(head, neutral)
    expected = np.full((2, 2), 0.05)
    found = turn_eyes(eyes, laid, CAMERA, pixels, np.full(2, 0.01), expected, spread=1.0)
    assert np.abs(found - gaze).max() < 0.002
    kept = turn_eyes(eyes, laid, CAMERA, pixels, np.full(2, 1e4), expected, spread=0.01)
    assert np.abs(kept - expected).max() < 1e-4
    one = turn_eyes(eyes, laid, CAMERA, pixels, np.array([0.01, 1e4]), expected, spread=0.1)
    assert np.abs(one[0] - gaze[0]).max() < 0.01 < np.abs(one[1] - gaze[1]).max()
