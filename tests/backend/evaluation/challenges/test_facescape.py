"""FaceScape's cylinder, its measures and its layout, on prisms whose radii and slopes are known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from backend.errors import ErrorCode, UserError
from backend.evaluation.challenges.facescape.compare import (
    Solid,
    at_true_depth,
    at_true_depth_orthographic,
    likeness,
)
from backend.evaluation.challenges.facescape.cylinder import cylinder_map
from backend.evaluation.challenges.facescape.layout import read_camera, read_layout
from backend.evaluation.challenges.facescape.run import summarise, without_perspective
from backend.evaluation.types import MeshSequence
from tests.backend.evaluation.challenges.made import plate, prism, write_lab

UPRIGHT, MIDDLE = np.eye(3), np.zeros(3)


def test_rays_meet_the_walls_of_a_square_tower_where_they_stand() -> None:
    vertices, triangles = prism(4, 100 * np.sqrt(2), 100 * np.sqrt(2), 29)
    turn = np.deg2rad(45)
    vertices = vertices @ np.array([[np.cos(turn), 0, -np.sin(turn)], [0, 1, 0], [np.sin(turn), 0, np.cos(turn)]])
    seen = cylinder_map(vertices, triangles)
    rows = np.flatnonzero(np.abs(150 - np.arange(256) * 300 / 255) < 29)
    angle = np.arange(256) * 2 * np.pi / 255
    expected = 100 / np.maximum(np.abs(np.sin(angle)), np.abs(np.cos(angle)))
    np.testing.assert_allclose(seen.radius[rows], np.tile(expected, (len(rows), 1)))
    assert not seen.hit[: rows[0]].any() and not seen.hit[rows[-1] + 1 :].any()


def test_the_outermost_wall_counts() -> None:
    inner, outer = prism(64, 40, 40, 20), prism(64, 90, 90, 20)
    both = np.concatenate([inner[0], outer[0]]), np.concatenate([outer[1] + 128, inner[1]])
    assert cylinder_map(*both).radius.max() == pytest.approx(90, rel=1e-3)
    assert cylinder_map(*both).radius[128].min() == pytest.approx(90 * np.cos(np.pi / 64), rel=1e-3)


def test_a_tower_two_millimetres_wider_is_two_millimetres_away() -> None:
    true, wider = Solid(*prism(89, 80, 80, 20)), Solid(*prism(89, 82, 82, 15))
    found = likeness(true, wider, UPRIGHT, MIDDLE)
    assert found.cd_mm == pytest.approx(2 * np.cos(np.pi / 89), abs=0.01)
    assert (found.mne, found.normal_deg) == (pytest.approx(0, abs=1e-6), pytest.approx(0, abs=1e-4))
    # rows within 15 of those within 20 millimetres of the middle: 26 of 34
    assert found.completeness == pytest.approx(26 / 34)


def test_a_funnel_s_normals_are_off_by_its_slope_and_less_as_colours() -> None:
    slope = np.deg2rad(20)
    funnel = Solid(*prism(360, 100 - 15 * np.tan(slope), 100 + 15 * np.tan(slope), 15))
    turn = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]], np.float64)
    place = np.array([5.0, -7, 900])
    true = Solid(*prism(360, 100, 100, 15))
    found = likeness(
        true.moved(true.vertices @ turn.T + place), funnel.moved(funnel.vertices @ turn.T + place), turn, place
    )
    assert found.normal_deg == pytest.approx(20, abs=0.01)
    around = np.linspace(0, 2 * np.pi, 10_000, endpoint=False)
    one = np.stack([np.sin(around), 0 * around, np.cos(around)], axis=1)
    other = one * np.cos(slope) - [0, np.sin(slope), 0]
    colours = [(n + 1) / np.linalg.norm(n + 1, axis=1, keepdims=True) for n in (one, other)]
    assert found.mne == pytest.approx(np.arccos((colours[0] * colours[1]).sum(axis=1)).mean(), rel=0.01)
    assert found.mne < slope


def test_what_is_too_near_is_brought_to_the_true_depth() -> None:
    flat, triangles = plate(200, 4)
    facing = flat * [1, -1, -1]
    true, nearer = (
        Solid(facing + np.array([0, 0, 500]), triangles),
        Solid(facing * 0.8 + np.array([0, 0, 400]), triangles),
    )
    found = at_true_depth(true, nearer, 300.0, np.array([128.0, 128.0]))
    np.testing.assert_allclose(found.vertices, true.vertices, atol=1e-9)


def test_without_perspective_only_the_depth_is_moved() -> None:
    flat, triangles = plate(100, 4)
    true, nearer = Solid(flat - [0, 0, 1000], triangles), Solid(flat - [0, 0, 990], triangles)
    found = at_true_depth_orthographic(true, nearer, 120.0)
    np.testing.assert_allclose(found.vertices, true.vertices, atol=1e-3)


def test_a_mesh_without_perspective_stays_where_it_was_seen() -> None:
    # a plate 0.2 m wide at 0.5 m before a focal length of 256: 51.2 px to each side of the middle, 0.4 of half a side
    flat, triangles = plate(0.2, 1)
    seen = MeshSequence(
        vertices=((flat * [1, -1, -1]) + [0, 0, 0.5]).astype(np.float32)[None],
        triangles=triangles,
        focal_px=np.array([256.0]),
        principal_point=np.array([128.0, 128.0]),
        image_size=(256, 256),
        frame_rate=30.0,
        tracked=np.ones(1, bool),
    )
    np.testing.assert_allclose(without_perspective(seen), flat * 4, atol=1e-6)


def test_views_are_told_apart_as_the_benchmark_does() -> None:
    records = [
        {"facing": "0", "focal": "1200", "cd_mm": 1.0, "mne": 0.1},
        {"facing": "30", "focal": "1200", "cd_mm": 3.0, "mne": 0.3},
        {"facing": "30", "focal": "600", "cd_mm": 5.0, "mne": None},
        {"lost": True},
    ]
    told = summarise(records)
    assert (told[""]["cd_mm"], told[""]["mne"]) == (3.0, pytest.approx(0.2))
    assert (told[""]["measured"], told[""]["pictures"]) == (3, 4)
    assert (told["0°"]["cd_mm"], told["30°"]["cd_mm"], told["f 600"]["cd_mm"]) == (1.0, 3.0, 5.0)


def test_a_laboratory_is_read_and_what_is_missing_named(tmp_path: Path) -> None:
    vertices, triangles = plate(100, 2)
    intrinsic = np.array([[600.0, 0, 128], [0, 600, 128], [0, 0, 1]])
    for name in ("00_1_09", "01_0_00"):
        write_lab(tmp_path, name, vertices, triangles, intrinsic, np.diag([1.0, -1, -1]), np.array([0, 0, 700.0]))
    (tmp_path / "data" / "lab_pictures").mkdir()
    (tmp_path / "data" / "lab_pictures" / "00_1_09.png").write_bytes(b"")
    (tmp_path / "data" / "lab_gt_mesh" / "01.obj").unlink()
    with pytest.raises(UserError) as refused:
        read_layout(tmp_path, "lab")
    assert refused.value.code == ErrorCode.CHALLENGE_LAYOUT
    assert {"01.obj", "01_0_00.jpg"} == {
        Path(n).name for n in refused.value.message.rstrip(".").split(": ")[1].split(", ")
    }
    (tmp_path / "data" / "lab_cam" / "01_0_00.json").unlink()
    (entry,) = read_layout(tmp_path, "lab")
    assert (entry.name, entry.facing, entry.focal, entry.picture.suffix) == ("00_1_09", "60", 1, ".png")
    assert entry.camera is not None
    np.testing.assert_allclose(read_camera(entry.camera)[1][:, 3], [0, 0, 700])
    entry.camera.write_text(json.dumps([intrinsic.tolist(), [[1, 0, 0]]]))
    with pytest.raises(UserError, match=r"00_1_09\.json is no camera"):
        read_camera(entry.camera)
    (tmp_path / "code" / "predef" / "lab_rotations.npy").write_bytes(b"")
    with pytest.raises(UserError, match=r"lab_rotations\.npy does not hold the 11 × 3 × 3 numbers"):
        read_layout(tmp_path, "lab")
