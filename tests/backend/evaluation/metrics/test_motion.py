"""Temporal stability, lips, head rotation and focal length against values computed by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from backend.evaluation.metrics.lips import lip_points, lip_vertex_error
from backend.evaluation.metrics.pose import focal_error, head_rotations, rotation_error
from backend.evaluation.metrics.stability import temporal_stability
from backend.evaluation.types import MeshSequence
from tests.backend.evaluation.patches import CENTRE, F64, Motion, sequence


@given(velocity=st.tuples(*[st.floats(-0.05, 0.05)] * 3), pace=st.lists(st.floats(0, 3), min_size=3, max_size=10))
def test_straight_motion_of_any_pace_is_perfectly_stable(
    velocity: tuple[float, float, float], pace: list[float]
) -> None:
    start = np.random.default_rng(0).normal(size=(1, 5, 3))
    positions = start + np.cumsum(pace)[:, None, None] * np.array(velocity)
    result = temporal_stability(positions)
    assert result.mean == pytest.approx(1.0, abs=1e-6)
    assert result.per_frame.shape == (len(pace) - 2,)


def test_a_zigzag_scores_its_path_over_its_progress() -> None:
    time = np.arange(20)
    positions = np.stack([0.003 * time, 0.002 * (time % 2), 0 * time], axis=1)[:, None]
    assert temporal_stability(positions).mean == pytest.approx(np.hypot(3, 2) / 3, rel=1e-3)


@given(st.integers(0, 1000))
def test_no_motion_is_better_than_straight(seed: int) -> None:
    assert temporal_stability(np.random.default_rng(seed).normal(size=(6, 4, 3))).per_frame.min() >= 1.0


def test_jitter_ranks_by_its_size_and_lost_frames_do_not_count() -> None:
    noise = np.random.default_rng(1).normal(size=(30, 50, 3))
    straight = np.arange(30)[:, None, None] * np.array([0.002, 0, 0])
    scores = [temporal_stability(straight + amount * noise).mean for amount in (0, 1e-4, 5e-4, 2e-3)]
    assert scores == sorted(scores) and scores[0] == pytest.approx(1.0) and scores[-1] > 1.5
    broken = straight + 0 * noise
    broken[10] += noise[10]
    tracked = np.arange(30) != 10
    result = temporal_stability(broken, tracked)
    assert result.mean == pytest.approx(1.0)
    assert np.isnan(result.per_frame[8:11]).all() and np.isfinite(result.per_frame[[7, 11]]).all()
    assert np.isnan(temporal_stability(broken, np.zeros(30, bool)).mean)


def test_the_lip_error_is_the_worst_vertex_of_each_frame() -> None:
    truth = np.zeros((4, 5, 3))
    predicted = truth.copy()
    predicted[0, 2] = [0.003, 0, 0.004]
    predicted[0, 1] = [0.001, 0, 0]
    predicted[1, 0] = [0, 0.001, 0]
    predicted[3] = np.nan
    result = lip_vertex_error(truth, predicted)
    assert result.mean_mm == pytest.approx(2.0)
    assert result.mean_squared_m2 == pytest.approx((25e-6 + 1e-6) / 3)
    np.testing.assert_allclose(result.per_frame_mm, [5, 1, 0, np.nan])
    with pytest.raises(ValueError, match="cannot be compared"):
        lip_vertex_error(truth, predicted[:, :3])


def _talking(opening: float, drop: float = 0.0) -> Motion:
    """The lips move down by ``opening`` times a wave, and by ``drop`` in every frame but the first; the head turns."""

    def motion(material: F64, rest: F64) -> F64:
        lips = np.exp(-(((material - [0, 0.5]) / [0.35, 0.12]) ** 4).sum(axis=1))
        time = np.arange(10)
        down = opening * np.sin(time) + drop * (time > 0)
        moved = np.repeat(rest[None], 10, axis=0)
        moved[..., 1] += down[:, None] * lips
        turn = Rotation.from_rotvec(np.stack([0.02 * time, 0.05 * np.sin(time), 0 * time], axis=1)).as_matrix()
        return (moved - CENTRE) @ turn.transpose(0, 2, 1) + CENTRE

    return motion


def _lip_score(truth: MeshSequence, predicted: MeshSequence, *, metrical: bool = True) -> float:
    return lip_vertex_error(*lip_points(truth, predicted, metrical=metrical)).mean_mm


@pytest.mark.parametrize("neutral", [True, False])
def test_lips_that_hang_too_low_are_found_in_another_topology_and_pose(neutral: bool) -> None:
    truth = sequence(_talking(0.004))
    same, low = sequence(_talking(0.004), 51, 57), sequence(_talking(0.004, drop=0.003), 51, 57)
    if not neutral:
        same, low = (replace(s, neutral=None) for s in (same, low))
    assert _lip_score(truth, same) < 0.15
    assert _lip_score(truth, low) == pytest.approx(2.7, abs=0.15)  # 3 mm in nine of ten frames
    turned = Rotation.from_rotvec([0.1, 0.2, 0.05]).as_matrix()
    larger = replace(low, vertices=(1.3 * low.vertices @ turned.T + 0.2).astype(np.float32))
    if neutral:
        larger = replace(larger, neutral=(1.3 * low.neutral).astype(np.float32))  # type: ignore[operator]
    assert _lip_score(truth, larger, metrical=False) == pytest.approx(_lip_score(truth, low, metrical=False), abs=0.05)


def test_a_lip_never_takes_a_surface_that_faces_the_other_way() -> None:
    truth = sequence()
    mouth = truth.regions["mouth"]
    skin = truth.vertices.copy()
    skin[:, mouth, 2] += 0.001  # 1 mm inside, while a sheet seen from behind lies where the lips should be
    sheet = truth.vertices[:, mouth].copy()
    sheet[1:, :, 0] += 0.01
    assert truth.neutral is not None
    inside = truth.triangles[mouth[truth.triangles].all(axis=1)]
    renamed = np.cumsum(mouth) - 1 + len(mouth)
    predicted = replace(
        truth,
        vertices=np.concatenate([skin, sheet], axis=1),
        triangles=np.concatenate([truth.triangles, renamed[inside][:, ::-1]]).astype(np.int32),
        neutral=np.concatenate([skin[0], sheet[0]]),
    )
    assert _lip_score(truth, predicted) == pytest.approx(1.0, abs=0.2)


def test_lip_frames_that_are_lost_do_not_count() -> None:
    truth = sequence(_talking(0.004))
    lost = replace(truth, tracked=np.arange(10) < 6)
    true_lips, _ = lip_points(truth, lost, metrical=True)
    assert np.isnan(true_lips[6:]).all() and np.isfinite(true_lips[:6]).all()
    with pytest.raises(ValueError, match="no frame"):
        lip_points(truth, replace(truth, tracked=np.zeros(10, bool)), metrical=True)
    with pytest.raises(ValueError, match="regions face and mouth"):
        lip_points(replace(truth, regions={}), truth, metrical=True)


@settings(deadline=None)
@given(st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda a: np.linalg.norm(a) > 0.1), st.floats(0, 150))
def test_a_constant_turn_is_its_angle_and_nothing_once_taken_out(
    axis: tuple[float, float, float], degrees: float
) -> None:
    truth = Rotation.random(15, random_state=4)
    offset = Rotation.from_rotvec(np.array(axis) / np.linalg.norm(axis) * np.deg2rad(degrees))
    result = rotation_error(truth.as_matrix(), (truth * offset).as_matrix())
    assert result.mean == pytest.approx(degrees, abs=1e-5)
    assert result.aligned_mean == pytest.approx(0, abs=1e-4)


def test_a_swinging_error_stays_after_the_offset_is_taken_out() -> None:
    truth = Rotation.from_euler("y", np.linspace(-40, 40, 20)[:, None], degrees=True)
    swing = Rotation.from_euler("x", np.where(np.arange(20) % 2, 3.0, -3.0)[:, None], degrees=True)
    found = (truth * swing).as_matrix()
    found[5] = np.nan
    tracked = np.arange(20) != 6
    result = rotation_error(truth.as_matrix(), found, tracked)
    assert result.mean == pytest.approx(3.0)
    assert result.aligned_mean == pytest.approx(3.0)
    assert np.isnan(result.per_frame[[5, 6]]).all() and np.isfinite(result.per_frame).sum() == 18
    assert np.isnan(rotation_error(truth.as_matrix(), found, np.zeros(20, bool)).mean)


def test_the_rotation_is_read_off_a_mesh_whose_mouth_moves() -> None:
    truth = sequence(_talking(0.015))
    time = np.arange(10)
    expected = Rotation.from_rotvec(np.stack([0.02 * time, 0.05 * np.sin(time), 0 * time], axis=1)).as_matrix()
    found = head_rotations(truth)
    assert rotation_error(expected, found).mean < 0.05
    turned = Rotation.from_rotvec([0, 0, np.deg2rad(3.0)]).as_matrix()
    wrong = replace(truth, vertices=(truth.vertices @ turned.T).astype(np.float32))
    assert rotation_error(found, head_rotations(wrong)).mean == pytest.approx(3.0, abs=0.01)
    without = rotation_error(found, head_rotations(replace(wrong, neutral=None)))
    assert without.aligned_mean < 0.2
    lost = head_rotations(replace(truth, tracked=time < 5))
    assert np.isnan(lost[5:]).all() and np.isfinite(lost[:5]).all()


def test_the_focal_error_is_relative() -> None:
    truth = np.full(4, 1000.0)
    tracked = np.array([True, True, True, False])
    assert focal_error(truth, np.array([1100.0, 900.0, 1000.0, 1.0]), tracked) == pytest.approx(0.2 / 3)
    assert np.isnan(focal_error(truth, truth, np.zeros(4, bool)))
