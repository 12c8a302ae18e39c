"""Multiface's layout, the choice among its sequences and its measures, on a plate whose motion is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.errors import ErrorCode, UserError
from backend.evaluation.challenges.multiface.choose import Chosen, choose, facing_cameras, read_list, write_list
from backend.evaluation.challenges.multiface.layout import read_krt, read_subjects, steps
from backend.evaluation.challenges.multiface.run import measure
from backend.evaluation.challenges.multiface.topology import Topology, read_topology, view_angles, write_topology
from backend.evaluation.challenges.multiface.track import known_camera
from backend.evaluation.challenges.multiface.truth import TrueSequence, true_sequence
from tests.backend.evaluation.challenges.made import KEYPOINTS, plate, write_subject

INTRINSIC = np.array([[1000.0, 0, 128], [0, 1100, 120], [0, 0, 1]])
"""Pixels that are not square."""
HEAD_TURN = np.array([[-1.0, 0, 0], [0, -1, 0], [0, 0, 1]])
"""Heads hang upside down in the made world."""
NAME = "m--20260101--0000--1--GHS"


def looking_from(aside: float, above: float, distance: float = 1000.0) -> np.ndarray:
    """(3,4) [R | t], millimetres, of a camera that looks at the middle of such a face from so many degrees aside and
    above."""
    yaw, pitch = np.deg2rad([aside, above])
    away = HEAD_TURN @ np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    right = np.cross(HEAD_TURN @ [0, 1, 0], away)
    right /= np.linalg.norm(right)
    turn = np.stack([right, -np.cross(away, right), -away])
    middle = HEAD_TURN @ KEYPOINTS.mean(axis=0)
    return np.concatenate([turn, -(turn @ (middle + distance * away))[:, None]], axis=1)


def pose(shift: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    return np.concatenate([HEAD_TURN, HEAD_TURN @ np.array(shift, float)[:, None]], axis=1)


@pytest.fixture
def topology() -> Topology:
    """Of ``plate(100, 20)``: a grid of 5 mm."""
    flat, _ = plate(100, 20)
    nearest = np.array([np.linalg.norm(flat - point, axis=1).argmin() for point in KEYPOINTS])
    regions = {name: np.arange(len(flat)) for name in ("face", "eyes", "nose")}
    return Topology(nearest, regions | {"mouth": np.flatnonzero(flat[:, 1] < -30)})


def moving_subject(folder: Path, shifts: list[tuple[float, float, float]]) -> list[str]:
    """The plate carried about before a camera that sees it straight from one metre."""
    flat, triangles = plate(100, 20)
    cameras = {"400001": (INTRINSIC, looking_from(0, 0))}
    return write_subject(
        folder / NAME, "E001_Neutral", [flat] * len(shifts), triangles, [pose(s) for s in shifts], cameras
    )


@pytest.mark.parametrize(("along", "pixels"), [((1.0, 0.0, 0.0), 1.0), ((0.0, 1.0, 0.0), 1.1)])
def test_a_tracker_that_stands_still_misses_the_motion_by_its_pixels(
    tmp_path: Path, topology: Topology, along: tuple[float, float, float], pixels: float
) -> None:
    frames = moving_subject(tmp_path, [tuple(i * a for a in along) for i in range(4)])  # type: ignore[misc]
    (subject,) = read_subjects(tmp_path)
    chosen = Chosen(subject, "E001_Neutral", ("400001",), tuple(frames))
    truth = true_sequence(chosen, (256, 240), topology)
    still = replace(truth.seen, vertices=np.repeat(truth.seen.vertices[:1], 4, axis=0))
    told = measure(truth, still, stride=4)
    # a millimetre a frame at one metre: one focal length's thousandth a frame, and so many frames a horizon
    assert np.array(told["ssme_h"]["face"])[:3] == pytest.approx(pixels * np.array([1, 2, 3]), rel=2e-3)
    assert told["ssme"]["mouth"] == pytest.approx(2 * pixels, rel=2e-3)
    assert told["lost_frames"] == 0
    exact = measure(TrueSequence(truth.shape, truth.shape), truth.shape, stride=8)
    assert exact["cd_mm"]["face"] == pytest.approx(0, abs=1e-3)


def test_a_frame_that_is_missing_leaves_a_gap(tmp_path: Path, topology: Topology) -> None:
    frames = moving_subject(tmp_path, [(float(i), 0, 0) for i in range(4)])
    (tmp_path / NAME / "images" / "E001_Neutral" / "400001" / f"{frames[1]}.png").unlink()
    (subject,) = read_subjects(tmp_path)
    left = subject.frames("E001_Neutral", ["400001"])
    assert left == [frames[0], frames[2], frames[3]] and steps(left).tolist() == [0, 2, 3]
    truth = true_sequence(Chosen(subject, "E001_Neutral", ("400001",), tuple(left)), (256, 240), topology)
    assert truth.seen.tracked.tolist() == [True, False, True, True]
    still = replace(truth.seen, vertices=np.repeat(truth.seen.vertices[:1], 4, axis=0))
    # horizon 1 is seen from the third to the fourth alone, horizons 2 and 3 from the first
    assert np.array(measure(truth, still, 4)["ssme_h"]["face"])[:3] == pytest.approx([1, 2, 3], rel=2e-3)


def test_angles_are_those_from_the_front() -> None:
    middle = KEYPOINTS.mean(axis=0)
    assert view_angles(KEYPOINTS, middle + np.array([0, 0, 500])) == pytest.approx((0, 0))
    assert view_angles(KEYPOINTS, middle + np.array([300, 0, 300])) == pytest.approx((45, 0))
    assert view_angles(KEYPOINTS, middle + np.array([0, -300, 300 * np.sqrt(3)])) == pytest.approx((0, -30))


def test_cameras_are_drawn_within_the_limits_and_always_the_same(tmp_path: Path, topology: Topology) -> None:
    flat, triangles = plate(100, 20)
    places = {"1": (58, 0), "2": (62, 0), "3": (-59, 33), "4": (0, 37), "5": (0, -34), "6": (175, 0)}
    cameras = {name: (INTRINSIC, looking_from(*place)) for name, place in places.items()}
    for subject in range(3):
        folder = tmp_path / f"m--20260101--0000--{subject}--GHS"
        write_subject(folder, "SEN_a", [flat] * 2, triangles, [pose()] * 2, cameras)
    subjects = read_subjects(tmp_path)
    assert facing_cameras(subjects[0], "SEN_a", topology) == ["1", "3", "5"]
    drawn = [choose(subjects, topology, 1, seed) for seed in (0, 0, 1, 2, 3)]
    assert [c.key for c in drawn[0]] == [c.key for c in drawn[1]]
    assert len({tuple(c.cameras for c in d) for d in drawn}) > 1
    assert [len(choose(subjects, topology, count, 0)) for count in (1, 3, 4)] == [3, 3, 0]
    write_list(tmp_path / "list.toml", drawn[0])
    assert [c.key for c in read_list(tmp_path / "list.toml", subjects)] == [c.key for c in drawn[0]]


def test_a_broken_layout_is_told_by_its_files(tmp_path: Path) -> None:
    frames = moving_subject(tmp_path, [(0, 0, 0)] * 3)
    meshes = tmp_path / NAME / "tracked_mesh" / "E001_Neutral"
    (meshes / f"{frames[2]}.bin").unlink()
    (meshes / f"{frames[1]}_transform.txt").unlink()
    told = [{"segment": "E001_Neutral", "cameras": ["400001", "400009"]}, {"segment": "E999", "cameras": ["400001"]}]
    entries = [f'[[sequence]]\nsubject = "{NAME}"\nsegment = "{e["segment"]}"\ncameras = {e["cameras"]}' for e in told]
    (tmp_path / "list.toml").write_text("\n".join(entries))
    with pytest.raises(UserError) as refused:
        read_list(tmp_path / "list.toml", read_subjects(tmp_path))
    assert refused.value.code == ErrorCode.CHALLENGE_LAYOUT
    for name in ("400009 in", f"{frames[2]}.bin", f"{frames[1]}_transform.txt", "E999"):
        assert name in refused.value.message
    (tmp_path / "list.toml").write_text(f'[[sequence]]\nsubject = "{NAME}"\nsegment = "E001_Neutral"\ncameras = []')
    with pytest.raises(UserError, match=r"“cameras” of sequence 1 in .*list\.toml"):
        read_list(tmp_path / "list.toml", read_subjects(tmp_path))
    (tmp_path / NAME / "KRT").unlink()
    with pytest.raises(UserError, match="KRT"):
        read_subjects(tmp_path)


def test_a_calibration_that_breaks_off_is_refused_by_its_camera(tmp_path: Path) -> None:
    moving_subject(tmp_path, [(0, 0, 0)] * 2)
    path = tmp_path / NAME / "KRT"
    whole = read_krt(path)["400001"]
    np.testing.assert_allclose(whole.intrinsic, INTRINSIC)
    before = KEYPOINTS.mean(axis=0) + np.array([0, 0, 1000])
    np.testing.assert_allclose(whole.position * 1000, HEAD_TURN @ before, atol=1e-3)
    path.write_text(path.read_text().rsplit(" ", 1)[0] + "\n")
    with pytest.raises(UserError, match="does not hold camera “400001”"):
        read_krt(path)


def test_other_cameras_are_placed_in_the_first_one_s_space(tmp_path: Path) -> None:
    flat, triangles = plate(100, 20)
    cameras = {"1": (INTRINSIC, looking_from(0, 0)), "2": (INTRINSIC, looking_from(90, 0))}
    write_subject(tmp_path / NAME, "S", [flat] * 2, triangles, [pose()] * 2, cameras)
    found = read_krt(tmp_path / NAME / "KRT")
    beside = known_camera(found["2"], found["1"]).world_to_camera
    assert beside is not None
    # the face's middle is a metre before both; a decimetre nearer to the first is beside the second's axis
    for point, seen in ([0, 0, 1], [0, 0, 1]), ([0, 0, 0.9], [-0.1, 0, 1]):
        np.testing.assert_allclose(beside[:, :3] @ point + beside[:, 3], seen, atol=1e-6)
    np.testing.assert_allclose(known_camera(found["1"], found["1"]).world_to_camera, np.eye(3, 4), atol=1e-9)


def test_a_topology_is_kept_and_its_faults_named(tmp_path: Path, topology: Topology) -> None:
    path = tmp_path / "topology.toml"
    write_topology(path, topology)
    read = read_topology(path)
    np.testing.assert_array_equal(read.keypoints, topology.keypoints)
    assert {n: v.tolist() for n, v in read.regions.items()} == {n: v.tolist() for n, v in topology.regions.items()}
    path.write_text(path.read_text().replace("nose = [", "noses = ["))
    with pytest.raises(UserError, match=r"“regions\.nose” of .*topology\.toml"):
        read_topology(path)
    frames = moving_subject(tmp_path, [(0, 0, 0)] * 2)
    (subject,) = read_subjects(tmp_path)
    other = Topology(topology.keypoints, {"face": np.array([9999])})
    with pytest.raises(UserError, match="vertex 9999"):
        true_sequence(Chosen(subject, "E001_Neutral", ("400001",), tuple(frames)), (256, 240), other)
