"""Rigid alignment against scipy's and against motions that are known."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from backend.head_model.rigid import nearest_rotation, similarity_between

TURN = Rotation.from_euler("xyz", [0.3, -0.2, 2.9])


@pytest.fixture
def noisy():
    rng = np.random.default_rng(11)
    source = rng.normal(size=(30, 3))
    return source, 1.5 * TURN.apply(source) + [1, 2, 3] + rng.normal(scale=0.2, size=source.shape), rng.random(30)


def test_the_rotation_is_scipys(noisy):
    source, target, weights = noisy
    centred = (points - weights @ points / weights.sum() for points in (target, source))
    expected, _ = Rotation.align_vectors(*centred, weights=weights)
    for scaled in (True, False):
        motion = similarity_between(source, target, weights, scaled=scaled)
        np.testing.assert_allclose(motion.rotation, expected.as_matrix(), atol=1e-12)
        assert scaled or motion.scale == 1


def test_no_other_similarity_comes_closer(noisy):
    source, target, weights = noisy
    best = similarity_between(source, target, weights)

    def cost(scale, rotation, translation):
        return weights @ ((scale * source @ rotation.T + translation - target) ** 2).sum(axis=1)

    least = cost(best.scale, best.rotation, best.translation)
    rng = np.random.default_rng(3)
    for _ in range(200):
        tilt = Rotation.from_rotvec(1e-3 * rng.normal(size=3)).as_matrix()
        scale, shift = 1e-3 * rng.normal(), 1e-3 * rng.normal(size=3)
        assert cost(best.scale + scale, tilt @ best.rotation, best.translation + shift) > least


def test_a_mirrored_set_is_turned_but_not_mirrored(noisy):
    source, *_ = noisy
    motion = similarity_between(source, source * [-1, 1, 1])
    assert np.linalg.det(motion.rotation) == pytest.approx(1) and 0 < motion.scale < 1


def test_points_of_a_plane_are_aligned_in_the_plane():
    source = np.random.default_rng(5).normal(size=(9, 2))
    turn = np.array([[np.cos(2), -np.sin(2)], [np.sin(2), np.cos(2)]])
    motion = similarity_between(source, 0.7 * source @ turn.T + [4, -5])
    np.testing.assert_allclose(motion.rotation, turn, atol=1e-12)
    np.testing.assert_allclose([motion.scale, *motion.translation], [0.7, 4, -5], atol=1e-12)


def test_the_mean_of_rotations_one_row_at_a_time():
    noise = np.random.default_rng(7).normal(scale=0.3, size=(5, 8, 3))
    rotations = (TURN * Rotation.from_rotvec(noise.reshape(-1, 3))).as_matrix().reshape(5, 8, 3, 3)
    means = nearest_rotation(rotations.sum(axis=1))
    for row, mean in zip(rotations, means, strict=True):
        np.testing.assert_allclose(mean, Rotation.from_matrix(row).mean().as_matrix(), atol=1e-12)
