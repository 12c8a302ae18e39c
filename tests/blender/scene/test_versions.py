"""The versions of a take are switched as one, and each keeps what was made of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from blender_addon.operators import take_version
from blender_addon.scene import build, plan, shape
from blender_addon.scene import versions_of_take as versions
from blender_addon.scene.ownership import ARMATURE, HEAD, JOB_KEY, camera_role, takes_of

from ..takes import Shot, make_take, project, write_clip
from .test_build import show, shown_pixels
from .test_retrack import LONG, curve_of, keys_of, other_run, part_of, scaled

CAMERA = camera_role("camera")


def assert_same_keys(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for name in one:
        for number in one[name]:
            assert one[name][number].tobytes() == other[name][number].tobytes(), (name, number)


def test_each_run_is_a_version_with_actions_of_its_own() -> None:
    take = make_take(Shot(moving_camera=True, zoom=True))
    collection = build.build_take(bpy.context, take, job="first")
    first = {
        role: block.animation_data.action
        for role, block in versions.animated(collection).items()
        if block.animation_data
    }
    build.build_take(bpy.context, other_run(take), job="second")
    build.build_take(bpy.context, part_of(other_run(take, 3), 3, 9), job="third")
    found = versions.all_of(collection)
    assert [(v.number, v.job, v.frames, v.span) for v in found] == [
        (1, "first", (1, 12), (1, 12)),
        (2, "second", (1, 12), (1, 12)),
        (3, "third", (3, 9), (1, 12)),
    ]
    assert all(len(v.date) == 25 for v in found) and found[2].notes.startswith("Frames 3 to 9 were set into the take")
    assert versions.current(collection) == found[2] and collection[JOB_KEY] == "second", "which has all frames"
    assert set(first) == {"pose", "expression", "camera:camera", "lens:camera"}
    for role, action in first.items():
        assert action.use_fake_user and action != versions.animated(collection)[role].animation_data.action
    assert len(bpy.data.actions) == 3 * len(first)


def test_a_version_comes_back_as_it_was_left() -> None:
    """Edited keys, a renamed Action, cameras that stand still, lens, shape and joints."""
    take = make_take(LONG)
    collection = build.build_take(bpy.context, take)
    head, keys = collection[HEAD], collection[HEAD].data.shape_keys
    curve_of(keys, 'key_blocks["jawOpen"].value').keyframe_points[29].co.y = 0.625
    keys.animation_data.action.name = "mine"
    kept = keys_of(collection)
    show(30)
    pixels, lens = shown_pixels(collection), collection[CAMERA].data.lens
    again = replace(other_run(take), head=scaled(take.head, 1.2))
    view = replace(take.cameras[0], focal_px=take.cameras[0].focal_px * 1.5)
    build.build_take(bpy.context, replace(again, cameras=(view,)))
    newer = keys_of(collection)
    assert collection[CAMERA].data.lens == pytest.approx(1.5 * lens)
    versions.switch(bpy.context, collection, 1)
    assert_same_keys(keys_of(collection), kept)
    assert keys.animation_data.action.name == "mine" and collection[CAMERA].data.lens == lens
    assert collection[HEAD] == head
    show(30)
    assert np.abs(shown_pixels(collection) - pixels).max() < 1e-3
    versions.switch(bpy.context, collection, 2)
    assert_same_keys(keys_of(collection), newer)
    show(30)
    assert np.abs(shown_pixels(collection) - project(replace(again, cameras=(view,)), 29)).max() < 0.05


def test_what_was_sculpted_is_on_the_head_in_every_version() -> None:
    take = make_take(Shot())
    collection = build.build_take(bpy.context, take)
    mesh = collection[HEAD].data
    mesh.shape_keys.key_blocks["Basis"].data[5].co.z += 0.004
    build.build_take(bpy.context, replace(take, head=scaled(take.head, 1.2)))
    versions.switch(bpy.context, collection, 1)
    basis = shape.shape_of(collection[HEAD], ())[0]
    off = basis[:, 2] - take.head.neutral[:, 1]
    assert off[5] == pytest.approx(0.004, abs=1e-6) and np.abs(np.delete(off, 5)).max() < 1e-6


def test_an_action_that_the_user_put_there_is_the_versions() -> None:
    take = make_take(Shot())
    collection = build.build_take(bpy.context, take)
    animation = collection[ARMATURE].animation_data
    animation.action = animation.action.copy()
    animation.action.name = "my own"
    build.build_take(bpy.context, other_run(take))
    assert bpy.data.actions["my own"].use_fake_user
    versions.switch(bpy.context, collection, 1)
    assert animation.action.name == "my own"


def test_the_next_run_builds_on_the_version_that_is_shown() -> None:
    take = make_take(LONG)
    collection = build.build_take(bpy.context, take)
    build.build_take(bpy.context, other_run(take))
    versions.switch(bpy.context, collection, 1)
    before = keys_of(collection)
    build.build_take(bpy.context, part_of(other_run(take, 5), 20, 40))
    after = keys_of(collection)
    jaw = ("expression", 'key_blocks["jawOpen"].value', 0)
    assert np.array_equal(after[jaw]["co"][:19], before[jaw]["co"][:19])
    assert [version.number for version in versions.all_of(collection)] == [1, 2, 3]


def test_a_camera_that_moves_in_one_version_only() -> None:
    still, moving = make_take(Shot()), make_take(Shot(moving_camera=True))
    collection = build.build_take(bpy.context, still)
    build.build_take(bpy.context, moving)
    camera = collection[CAMERA]
    show(9)
    assert np.abs(shown_pixels(collection) - project(moving, 8)).max() < 0.05
    versions.switch(bpy.context, collection, 1)
    show(9)
    assert camera.animation_data.action is None
    assert np.abs(shown_pixels(collection) - project(still, 8)).max() < 0.05
    versions.switch(bpy.context, collection, 2)
    show(9)
    assert np.abs(shown_pixels(collection) - project(moving, 8)).max() < 0.05


def other_head(take: Any) -> Any:
    """The same performance by another head model: one expression less."""
    head = take.head
    fewer = replace(
        head,
        expression_names=head.expression_names[:3],
        expression_deltas=head.expression_deltas[:3],
        expression_bounds=head.expression_bounds[:3],
        head_id="other",
    )
    return replace(take, head=fewer, expression=take.expression[:, :3])


def test_another_head_makes_a_second_take_unless_it_is_accepted() -> None:
    take = make_take(Shot())
    collection = build.build_take(bpy.context, take)
    head = collection[HEAD]
    head.shape_key_add(name="scar", from_mix=False)
    head.vertex_groups.new(name="hat")
    new, before = other_head(take), keys_of(collection)
    asked = plan.plan_for(bpy.context.scene, new)
    assert asked.other_head and not asked.updates
    assert asked.question() == (
        "“take” has another head. To replace it leaves its shape and its expressions' curves, the shape key “scar” and "
        "the vertex group “hat” with the version before, to which you can go back; a second take leaves all as it is."
    )
    second = build.build_take(bpy.context, new)
    assert second != collection and second.name == "take.001" and len(takes_of(bpy.context.scene)) == 2
    assert_same_keys(keys_of(collection), before)

    old = head.data
    build.build_take(bpy.context, new, plan=asked.accept())
    assert collection[HEAD] == head and head.data != old and len(takes_of(bpy.context.scene)) == 2
    assert [key.name for key in head.data.shape_keys.key_blocks] == ["Basis", "jawOpen", "browUp", "smile_L"]
    show(5)
    bpy.context.scene.camera = collection[CAMERA]
    assert np.abs(shown_pixels(collection) - project(new, 4)).max() < 0.05
    versions.switch(bpy.context, collection, 1)
    assert head.data == old and "scar" in old.shape_keys.key_blocks and "hat" in head.vertex_groups
    assert_same_keys(keys_of(collection), before)


@pytest.mark.usefixtures("addon")
def test_the_menu_tells_versions_apart() -> None:
    take = make_take(Shot())
    collection = build.build_take(bpy.context, take)
    assert not bpy.ops.flowface.take_version.poll()
    build.build_take(bpy.context, part_of(other_run(take), 3, 9))
    versions.rename(collection, 1, "Blocking")
    items = take_version._items(None, bpy.context)
    assert [(item[0], item[1]) for item in items] == [("2", "Version 2 (3–9)"), ("1", "Blocking (1–12)")]
    assert "were set into the take" in items[0][2]
    assert bpy.ops.flowface.take_version(version="1") == {"FINISHED"}
    assert versions.current(collection).name == "Blocking"
    assert collection.flowface_version_name == "Blocking"


def test_versions_are_saved(tmp_path: Path) -> None:
    take = make_take(Shot(footage=str(write_clip(tmp_path / "clip.mp4", 160, 96))))
    collection = build.build_take(bpy.context, take)
    kept = keys_of(collection)
    build.build_take(bpy.context, replace(other_run(take), head=scaled(take.head, 1.2)))
    name, blend = collection.name, str(tmp_path / "scene.blend")
    bpy.ops.wm.save_as_mainfile(filepath=blend)
    bpy.ops.wm.open_mainfile(filepath=blend)
    collection = bpy.data.collections[name]
    versions.switch(bpy.context, collection, 1)
    assert_same_keys(keys_of(collection), kept)
    show(5)
    assert np.abs(shown_pixels(collection) - project(take, 4)).max() < 0.05


@pytest.mark.usefixtures("addon")
def test_undo_takes_a_re_track_back_whole() -> None:
    take = make_take(LONG)
    collection = build.build_take(bpy.context, take)
    show(30)
    kept, pixels = keys_of(collection), shown_pixels(collection)
    bpy.ops.ed.undo_push(message="Before")
    build.build_take(bpy.context, part_of(replace(other_run(take), head=scaled(take.head, 1.1)), 20, 40))
    build.build_take(bpy.context, replace(other_run(take), head=scaled(take.head, 1.2)))
    bpy.ops.ed.undo_push(message="Tracked twice")
    bpy.ops.ed.undo()
    collection = bpy.data.collections["take"]
    assert_same_keys(keys_of(collection), kept)
    assert [version.number for version in versions.all_of(collection)] == [1]
    show(30)
    assert np.abs(shown_pixels(collection) - pixels).max() < 1e-3
    bpy.ops.ed.redo()
    assert versions.current(bpy.data.collections["take"]).number == 3


@pytest.mark.usefixtures("addon")
def test_a_deleted_version_leaves_nothing_and_the_newest_other_is_shown() -> None:
    take = make_take(LONG)
    collection = build.build_take(bpy.context, take)
    build.build_take(bpy.context, replace(other_run(take), head=scaled(take.head, 1.1)))
    second = keys_of(collection)
    counts = len(bpy.data.actions), len(bpy.data.meshes)
    build.build_take(bpy.context, replace(other_run(take, 5), head=scaled(take.head, 1.2)))
    assert bpy.ops.flowface.take_version_delete() == {"FINISHED"}
    assert [version.number for version in versions.all_of(collection)] == [1, 2]
    assert_same_keys(keys_of(collection), second)
    assert (len(bpy.data.actions), len(bpy.data.meshes)) == counts
    versions.switch(bpy.context, collection, 1)
    bpy.ops.flowface.take_version_delete()
    assert versions.current(collection).number == 2 and not bpy.ops.flowface.take_version_delete.poll()
    assert_same_keys(keys_of(collection), second)
    assert len(bpy.data.actions) == 2
    build.build_take(bpy.context, part_of(other_run(take, 6), 20, 40))
    assert versions.current(collection).number == 3
