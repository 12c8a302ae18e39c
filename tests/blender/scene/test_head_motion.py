"""Head motion on the head, on its neck bone or on the cameras: seen the same, and back without a loss."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
import pytest

from blender_addon import compat
from blender_addon.scene import build, head_motion, retime, takes
from blender_addon.scene import versions_of_take as versions
from blender_addon.scene.head_motion import CAMERA, HEAD, NECK
from blender_addon.scene.ownership import ARMATURE, ROOT, built, camera_role
from blender_addon.scene.ownership import HEAD as HEAD_ROLE

from ..takes import Shot, make_take, project
from .test_build import show, shown_pixels
from .test_retrack import LONG, curve_of, keys_of, other_run, part_of
from .test_versions import assert_same_keys


def bones_in_picture(collection: Any) -> np.ndarray:
    """The eye bones' places in the space of the scene camera."""
    rig, camera = collection[ARMATURE], bpy.context.scene.camera
    camera_space = camera.matrix_world.normalized().inverted()
    return np.array([camera_space @ rig.matrix_world @ rig.pose.bones[e].matrix for e in ("left_eye", "right_eye")])


@pytest.mark.parametrize("moving", [False, True])
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_the_head_stands_still_and_the_camera_moves(moving: bool, scale: float) -> None:
    bpy.context.scene.unit_settings.scale_length = 1 / scale
    take = make_take(Shot(moving_camera=moving))
    collection = build.build_take(bpy.context, take)
    before = keys_of(collection)
    head_motion.move(collection, CAMERA)
    stands = []
    for index in (0, 5, 11):
        show(take.scene_frames[index])
        assert np.abs(shown_pixels(collection) - project(take, index)).max() < 0.1
        stands.append(np.array(collection[HEAD_ROLE].matrix_world))
    assert np.abs(np.array(stands) - stands[0]).max() < 1e-5 * scale
    assert collection[ARMATURE].parent.parent == collection[ROOT]
    head_motion.move(collection, HEAD)
    assert_same_keys(keys_of(collection), before)
    assert collection[ARMATURE].parent == collection[ROOT] == collection[camera_role("camera")].parent
    assert len(built(collection)) == 4 and not any("head motion" in action.name for action in bpy.data.actions)
    show(6)
    assert np.abs(shown_pixels(collection) - project(take, 5)).max() < 0.05


@pytest.mark.parametrize("mode", ["QUATERNION", "XYZ"])
def test_the_neck_bone_moves_and_the_armature_stands_still(mode: str) -> None:
    take = make_take(LONG)
    collection = build.build_take(bpy.context, take)
    rig, before, seen = collection[ARMATURE], keys_of(collection), []
    rig.pose.bones["neck"].rotation_mode = mode
    for frame in (1, 30, 60):
        show(frame)
        seen.append(bones_in_picture(collection))
    head_motion.move(collection, NECK)
    stands = []
    for index, frame in enumerate((1, 30, 60)):
        show(frame)
        assert np.abs(bones_in_picture(collection) - seen[index]).max() < 1e-4
        stands.append(np.array(rig.matrix_world))
    assert np.abs(np.array(stands) - stands[0]).max() == 0
    head_motion.move(collection, HEAD)
    assert_same_keys(keys_of(collection), before)
    assert not any(curve.mute for curve in compat.action_curves(rig))


def test_what_was_edited_on_the_neck_comes_back_with_it() -> None:
    take = make_take(LONG)
    collection = build.build_take(bpy.context, take)
    rig, before = collection[ARMATURE], keys_of(collection)
    head_motion.move(collection, NECK)
    neck = rig.pose.bones["neck"]
    lean = curve_of(rig, neck.path_from_id("rotation_quaternion"), 1)
    lean.keyframe_points[29].co.y += 0.05
    lean.update()
    show(30)
    seen = bones_in_picture(collection)
    head_motion.move(collection, HEAD)
    show(30)
    assert np.abs(bones_in_picture(collection) - seen).max() < 1e-3
    after = keys_of(collection)
    for index in range(3):
        name = ("pose", "rotation_euler", index)
        same = before[name]["co"][:, 0] != 30
        assert np.array_equal(before[name]["co"][same], after[name]["co"][same])


@pytest.mark.parametrize("where", [NECK, CAMERA])
def test_a_take_is_tracked_switched_moved_and_copied_wherever_its_motion_is(where: str) -> None:
    take = make_take(LONG)
    collection = build.build_take(bpy.context, take)
    head_motion.move(collection, where)
    build.build_take(bpy.context, part_of(other_run(take), 20, 40))
    again = other_run(take, 4)
    build.build_take(bpy.context, again)
    assert head_motion.place_of(collection) == where
    show(30)
    if where == CAMERA:
        assert np.abs(shown_pixels(collection) - project(again, 29)).max() < 0.1
    versions.switch(bpy.context, collection, 1)
    retime.retime(collection, start=101.0)
    copy = takes.duplicate(bpy.context.scene, collection)
    assert head_motion.place_of(copy) == where
    for one in (copy, collection):
        head_motion.move(one, HEAD)
        show(130)
        bpy.context.scene.camera = one[camera_role("camera")]
        assert np.abs(shown_pixels(one) - project(take, 29)).max() < 0.05
    takes.delete(copy)
    show(130)


def test_what_cannot_be_is_one_sentence() -> None:
    take = make_take(LONG)
    collection = build.build_take(bpy.context, take)
    rig = collection[ARMATURE]
    rig.pose.bones["neck"].keyframe_insert("location", frame=5)
    kept = keys_of(collection)
    with pytest.raises(head_motion.CannotMove, match="“neck” has keys of your own"):
        head_motion.move(collection, NECK)
    assert_same_keys(keys_of(collection), kept)
    bpy.data.objects.remove(collection[camera_role("camera")])
    with pytest.raises(head_motion.CannotMove, match="only cameras that were solved"):
        head_motion.move(collection, CAMERA)
    assert head_motion.place_of(collection) == HEAD
