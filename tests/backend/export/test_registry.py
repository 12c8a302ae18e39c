"""Exports by name, and the files that they are."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from backend.errors import UserError
from backend.export.csv_table import POSE_COLUMNS
from backend.export.registry import available_exports, export_track
from backend.head_model.action_weights import solve_action_weights
from backend.head_model.library import load_head
from protocol.face_actions import ARKIT_ACTIONS
from protocol.live_link import gaze_of
from protocol.live_link_reading import from_csv
from tests.blender.runners import performance


def table(data: bytes) -> dict[str, list[float]]:
    """Columns of a CSV file by their headings."""
    rows = list(csv.reader(io.StringIO(data.decode(), newline="")))
    return {name: [float(value) for value in column] for name, *column in zip(*rows, strict=True)}


def test_every_export_is_described():
    names = [info.name for info in available_exports()]
    plain = ["csv", "live_link", "json", "arkit_csv", "arkit_json"]
    cameras = ["chan", "colmap", "colmap_head", "camera_nerfstudio"]
    assert names == [*plain, "obj", "ply", "glb", "wrinkles", *cameras, "speech", "insta", "nerf", "gaussian_avatars"]
    assert all(info.title and info.help and info.suffix.startswith(".") for info in available_exports())


def test_the_table_holds_the_performance():
    track = replace(performance("/clip.mp4"), tracked=np.arange(10) != 4)
    columns = table(export_track(track, "csv"))
    assert list(columns) == [*POSE_COLUMNS, *ARKIT_ACTIONS]
    assert columns["frame"] == track.frames.tolist() and columns["tracked"] == track.tracked.tolist()
    near = {"atol": 1e-6, "rtol": 0}
    np.testing.assert_allclose(columns["time"], track.times, **near)
    for index, axis in enumerate("xyz"):
        np.testing.assert_allclose(columns[f"head_rotation_{axis}"], track.head_rotation[:, index], **near)
        np.testing.assert_allclose(columns[f"head_translation_{axis}"], track.head_translation[:, index], **near)
    np.testing.assert_allclose(columns["right_eye_pitch"], track.gaze[:, 1, 1], **near)
    weights = solve_action_weights(load_head(), track.expression, track.gaze)
    np.testing.assert_allclose(np.transpose([columns[name] for name in ARKIT_ACTIONS]), weights, **near)


def test_a_tracks_own_weights_are_taken_as_they_are():
    track = performance("/clip.mp4")
    names = ARKIT_ACTIONS[::-1]
    own = np.random.default_rng(0).uniform(size=(10, 52)).astype(np.float32)
    columns = table(export_track(replace(track, action_names=names, actions=own), "csv"))
    np.testing.assert_allclose(columns[names[3]], own[:, 3], atol=1e-6)


def test_live_link_faces_csv_holds_the_performance():
    track = performance("/clip.mp4")
    own = np.random.default_rng(0).uniform(size=(10, 52)).astype(np.float32)
    track = replace(track, action_names=ARKIT_ACTIONS, actions=own, tracked=np.arange(10) != 4)
    track.head_rotation.flags.writeable = False  # as those of a file are
    read = from_csv(export_track(track, "live_link"))
    np.testing.assert_allclose(read.times, track.times, atol=1e-5)
    np.testing.assert_allclose(np.stack(list(read.weights.values()), axis=1), own, atol=1e-6)
    assert list(read.weights) == list(ARKIT_ACTIONS) and read.eyes is not None and read.head is not None
    np.testing.assert_allclose(gaze_of(read.eyes), track.gaze, atol=1e-6)
    turned = Rotation.from_rotvec(track.head_rotation[-1].copy()).apply([0.0, 0.0, 1.0])
    assert turned[0] > 0.5, "the face has turned to the picture's right, the subject's left"
    np.testing.assert_allclose(read.head[-1], [-0.6, 0, 0], atol=1e-6)


def test_the_heads_angles_are_what_the_first_camera_sees():
    track = performance("/clip.mp4")
    turned = Rotation.from_euler("y", 0.5)
    camera = replace(track.cameras[0], world_to_camera=np.tile(np.c_[turned.as_matrix(), np.zeros(3)], (10, 1, 1)))
    seen = turned.inv() * Rotation.from_rotvec(track.head_rotation)
    moved = replace(track, cameras=(camera,), head_rotation=seen.as_rotvec())
    np.testing.assert_allclose(
        from_csv(export_track(moved, "live_link")).head, from_csv(export_track(track, "live_link")).head, atol=1e-6
    )


def test_the_json_track_holds_the_performance():
    track = replace(performance("/somebody/clip.mp4"), tracked=np.arange(10) != 4)
    error = track.reprojection_error_percent_iod.copy()
    error[4] = np.nan
    track = replace(track, reprojection_error_percent_iod=error)
    data = export_track(track, "json")
    read = json.loads(data)
    assert (read["format"], read["version"]) == ("flowface-track", 1) and b"somebody" not in data
    near = {"atol": 1e-6, "rtol": 0}
    weights = solve_action_weights(load_head(), track.expression, track.gaze)
    np.testing.assert_allclose(np.transpose([read["actions"][name] for name in ARKIT_ACTIONS]), weights, **near)
    for name in ("frames", "times", "scene_frames", "tracked", "head_rotation", "head_translation"):
        np.testing.assert_allclose(read[name], getattr(track, name), **near)
    np.testing.assert_allclose(read["gaze"]["right"]["pitch"], track.gaze[:, 1, 1], **near)
    assert read["error"][4] is None and read["error"][3] == pytest.approx(0.9)
    (camera,), (wrote,) = read["cameras"], track.cameras
    assert camera["footage"] == "clip.mp4" and camera["image_size"] == [640, 480]
    np.testing.assert_allclose(camera["world_to_camera"], wrote.world_to_camera, **near)
    np.testing.assert_allclose(camera["focal"], wrote.focal_px, **near)


@pytest.mark.parametrize(
    ("changes", "name", "code"),
    [
        ({}, "dance", "unknown_export"),
        ({"head_hash": "f" * 16}, "csv", "head_changed"),
        ({"head_id": "nobody"}, "csv", "head_unknown"),
    ],
)
def test_what_cannot_be_exported_is_named(changes, name, code):
    with pytest.raises(UserError) as caught:
        export_track(replace(performance("/clip.mp4"), **changes), name)
    assert caught.value.code == code


def test_a_track_of_an_earlier_edition_of_the_head_is_exported_with_that_edition():
    first = load_head("open1")
    assert first.id == "open" and first.hash != load_head().hash
    track = replace(
        performance("/clip.mp4"), head_hash=first.hash, action_names=(), actions=np.zeros((10, 0), np.float32)
    )
    columns = table(export_track(track, "csv"))
    weights = solve_action_weights(first, track.expression, track.gaze)
    np.testing.assert_allclose(np.transpose([columns[name] for name in ARKIT_ACTIONS]), weights, atol=1e-6, rtol=0)
