"""Live Link Face's CSV into Blender and out of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from blender_addon.retarget import source
from blender_addon.retarget.bones import head_source
from blender_addon.retarget.exchange import recorded
from blender_addon.scene import armature, ownership
from protocol.face_actions import ARKIT_ACTIONS
from protocol.live_link import ACTIONS, Recording, gaze_of, to_csv
from protocol.live_link_reading import from_csv
from tests.blender.retarget import characters
from tests.protocol.test_live_link import HEADING

pytestmark = pytest.mark.usefixtures("addon")


@pytest.fixture
def rows() -> np.ndarray:
    """Sixty rows of 61 numbers, at 60 a second."""
    return np.random.default_rng(8).uniform(-0.2, 1.0, (60, 61)).round(6)


def as_the_app_writes(rows: np.ndarray, path: Path) -> Path:
    """By the format's description, without our writer: a time of day, blank lines, a frame that the phone left out."""
    lines = [HEADING]
    for index, row in enumerate(rows):
        if index != 30:
            code = f"23:59:59:{index:02d}.250"
            lines += [",".join([code, "61", *(f"{number:.10f}" for number in row)]), *([""] if index % 7 == 0 else [])]
    path.write_text("\n".join([*lines, ""]))
    return path


def test_another_programs_recording_comes_in_as_an_object_to_follow(rows: np.ndarray, tmp_path: Path) -> None:
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = 24, 1.001
    path = as_the_app_writes(rows, tmp_path / "MySlate_1_iPhone.csv")
    assert bpy.ops.flowface.import_live_link(filepath=str(path), first_frame=11) == {"FINISHED"}
    face = bpy.context.active_object
    assert face.name == "MySlate_1_iPhone" and face.select_get() and list(source.places(face)) == list(ARKIT_ACTIONS)
    frames = 11 + np.delete(np.arange(60), 30) / 60 * 24 / 1.001
    assert source.span(face) == pytest.approx((11.0, frames[-1]), abs=1e-4)
    there = np.delete(rows, 30, axis=0)
    read = source.weights(face, frames)
    for index, action in enumerate(ACTIONS):
        np.testing.assert_allclose(read[action], there[:, index], atol=1e-3)
    halfway = source.weights(face, np.array([11 + 30 / 60 * 24 / 1.001]))["jawOpen"]
    assert halfway == pytest.approx((rows[29, 17] + rows[31, 17]) / 2, abs=1e-3)
    scene.frame_set(11)
    yaw, pitch, roll = rows[0, 52:55]
    forward = face.matrix_world.to_3x3() @ axis("-Y")
    assert forward.x == pytest.approx(-np.sin(yaw) * np.cos(pitch), abs=1e-5), "to its right is −x"
    assert forward.z == pytest.approx(np.sin(pitch), abs=1e-5), "up"
    assert (face.matrix_world.to_3x3() @ axis("X")).z == pytest.approx(np.cos(pitch) * np.sin(roll), abs=1e-5)
    (pose,) = head_source.poses(face, np.array([11.0]))
    np.testing.assert_allclose(pose[:3, :3], np.array(face.matrix_world)[:3, :3], atol=1e-5)
    left = recorded.eyes_of(face)[0].matrix_local.to_3x3() @ axis("-Y")
    assert np.arctan2(left.x, -left.y) == pytest.approx(-rows[0, 55], abs=1e-5)
    assert left.z == pytest.approx(-np.sin(rows[0, 56]), abs=1e-5)


def axis(name: str) -> Any:
    """A unit vector."""
    from mathutils import Vector

    return Vector([(-1.0 if name[0] == "-" else 1.0) * (name[-1] == letter) for letter in "XYZ"])


def test_a_character_follows_a_recording(rows: np.ndarray, tmp_path: Path) -> None:
    points, triangle = np.eye(3, dtype=np.float32), np.array([[0, 1, 2]], np.int32)
    character = characters.mesh_object("Somebody", points, triangle, {"jawOpen": points, "tongueOut": points})
    bpy.ops.flowface.import_live_link(filepath=str(as_the_app_writes(rows.clip(0), tmp_path / "take.csv")))
    character.select_set(True)
    assert bpy.ops.flowface.retarget_add() == {"FINISHED"} and bpy.ops.flowface.retarget_live() == {"FINISHED"}
    for frame in (3, 21):
        bpy.context.scene.frame_set(frame)
        keys = character.data.shape_keys.evaluated_get(bpy.context.evaluated_depsgraph_get()).key_blocks
        expected = source.weights(bpy.context.active_object, np.array([float(frame)]))
        assert keys["jawOpen"].value == pytest.approx(expected["jawOpen"][0], abs=1e-4)
        assert keys["tongueOut"].value == pytest.approx(expected["tongueOut"][0], abs=1e-4)


def test_what_came_in_goes_out_again(tmp_path: Path) -> None:
    rng, count = np.random.default_rng(1), 20
    wrote = Recording(
        np.arange(count) / 25,
        {action: rng.uniform(0, 1, count) for action in ACTIONS},
        rng.normal(0, 0.3, (count, 3)),
        np.concatenate([rng.normal(0, 0.2, (count, 2, 2)), np.zeros((count, 2, 1))], axis=2),
    )
    first, second = tmp_path / "first.csv", tmp_path / "second"
    first.write_bytes(to_csv(wrote))
    scene = bpy.context.scene
    scene.render.fps, scene.frame_start, scene.frame_end = 25, 1, count
    bpy.ops.flowface.import_live_link(filepath=str(first))
    scene.frame_set(3, subframe=0.5)
    assert bpy.ops.flowface.export_live_link(filepath=str(second)) == {"FINISHED"}
    assert (scene.frame_current, scene.frame_subframe) == (3, 0.5)
    again = from_csv(second.with_suffix(".csv").read_bytes())
    np.testing.assert_allclose(again.times, wrote.times, atol=1e-4)
    for action in ACTIONS:
        np.testing.assert_allclose(again.weights[action], wrote.weights[action], atol=1e-3)
    np.testing.assert_allclose(again.head, wrote.head, atol=1e-3)
    np.testing.assert_allclose(again.eyes, wrote.eyes, atol=1e-3)


def test_a_take_goes_out_as_it_was_edited(tmp_path: Path) -> None:
    count = 8
    head = characters.performer({"jawOpen": np.linspace(0, 0.7, count), "mouthSmileLeft": np.full(count, 0.2)})
    take, scene = source.take_of(head), bpy.context.scene
    rig = ownership.member(take, ownership.ARMATURE)
    head.data.shape_keys.key_blocks["mouthSmileLeft"].driver_add("value").driver.expression = "frame * 0.1"
    for eye in armature.eye_bones(rig).values():
        eye.driver_add("rotation_euler", 2).driver.expression = "0.1"  # to the left
        eye.driver_add("rotation_euler", 0).driver.expression = "-0.2"  # down
    rig.animation_data.action = None
    scene.camera.parent.rotation_euler.z = 1.0  # the whole take turns: the camera sees the same
    rig.rotation_mode, rig.rotation_euler = "XYZ", (0, 0, 0.3)  # to its left
    path = tmp_path / "take.csv"
    assert bpy.ops.flowface.export_live_link(filepath=str(path)) == {"FINISHED"}
    read = from_csv(path.read_bytes())
    assert len(read.times) == count and read.times[-1] == pytest.approx(7 / 24, abs=1e-4)
    np.testing.assert_allclose(read.weights["jawOpen"], np.linspace(0, 0.7, count), atol=1e-3)
    np.testing.assert_allclose(read.weights["mouthSmileLeft"], np.arange(1, 9) * 0.1, atol=1e-3)
    assert read.eyes is not None and read.head is not None
    np.testing.assert_allclose(gaze_of(read.eyes), np.tile([0.1, -0.2], (count, 2, 1)), atol=1e-3)
    np.testing.assert_allclose(read.head, np.tile([-0.3, 0, 0], (count, 1)), atol=1e-3)
    head.hide_viewport = True
    with pytest.raises(RuntimeError, match="is hidden: show it first"):
        bpy.ops.flowface.export_live_link(filepath=str(path))


def test_what_cannot_be_read_is_said_and_nothing_is_made(tmp_path: Path) -> None:
    path = tmp_path / "shopping.csv"
    path.write_text("bread,milk\n2,1\n")
    with pytest.raises(RuntimeError, match=r"“shopping.csv” cannot be read. The first line names no ARKit action"):
        bpy.ops.flowface.import_live_link(filepath=str(path))
    with pytest.raises(RuntimeError, match="No such file"):
        bpy.ops.flowface.import_live_link(filepath=str(tmp_path / "none.csv"))
    assert not len(bpy.data.objects) and not bpy.ops.flowface.export_live_link.poll()
