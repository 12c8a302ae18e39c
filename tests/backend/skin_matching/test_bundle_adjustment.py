"""Bundle adjustment against finite differences and known truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.head_model.render import look_at_head
from backend.skin_matching.bundle_adjustment import (
    OWN,
    Bundle,
    Priors,
    Sightings,
    adjust,
    energy,
    focal_sigma,
    jacobians,
    residuals,
)

F64 = NDArray[np.float64]
FOCALS = np.array([800.0, 900.0, 850.0, 700.0])
YAWS = (0.0, 0.6, -0.5, 1.0)


def scene(count: int = 4, points: int = 150) -> tuple[Bundle, Sightings]:
    """Cameras around a face-sized relief that see all of it, without error."""
    random = np.random.default_rng(1)
    place = random.uniform(-0.08, 0.08, (points, 3)) * (1, 1, 0.5)
    cameras = np.stack([look_at_head(0.7, yaw, 0.1 * i) for i, yaw in enumerate(YAWS[:count])])
    bundle = Bundle.of(cameras, FOCALS[:count], place)
    camera, point = (index.ravel() for index in np.mgrid[:count, :points])
    blank = Sightings(camera, point, np.zeros((len(camera), 2)), np.full(len(camera), 0.3), np.full((count, 2), 240.0))
    return bundle, replace(blank, seen=residuals(bundle, blank))


def priors(bundle: Bundle, *, alike: float = 1e-6) -> Priors:
    count = len(bundle.log_focal)
    return Priors(bundle.points, alike * np.eye(count), np.full(count, np.log(800.0)), np.ones((count, OWN), bool))


def disturbed(bundle: Bundle, size: float) -> Bundle:
    random = np.random.default_rng(2)
    count = len(bundle.log_focal)
    return replace(
        bundle,
        rotation=Rotation.from_rotvec(size * random.standard_normal((count, 3))).as_matrix() @ bundle.rotation,
        translation=bundle.translation + 0.2 * size * random.standard_normal((count, 3)),
        log_focal=bundle.log_focal + size * random.standard_normal(count),
        points=bundle.points + 0.02 * size * random.standard_normal(bundle.points.shape),
    )


def angle_between(first: F64, second: F64) -> F64:
    """Degrees by which cameras (C,3,3) stand differently to their first one."""
    relative = [Rotation.from_matrix(turns @ turns[0].T) for turns in (first, second)]
    return np.rad2deg((relative[0] * relative[1].inv()).magnitude())


def test_derivatives_are_those_of_finite_differences() -> None:
    bundle, sightings = scene()
    bundle = disturbed(bundle, 0.05)
    by_camera, by_point = jacobians(bundle, sightings)
    step = 1e-6
    for unknown in range(OWN):
        moved = []
        for sign in (1, -1):
            own = np.zeros((len(FOCALS), OWN))
            own[:, unknown] = sign * step
            turned = Rotation.from_rotvec(own[:, :3]).as_matrix() @ bundle.rotation
            other = replace(
                bundle,
                rotation=turned,
                translation=bundle.translation + own[:, 3:6],
                log_focal=bundle.log_focal + own[:, 6],
            )
            moved.append(residuals(other, sightings))
        np.testing.assert_allclose(by_camera[:, :, unknown], (moved[0] - moved[1]) / (2 * step), rtol=1e-6, atol=1e-4)
    for axis in range(3):
        shift = step * np.eye(3)[axis]
        ahead, back = (replace(bundle, points=bundle.points + sign * shift) for sign in (1, -1))
        numeric = (residuals(ahead, sightings) - residuals(back, sightings)) / (2 * step)
        np.testing.assert_allclose(by_point[:, :, axis], numeric, rtol=1e-6, atol=1e-4)


def test_cameras_are_found_from_points_far_from_right_and_through_wrong_sightings() -> None:
    truth, sightings = scene()
    wrong = np.random.default_rng(3).random(len(sightings.camera)) < 0.1
    seen = sightings.seen + np.where(wrong[:, None], 30.0, 0.0)
    start = disturbed(truth, 0.1)
    assert angle_between(start.rotation, truth.rotation).max() > 5
    found = adjust(start, replace(sightings, seen=seen), priors(start))
    assert angle_between(found.rotation, truth.rotation).max() < 0.2
    np.testing.assert_allclose(np.exp(found.log_focal), FOCALS, rtol=0.01)


def test_every_step_lowers_the_energy_and_what_is_known_stays() -> None:
    truth, sightings = scene()
    start = disturbed(truth, 0.05)
    known = replace(start, rotation=truth.rotation, translation=truth.translation, log_focal=truth.log_focal)
    free = np.ones((len(FOCALS), OWN), bool)
    free[:2], free[2, -1] = False, False
    told = replace(priors(known), free=free)
    found = adjust(known, sightings, told)
    assert energy(found, sightings, told) < energy(known, sightings, told)
    np.testing.assert_array_equal(found.world_to_camera[:2], known.world_to_camera[:2])
    np.testing.assert_array_equal(found.log_focal[:3], known.log_focal[:3])
    assert np.linalg.norm(found.points - truth.points, axis=1).mean() < 1e-4


def test_two_cameras_leave_their_focals_open_and_three_do_not() -> None:
    two, seen_by_two = scene(2)
    three, seen_by_three = scene(3)
    open_ones = focal_sigma(two, seen_by_two, priors(two))
    assert open_ones.min() > 1.5 * focal_sigma(three, seen_by_three, priors(three)).max()
    known = replace(priors(two), free=np.zeros((2, OWN), bool))
    np.testing.assert_array_equal(focal_sigma(two, seen_by_two, known), 0)


def test_matrices_and_cameras_are_the_same() -> None:
    cameras = np.stack([look_at_head(0.7, yaw, 0.2) for yaw in YAWS])
    bundle = Bundle.of(cameras, FOCALS, np.random.default_rng(5).standard_normal((9, 3)))
    assert bundle.world_to_camera == pytest.approx(cameras, abs=1e-12)
