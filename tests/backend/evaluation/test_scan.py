"""The scan's protocol: camera errors up to gauge, and the real scan's views alone and jointly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.evaluation.metrics.pose import camera_errors
from backend.evaluation.real_data import RealData
from backend.evaluation.scan import add_rotation_errors, read_scan
from backend.evaluation.trackers.flowface import FlowFace
from backend.evaluation.trackers.mediapipe_mesh import MediaPipeMesh
from backend.evaluation.trackers.types import ViewsTracker

TARGET = np.array([0.0, 0.0, 0.05])


def rig(count: int = 5) -> NDArray[np.float64]:
    """Cameras (count,3,4) on an arc of 0.7 m about ``TARGET``, all of them looking at it."""
    turn = Rotation.from_euler("YX", np.column_stack([np.linspace(-1, 1, count), np.linspace(0.3, -0.2, count)]))
    rotation = turn.as_matrix()
    return np.concatenate([rotation, ([0, 0, 0.7] - rotation @ TARGET)[..., None]], axis=2)


def moved(
    cameras: NDArray[np.float64], turn: Rotation, shift: NDArray[np.float64], scale: float
) -> NDArray[np.float64]:
    """The same cameras in a world in which a point x is ``scale · turn · x + shift``."""
    rotation = cameras[:, :, :3] @ turn.inv().as_matrix()
    return np.concatenate([rotation, (scale * cameras[:, :, 3] - rotation @ shift)[..., None]], axis=2)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.2, 5.0))
def test_another_world_is_no_error(seed: int, scale: float) -> None:
    random = np.random.default_rng(seed)
    turn, shift = Rotation.random(random_state=seed), random.normal(size=3)
    errors = camera_errors(rig(), moved(rig(), turn, shift, scale), TARGET)
    np.testing.assert_allclose(errors.rotation_deg, 0, atol=1e-4)
    np.testing.assert_allclose(errors.position_percent, 0, atol=1e-6)


def test_one_turned_camera_takes_a_share_of_the_gauge() -> None:
    found = rig()
    found[2] = Rotation.from_euler("Z", 5, degrees=True).as_matrix() @ found[2]  # about its own centre
    errors = camera_errors(rig(), found, TARGET)
    np.testing.assert_allclose(errors.rotation_deg, [1, 1, 4, 1, 1], atol=0.02)


def test_one_moved_camera_is_as_far_off_as_it_was_moved() -> None:
    found = rig(9)
    found[4, 2, 3] += 0.07  # a tenth of its distance away from the target
    errors = camera_errors(rig(9), found, TARGET)
    np.testing.assert_allclose(errors.rotation_deg, 0, atol=1e-6)
    assert errors.position_percent[4] == pytest.approx(10 * 8 / 9, abs=0.6)
    assert errors.position_percent.argmax() == 4
    assert np.delete(errors.position_percent, 4).max() < 3


def test_cameras_that_were_not_found_have_no_error() -> None:
    found = rig()
    found[1] = np.nan
    errors = camera_errors(rig(), found, TARGET)
    assert np.isnan(errors.rotation_deg[1]) and np.isnan(errors.position_percent[1])
    np.testing.assert_allclose(np.delete(errors.rotation_deg, 1), 0, atol=1e-4)
    alone = np.full_like(found, np.nan)
    alone[0] = found[0]
    assert np.isnan(camera_errors(rig(), alone, TARGET).position_percent).all()


def test_only_trackers_of_several_views_see_the_scan_jointly(shared_data: Path, tmp_path: Path) -> None:
    """Three near-frontal views of the scan: one head, and cameras 25° apart found about right from nothing."""
    assert isinstance(FlowFace(), ViewsTracker)
    assert not isinstance(MediaPipeMesh(), ViewsTracker)
    tasks = RealData(shared_data, True, tmp_path).tasks([MediaPipeMesh(), FlowFace(tmp_path)])
    keys, works = zip(*tasks["scan_jointly"], strict=True)
    assert [key[1:3] for key in keys] == [("flowface-mediapipe", variant) for variant in FlowFace().variants]
    record = works[0]()
    assert record["views"] == 3
    assert record["cd_mm"] < 2.5
    assert max(record["camera_rotation_deg"]) < 10
    assert all(0.4 < ratio < 2 for ratio in record["focal_ratio"])


def test_the_scans_cameras_look_at_its_face(shared_data: Path) -> None:
    scan = read_scan(shared_data / "scan" / "lee_perry_smith")
    cameras = scan.world_to_camera()
    seen = np.einsum("cij,j->ci", cameras[:, :, :3], scan.vertices[scan.face].mean(axis=0)) + cameras[:, :, 3]
    assert (seen[:, 2] > 0.3).all()
    assert (np.abs(seen[:, :2]) < 0.2 * seen[:, 2:]).all()


def test_dev_looks_at_other_people_than_test(shared_data: Path, tmp_path: Path) -> None:
    kinds = {split: RealData(shared_data, False, tmp_path, split).tasks([FlowFace()]) for split in ("dev", "test")}  # type: ignore[arg-type]
    assert set(kinds["dev"]) == {"photos", "clips"}
    for kind in ("photos", "clips"):
        files = [{key[2] for key, _ in kinds[split][kind]} for split in ("dev", "test")]
        assert files[0] and files[1] and not files[0] & files[1]


def test_a_profile_that_is_turned_wrongly_is_told_by_the_views_from_the_front() -> None:
    straight, records = Rotation.from_euler("XYZ", (3, 170, 4), degrees=True), []
    for azimuth, wrong in ((-80, 7.0), (-25, 0.0), (0, 0.0), (25, 0.0), (80, -2.0)):
        true = Rotation.from_euler("Y", azimuth, degrees=True)
        found = Rotation.from_euler("Y", wrong, degrees=True) * true * straight
        turns = {"camera_rotation": true.as_matrix().tolist(), "head_rotation": found.as_matrix().tolist()}
        records.append({"tracker": "ours", "azimuth": azimuth, **turns})
    records.append({"tracker": "ours", "azimuth": 50, "lost": True})
    add_rotation_errors(records)
    assert [record["rotation_deg"] for record in records[:-1]] == pytest.approx([7, 0, 0, 0, 2], abs=1e-6)
    assert records[-1]["rotation_deg"] is None
