"""Track a take again: all that was made by hand stays, and what was there before is a version of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import bpy
import numpy as np
import pytest
from numpy.typing import NDArray

from blender_addon import compat
from blender_addon.scene import build, plan
from blender_addon.scene import versions_of_take as versions
from blender_addon.scene.ownership import ARMATURE, HEAD, ROOT, camera_role
from protocol import arrays
from protocol.take import HeadGeometry, TakeResult

from ..takes import Shot, make_take, project
from .test_build import show, shown_pixels

CAMERA = camera_role("camera")
LONG = Shot(frame_count=60)


def other_run(take: TakeResult, seed: int = 9) -> TakeResult:
    """The same footage tracked again: another expression, a nod more."""
    rng = np.random.default_rng(seed)
    return replace(
        take,
        expression=rng.uniform(0, 1, take.expression.shape).astype(np.float32),
        head_rotation=take.head_rotation + rng.normal(0, 0.01, take.head_rotation.shape),
    )


def scaled(head: HeadGeometry, size: float) -> HeadGeometry:
    """The head of a larger or smaller person."""
    arrays_of = ("neutral", "joints", "expression_deltas")
    return replace(head, **{name: getattr(head, name) * np.float32(size) for name in arrays_of})


def part_of(take: TakeResult, first: int, last: int) -> TakeResult:
    """The run of some scene frames alone."""
    frames = np.flatnonzero((take.scene_frames >= first) & (take.scene_frames <= last))
    return arrays.at_frames(take, frames)


def keys_of(collection: Any) -> dict[tuple[str, str, int], dict[str, NDArray]]:
    """Every number of every key of a take, by data-block, data path and index."""
    return {
        (role, curve.data_path, curve.array_index): dict(compat.read_keys(curve).numbers)
        for role, block in versions.animated(collection).items()
        for curve in compat.action_curves(block)
    }


def curve_of(block: Any, path: str, index: int = 0) -> Any:
    return next(c for c in compat.action_curves(block) if (c.data_path, c.array_index) == (path, index))


def make_by_hand(collection: Any) -> dict[str, Any]:
    """What an animator does to a head: all of it must outlive a re-track."""
    head, rig, camera = collection[HEAD], collection[ARMATURE], collection[CAMERA]
    keys = head.data.shape_keys
    keys.animation_data.action.name = "hero face"
    head.name, rig.name, head.data.name = "hero", "hero rig", "hero mesh"
    extra = head.shape_key_add(name="scar", from_mix=False)
    extra.data[3].co.x += 0.01
    extra.value = 0.5
    group = head.vertex_groups.new(name="hat")
    group.add([1, 2, 3], 0.7, "REPLACE")
    head.modifiers.new("thick", "SOLIDIFY")
    head.data.materials.append(bpy.data.materials.new("paint"))
    head.material_slots[0].material = bpy.data.materials["paint"]
    head["note"], rig["note"] = "mine", 3
    rig.constraints.new("LIMIT_SCALE").name = "limit"
    rig.pose.bones["neck"].rotation_mode = "XYZ"
    rig.pose.bones["neck"].rotation_euler.x = 0.2
    rig.pose.bones["neck"].keyframe_insert("rotation_euler", frame=5)
    camera.data.clip_start = 0.5
    hat = bpy.data.objects.new("hat", None)
    collection.objects.link(hat)
    hat.parent = head
    return {
        name: getattr(bpy.data, kind)[name]
        for kind, name in (
            ("objects", "hero"),
            ("objects", "hero rig"),
            ("objects", "hat"),
            ("meshes", "hero mesh"),
            ("materials", "paint"),
            ("actions", "hero face"),
        )
    }


def assert_hand_made_is_there(collection: Any, made: dict[str, Any]) -> None:
    head, rig = collection[HEAD], collection[ARMATURE]
    assert head == made["hero"] and rig == made["hero rig"] and head.data == made["hero mesh"]
    for name, block in made.items():
        assert block.name == name
    keys = head.data.shape_keys.key_blocks
    offset = np.array(keys["scar"].data[3].co) - np.array(keys["Basis"].data[3].co)
    assert offset == pytest.approx([0.01, 0, 0], abs=1e-6) and keys["scar"].value == 0.5
    hat = head.vertex_groups["hat"].index
    assert [g.weight for v in (1, 2, 3) for g in head.data.vertices[v].groups if g.group == hat] == pytest.approx(
        [0.7] * 3
    )
    assert [m.type for m in head.modifiers] == ["ARMATURE", "SOLIDIFY"]
    assert head.material_slots[0].material == made["paint"] and len(head.material_slots) == 5
    assert head["note"] == "mine" and rig["note"] == 3 and rig.constraints[0].name == "limit"
    assert collection[CAMERA].data.clip_start == pytest.approx(0.5)
    assert made["hat"].parent == head
    neck = curve_of(rig, 'pose.bones["neck"].rotation_euler')
    assert [tuple(p.co) for p in neck.keyframe_points] == [(5, pytest.approx(0.2))]


@pytest.mark.parametrize("frames", [None, (20, 40)], ids=["whole", "part"])
def test_all_that_was_made_by_hand_stays(frames: tuple[int, int] | None) -> None:
    take = make_take(LONG)
    collection = build.build_take(bpy.context, take)
    made = make_by_hand(collection)
    again = other_run(take)
    again = replace(again, head=replace(again.head, neutral=again.head.neutral * np.float32(1.05)))
    assert build.build_take(bpy.context, part_of(again, *frames) if frames else again) == collection
    assert_hand_made_is_there(collection, made)
    assert (
        made["hero face"].use_fake_user and made["hero face"] != collection[HEAD].data.shape_keys.animation_data.action
    )


def test_a_whole_run_shows_what_was_fitted_with_its_new_shape() -> None:
    take = make_take(Shot())
    build.build_take(bpy.context, take)
    again = replace(other_run(take), head=scaled(take.head, 1.1))
    collection = build.build_take(bpy.context, again)
    for index in (0, 7, 11):
        show(again.scene_frames[index])
        assert np.abs(shown_pixels(collection) - project(again, index)).max() < 0.05


def test_a_part_leaves_every_key_outside_as_it_is_bit_by_bit() -> None:
    take = make_take(Shot(frame_count=500, moving_camera=True, zoom=True))
    collection = build.build_take(bpy.context, take)
    head, rig = collection[HEAD], collection[ARMATURE]
    jaw = curve_of(head.data.shape_keys, 'key_blocks["jawOpen"].value')
    for key in jaw.keyframe_points[190:290]:
        key.interpolation, key.handle_left_type, key.handle_right_type = "BEZIER", "FREE", "ALIGNED"
        key.handle_right.y += 0.1
    jaw.keyframe_points[10].co.y = 0.123
    for key in curve_of(rig, "rotation_euler", 2).keyframe_points:
        key.interpolation, key.type = "BEZIER", "BREAKDOWN"
    curve_of(rig, "location", 1).keyframe_points[498].select_control_point = True
    jaw.update()
    before = keys_of(collection)
    build.build_take(bpy.context, part_of(other_run(take), 200, 239))
    after = keys_of(collection)
    assert before.keys() == after.keys()
    changed = 0
    for name, old in before.items():
        new = after[name]
        outside = (old["co"][:, 0] < 200) | (old["co"][:, 0] > 239)
        still = (new["co"][:, 0] < 200) | (new["co"][:, 0] > 239)
        for number in old:
            assert old[number][outside].tobytes() == new[number][still].tobytes(), (name, number)
        changed += not np.array_equal(old["co"], new["co"])
    assert changed == 4 + 3, "expressions and head rotation are new inside, and nothing else is"


def test_inside_a_part_is_the_new_run_led_from_and_to_the_old_one() -> None:
    take = make_take(LONG)
    collection = build.build_take(bpy.context, take)
    new = part_of(other_run(take), 20, 40)
    build.build_take(bpy.context, new)
    keys = collection[HEAD].data.shape_keys
    got = np.array([p.co.y for p in curve_of(keys, 'key_blocks["browUp"].value').keyframe_points])
    old, wanted = take.expression[:, 1], new.expression[:, 1]
    assert got[23:36] == pytest.approx(wanted[4:17], abs=1e-6)
    for frame, share in ((19, 0.104), (39, 0.104), (20, 0.352), (38, 0.352)):
        assert got[frame] == pytest.approx(old[frame] + share * (wanted[frame - 19] - old[frame]), abs=1e-3)
    turn = [[p.co.y for p in curve_of(collection[ARMATURE], "rotation_euler", i).keyframe_points] for i in range(3)]
    assert np.abs(np.diff(turn, axis=1)).max() < 0.2, "no flip at a border"


def test_keys_edited_by_hand_lead_into_the_part() -> None:
    take = make_take(LONG)
    collection = build.build_take(bpy.context, take)
    jaw = curve_of(collection[HEAD].data.shape_keys, 'key_blocks["jawOpen"].value')
    for point in jaw.keyframe_points:
        point.co.y = 7.0
    build.build_take(bpy.context, part_of(other_run(take), 20, 40))
    jaw = curve_of(collection[HEAD].data.shape_keys, 'key_blocks["jawOpen"].value')
    values = [point.co.y for point in jaw.keyframe_points]
    assert values[:19] == [7.0] * 19 and values[40:] == [7.0] * 20
    assert 5 < values[19] < 7 and max(values[24:35]) <= 1


def test_a_curve_that_was_thinned_out_keeps_its_course_outside() -> None:
    take = make_take(LONG)
    collection = build.build_take(bpy.context, take)
    smile = curve_of(collection[HEAD].data.shape_keys, 'key_blocks["smile_L"].value')
    points = smile.keyframe_points
    for index in reversed(range(len(points))):
        if index not in (2, 30, 55):
            points.remove(points[index])
    for point, value in zip(points, (0.1, 0.9, 0.3), strict=True):
        point.co.y, point.interpolation = value, "BEZIER"
    smile.update()
    course = [smile.evaluate(frame) for frame in range(1, 61)]
    kept = [compat.read_keys(smile).numbers[name][[0, 2]].tobytes() for name in ("co", "handle_left", "handle_right")]
    build.build_take(bpy.context, part_of(other_run(take), 20, 40))
    smile = curve_of(collection[HEAD].data.shape_keys, 'key_blocks["smile_L"].value')
    after = [smile.evaluate(frame) for frame in range(1, 61)]
    assert after[:19] == pytest.approx(course[:19], abs=1e-5) and after[40:] == pytest.approx(course[40:], abs=1e-5)
    numbers = compat.read_keys(smile).numbers
    own = np.isin(numbers["co"][:, 0], (3, 56))
    assert [numbers[name][own].tobytes() for name in ("co", "handle_left", "handle_right")] == kept


def test_a_part_is_seen_through_the_takes_own_camera_as_the_new_run_saw_it() -> None:
    """Alone it found a shorter lens, another centre of the picture and a head a tenth larger."""
    take = make_take(LONG)
    collection = build.build_take(bpy.context, take)
    view = take.cameras[0]
    short = replace(view, focal_px=view.focal_px * 0.8, principal_point=view.principal_point + np.array((8.0, -5.0)))
    larger = scaled(take.head, 1.1)
    alone = replace(take, cameras=(short,), head=larger, head_translation=take.head_translation * [1.1, 1.1, 0.88])
    new = part_of(alone, 20, 40)
    truth = project(new, 10)
    build.build_take(bpy.context, new)
    show(30)
    off = shown_pixels(collection) - truth
    assert np.ptp(truth, axis=0).min() > 100
    assert np.abs(off.mean(axis=0)).max() < 1.0, "at its place, though a nearer head is seen in another perspective"
    assert np.ptp(shown_pixels(collection), axis=0) == pytest.approx(np.ptp(truth, axis=0), rel=0.03)


def test_a_run_that_goes_on_after_the_take_lengthens_it() -> None:
    take = make_take(LONG)
    collection = build.build_take(bpy.context, part_of(take, 1, 40))
    build.build_take(bpy.context, part_of(other_run(take), 31, 60))
    assert versions.current(collection).span == (1, 60) and versions.current(collection).frames == (31, 60)
    jaw = curve_of(collection[HEAD].data.shape_keys, 'key_blocks["jawOpen"].value')
    assert [p.co.x for p in jaw.keyframe_points] == list(range(1, 61))


def points_of(key: Any) -> NDArray:
    return np.array([tuple(point.co) for point in key.data])


def in_blender(points: NDArray) -> NDArray:
    return np.stack([points[:, 0], -points[:, 2], points[:, 1]], axis=1)


def test_sculpted_shapes_stay_on_top_of_the_new_shape() -> None:
    take = make_take(Shot())
    collection = build.build_take(bpy.context, take)
    keys = collection[HEAD].data.shape_keys.key_blocks
    keys["Basis"].data[5].co.z += 0.002
    keys["smile_L"].data[9].co.x -= 0.003
    again = replace(take, head=replace(take.head, neutral=take.head.neutral * np.float32(1.2)))
    build.build_take(bpy.context, again)
    basis = points_of(keys["Basis"])
    expected = np.zeros_like(basis)
    expected[5, 2] = 0.002
    assert np.abs(basis - in_blender(again.head.neutral) - expected).max() < 1e-6
    smile = points_of(keys["smile_L"]) - basis
    expected = np.zeros_like(smile)
    expected[9, 0], expected[5, 2] = -0.003, -0.002  # the neutral was moved under it
    assert np.abs(smile - in_blender(again.head.expression_deltas[2]) - expected).max() < 1e-6
    assert "sculpted" in versions.current(collection).notes


def test_a_head_whose_faces_were_changed_by_hand_keeps_its_shape() -> None:
    take = make_take(Shot())
    collection = build.build_take(bpy.context, take)
    head = collection[HEAD]
    bpy.context.view_layer.objects.active = head
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.mesh.subdivide()
    bpy.ops.object.mode_set(mode="OBJECT")
    count = len(head.data.vertices)
    assert not plan.plan_for(bpy.context.scene, take).lost
    again = other_run(take)
    build.build_take(bpy.context, again)
    assert len(head.data.vertices) == count > len(take.head.neutral)
    assert "changed by hand" in versions.current(collection).notes
    show(4)
    assert head.data.shape_keys.key_blocks["browUp"].value == pytest.approx(again.expression[3, 1], abs=1e-6)


def test_a_renamed_shape_key_stays_that_expression() -> None:
    take = make_take(Shot())
    collection = build.build_take(bpy.context, take)
    keys = collection[HEAD].data.shape_keys.key_blocks
    keys["browUp"].name = "Brows"
    again = other_run(take)
    build.build_take(bpy.context, again)
    assert [key.name for key in keys] == ["Basis", "jawOpen", "Brows", "smile_L", "free"]
    show(4)
    assert keys["Brows"].value == pytest.approx(again.expression[3, 1], abs=1e-6)


def test_bones_follow_the_new_joints_but_where_the_user_moved_them() -> None:
    take = make_take(Shot())
    collection = build.build_take(bpy.context, take)
    rig = collection[ARMATURE]
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    rig.data.edit_bones["jaw"].tail.z -= 0.02
    rig.data.edit_bones["neck"].name = "spine.006"
    hat = rig.data.edit_bones.new("hat")
    hat.head, hat.tail, hat.parent = (0, 0, 0.1), (0, 0, 0.2), rig.data.edit_bones["spine.006"]
    bpy.ops.object.mode_set(mode="OBJECT")
    jaw = rig.data.bones["jaw"].tail_local.copy()
    moved = replace(take.head, joints=take.head.joints + np.float32(0.01))
    build.build_take(bpy.context, replace(take, head=moved))
    assert [bone.name for bone in rig.data.bones] == ["root", "spine.006", "jaw", "left_eye", "right_eye", "hat"]
    assert (rig.data.bones["jaw"].tail_local - jaw).length < 1e-6
    eye = moved.joints[3]
    assert tuple(rig.data.bones["left_eye"].head_local) == pytest.approx((eye[0], -eye[2], eye[1]), abs=1e-6)


@pytest.mark.parametrize("mode", ["QUATERNION", "AXIS_ANGLE", "XYZ"])
@pytest.mark.parametrize("frames", [None, (20, 40)], ids=["whole", "part"])
def test_another_rotation_mode_of_the_users_is_keyed(mode: str, frames: tuple[int, int] | None) -> None:
    take = make_take(LONG)
    collection = build.build_take(bpy.context, take)
    collection[ARMATURE].rotation_mode = mode
    collection[ARMATURE].pose.bones["left_eye"].rotation_mode = mode
    build.build_take(bpy.context, other_run(take))
    again = other_run(take, 4)
    build.build_take(bpy.context, part_of(again, *frames) if frames else again)
    paths = {curve.data_path for curve in compat.action_curves(collection[ARMATURE])}
    used = {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}.get(mode, "rotation_euler")
    assert {path for path in paths if path.startswith("rotation")} == {used}
    show(30)
    assert np.abs(shown_pixels(collection) - project(again, 29)).max() < 0.1


def test_a_take_of_the_add_on_before_is_understood() -> None:
    """It has no root, no versions, materials that all heads shared, and says nothing of expressions."""
    take = make_take(LONG)
    collection = build.build_take(bpy.context, take)
    as_before(collection)
    show(30)
    before = shown_pixels(collection)
    old = {
        role: block.animation_data.action
        for role, block in versions.animated(collection).items()
        if block.animation_data
    }
    new = part_of(take, 20, 40)
    assert build.build_take(bpy.context, new) == collection
    assert [version.number for version in versions.all_of(collection)] == [1, 2]
    assert collection[ARMATURE].parent == collection[ROOT] == collection[CAMERA].parent
    show(30)
    assert np.abs(shown_pixels(collection) - before).max() < 0.05
    assert all(action.use_fake_user for action in old.values())
    whole = other_run(take)
    build.build_take(bpy.context, whole)
    show(30)
    assert np.abs(shown_pixels(collection) - project(whole, 29)).max() < 0.05


def as_before(collection: Any) -> None:
    """What the previous add-on left of a take."""
    bpy.data.objects.remove(collection[ROOT])
    for key in (ROOT, versions.RECORD, versions.CURRENT):
        del collection[key]
    mesh = collection[HEAD].data
    del mesh["flowface_expressions"]
    for material in mesh.materials:
        del material["flowface_take"]
    for bone in collection[ARMATURE].data.bones:
        del bone["flowface_joint"]
    for block in versions.animated(collection).values():
        if block.animation_data is not None and block.animation_data.action is not None:
            del block.animation_data.action["flowface_curves"]
