"""The pose that lays points over pixels: exact without noise, and its gradient is the solution's."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from backend.appearance.pose import project, solve_pose
from backend.appearance.sight import Cameras, posed

RNG = np.random.default_rng(2)
POINTS = RNG.normal(size=(20, 3)) * 0.05
CENTRE = np.array([160.0, 120.0])


def test_a_near_head_is_posed_exactly_where_weak_perspective_is_far_off() -> None:
    for turn in ((0.1, 0.2, -0.1), (3.0, 0.2, 0.1), (0.4, -0.9, 0.3)):
        rotation = Rotation.from_rotvec(turn).as_matrix()
        translation = np.array([0.05, -0.03, 0.35])
        pixels = project(POINTS @ rotation.T + translation, 400.0, CENTRE)
        found, place = solve_pose(POINTS, pixels, 400.0, CENTRE)
        assert np.allclose(found, rotation, atol=1e-6)
        assert np.allclose(place, translation, atol=1e-6)


def test_the_poses_gradient_is_that_of_solving_again() -> None:
    rotation, translation = Rotation.from_rotvec((0.2, -0.3, 0.1)).as_matrix(), np.array([0.02, 0.01, 0.5])
    pixels = project(POINTS @ rotation.T + translation, 400.0, CENTRE)
    crops = np.array([[160.0, 120.0, 256.0, 0.0]])
    cameras = Cameras.of(crops, np.array([400.0]), CENTRE[None])
    points_in, pixels_in = (torch.tensor(a[None], dtype=torch.float32, requires_grad=True) for a in (POINTS, pixels))
    place = posed(points_in, pixels_in, cameras)[1]
    for axis in (0, 2):
        by_points, by_pixels = torch.autograd.grad(place[0, axis], (points_in, pixels_in), retain_graph=True)
        for number in (0, 7):
            moved = pixels.copy()
            moved[number, 0] += 0.01
            again = (solve_pose(POINTS, moved, 400.0, CENTRE)[1] - translation)[axis] / 0.01
            assert np.isclose(float(by_pixels[0, number, 0]), again, rtol=0.03, atol=1e-6)
            changed = POINTS.copy()
            changed[number, 1] += 1e-5
            again = (solve_pose(changed, pixels, 400.0, CENTRE)[1] - translation)[axis] / 1e-5
            assert np.isclose(float(by_points[0, number, 1]), again, rtol=0.03, atol=1e-3)
