from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from backend.alignment.landmarks.face_finder import BlazeFaceFinder
from backend.alignment.landmarks.point_sigma import load_point_sigma
from backend.alignment.landmarks.pose_bias import PoseBias, load_pose_bias, pose_features
from backend.evaluation.benchmark import load_ict_head
from backend.point_calibration.pose_bias import OUTLINE, PEOPLE, Sample, _Raw, person_samples, pose_bias_table

NOSE_TIP = 1
angles = st.floats(-0.9, 0.9)


def turned(table: PoseBias, yaw: float, pitch: float) -> np.ndarray:
    # The network's axes: x to the image's right, y down, z away from the camera.
    return table.mean_points @ Rotation.from_euler("YX", [yaw, -pitch]).as_matrix().T


@given(angles, st.floats(-0.6, 0.6))
def test_the_pose_of_turned_mean_points_is_found_wherever_and_however_large(yaw: float, pitch: float) -> None:
    table = load_pose_bias()
    found = table.pose(7.0 * turned(table, yaw, pitch) + (90.0, 100.0, 3.0))
    assert found == pytest.approx((yaw, pitch), abs=1e-6)


def test_a_frontal_face_has_no_bias() -> None:
    table = load_pose_bias()
    assert np.abs(table.offsets(table.mean_points)).max() < 1e-6


@given(angles, st.floats(-0.6, 0.6))
def test_bias_is_the_mirror_image_on_the_other_side(yaw: float, pitch: float) -> None:
    table, mirror = load_pose_bias(), load_point_sigma().mirror
    left, right = table.offsets(turned(table, yaw, pitch)), table.offsets(turned(table, -yaw, pitch))
    np.testing.assert_allclose(left, right[mirror] * (-1, 1), atol=2e-3)


def test_the_outline_is_left_alone_and_the_nose_is_not() -> None:
    table = load_pose_bias()
    offsets = table.offsets(turned(table, 0.5, 0.0))
    assert not offsets[OUTLINE].any()
    assert 0.01 < np.abs(offsets[NOSE_TIP, 0]) < 0.08


def test_a_known_bias_is_measured() -> None:
    """Pictures of made-up people whose points are off by a known smooth function of pose and by their own errors."""
    mirror, random = load_point_sigma().mirror, np.random.default_rng(3)
    true = load_pose_bias()
    samples = [Sample(True, true.mean_points, np.zeros((478, 2)))]
    for yaw, pitch in random.uniform(-0.8, 0.8, (300, 2)) * (1, 0.6):
        points = turned(true, yaw, pitch)
        bias = true.offsets(points) + random.normal(scale=0.02, size=(478, 2))
        bias[random.choice(478, 30)] = np.nan
        samples.append(Sample(False, points, bias))
    found = pose_bias_table(samples, mirror)
    poses = pose_features(np.array([-0.5, 0.2, 0.6]), np.array([0.1, -0.3, 0.2]))
    predicted, expected = (np.einsum("tf,fnc->tnc", poses, t.coefficients) for t in (found, true))
    assert np.sqrt(np.mean((predicted - expected) ** 2)) < 0.006


def test_a_table_survives_its_file(tmp_path: Path) -> None:
    table = load_pose_bias()
    table.save(tmp_path / "again.npz")
    again = load_pose_bias(tmp_path / "again.npz")
    np.testing.assert_array_equal(again.coefficients, table.coefficients)
    assert again.about == table.about


@pytest.mark.slow
def test_it_helps_people_it_was_not_measured_on(shared_data: Path) -> None:
    ict = load_ict_head(shared_data / "ict" / "ict_facekit.npz")
    aligner, finder = _Raw(), BlazeFaceFinder()
    samples = person_samples(ict, PEOPLE + 1, aligner, finder)
    aligner.close()
    finder.close()
    table, inner = load_pose_bias(), sorted(set(range(478)) - set(OUTLINE))
    before = np.array([s.bias for s in samples if not s.frontal])[:, inner]
    after = before - np.array([table.offsets(s.points) for s in samples if not s.frontal])[:, inner]
    sizes = [np.nanmedian(np.linalg.norm(bias, axis=-1)) for bias in (before, after)]
    assert sizes[1] < 0.93 * sizes[0]
