"""Several faces of one take: each a head of its own, in one camera, found again and never mixed up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from blender_addon.operators.build_take import summary
from blender_addon.scene import actors, build, head_motion, retime, takes
from blender_addon.scene import versions_of_take as versions
from blender_addon.scene.ownership import ARMATURE, HEAD, JOB_KEY, ROOT, actors_of, camera_role, main_of, takes_of
from blender_addon.scene.plan import plan_for
from protocol.take import TakeResult

from ..takes import Shot, make_take, project
from .test_build import show, shown_pixels
from .test_retrack import assert_hand_made_is_there, keys_of, make_by_hand, other_run, part_of, scaled
from .test_versions import assert_same_keys

CAMERA = camera_role("camera")
ASIDE = np.array([0.25, 0.02, 0.1])
SHORT = Shot()
SEEN = {"faces_seen": 2}


def faces(shot: Shot = SHORT) -> tuple[TakeResult, TakeResult]:
    """Two people side by side, as one job fits them."""
    first = make_take(shot)
    second = other_run(replace(first, head=scaled(first.head, 1.1)), seed=2)
    second = replace(second, name="other", head_translation=first.head_translation + ASIDE)
    return replace(first, report=SEEN), replace(second, report={"head_number": 2, "faces_seen": 2})


def together(first: TakeResult, second: TakeResult) -> TakeResult:
    return replace(first, others=(second,))


def assert_seen(collection: Any, take: TakeResult, index: int = 7, within: float = 0.05) -> None:
    show(take.scene_frames[index])
    assert np.abs(shown_pixels(collection) - project(take, index)).max() < within


def two_heads(shot: Shot = SHORT) -> tuple[Any, Any, TakeResult, TakeResult]:
    first, second = faces(shot)
    collection = build.build_take(bpy.context, together(first, second), job="job")
    return collection, actors_of(collection)[0], first, second


@pytest.mark.parametrize("shot", [Shot(), Shot(moving_camera=True, zoom=True)], ids=["still", "moving"])
def test_each_face_is_a_head_under_one_root_seen_by_one_camera(shot: Shot) -> None:
    collection, other, first, second = two_heads(shot)
    assert_seen(collection, first)
    assert_seen(other, second)
    assert len([obj for obj in bpy.data.objects if obj.type == "CAMERA"]) == 1
    assert (
        other.name == "take head 2"
        and main_of(other) == collection
        and takes_of(bpy.context.scene)
        == [
            collection,
            other,
        ]
    )
    assert other[ARMATURE].parent == collection[ROOT] and build.main_camera(other) == collection[CAMERA]
    shared = {slot.material for slot in collection[HEAD].material_slots}
    assert not shared & {slot.material for slot in other[HEAD].material_slots}, "each has its own eyes"
    assert (collection[JOB_KEY], other[JOB_KEY]) == ("job", "job#2")
    bpy.context.view_layer.objects.active = other[ARMATURE]
    assert takes.shown_take(bpy.context) == other
    collection[ROOT].location.x += 2
    assert_seen(other, second)


def test_both_are_tracked_again_in_place_whichever_comes_first() -> None:
    collection, other, first, second = two_heads(Shot(frame_count=60))
    made = make_by_hand(collection)
    head, material = other[HEAD], other[HEAD].material_slots[0].material
    again = [other_run(take, seed=4) for take in (first, second)]
    swapped = together(replace(again[1], name="take", report=SEEN), replace(again[0], report={"head_number": 2} | SEEN))
    assert build.build_take(bpy.context, swapped, job="second") == collection
    assert_hand_made_is_there(collection, made)
    assert other[HEAD] == head and head.material_slots[0].material == material and actors_of(collection) == [other]
    assert_seen(other, again[1])
    assert (collection[JOB_KEY], other[JOB_KEY]) == ("second#2", "second")
    assert [len(versions.all_of(one)) for one in (collection, other)] == [2, 2]
    changed = actors.switch(bpy.context, other, 1)
    assert changed == [other, collection], "they were tracked together"
    assert_seen(other, second)
    assert versions.current(collection).number == 1


def test_a_second_face_tracked_alone_is_a_further_head_and_the_first_stays_bit_by_bit() -> None:
    first, second = faces()
    collection = build.build_take(bpy.context, first)
    keys = keys_of(collection)
    view = replace(second.cameras[0], focal_px=second.cameras[0].focal_px * 1.2)
    alone = replace(
        second, name="take", cameras=(view,), report=SEEN, head_translation=second.head_translation * [1, 1, 1.2]
    )
    plan = plan_for(bpy.context.scene, alone)
    assert plan.joins == collection and not plan.question()
    other = build.build_take(bpy.context, alone, plan=plan)
    assert main_of(other) == collection
    assert_same_keys(keys, keys_of(collection))
    show(8)
    off = shown_pixels(other) - project(alone, 7)
    assert np.abs(off.mean(axis=0)).max() < 2.5, "where the take's own camera sees it, in its perspective"
    part = part_of(other_run(alone), 8, 10)
    assert build.build_take(bpy.context, part) == other
    assert len(versions.all_of(other)) == 2 and len(versions.all_of(collection)) == 1
    assert_same_keys(keys, keys_of(collection))


def test_tracking_one_of_two_again_leaves_the_camera_that_the_other_is_seen_through() -> None:
    collection, other, first, second = two_heads()
    keys = keys_of(other)
    view = replace(first.cameras[0], focal_px=first.cameras[0].focal_px * 1.3)
    again = replace(other_run(first), cameras=(view,), head_translation=first.head_translation * [1, 1, 1.3])
    assert build.build_take(bpy.context, again) == collection
    assert_seen(other, second)
    assert_same_keys(keys, keys_of(other))
    show(8)
    assert np.abs((shown_pixels(collection) - project(again, 7)).mean(axis=0)).max() < 1.0
    assert "other heads" in versions.current(collection).notes


def test_footage_of_one_face_is_that_face_wherever_it_is() -> None:
    first, second = faces()
    collection = build.build_take(bpy.context, replace(first, report={}))
    assert build.build_take(bpy.context, replace(second, name="take", report={})) == collection
    assert not actors_of(collection) and len(versions.all_of(collection)) == 2


def test_heads_move_in_time_together_and_are_renamed_and_hidden_with_their_take() -> None:
    collection, other, first, second = two_heads()
    keys = keys_of(other)
    retime.retime(other, start=101, speed=0.5)
    for one, take in ((collection, first), (other, second)):
        show(101 + 2 * 7)
        assert np.abs(shown_pixels(one) - project(take, 7)).max() < 0.05
    retime.retime(collection, start=1, speed=1)
    assert_same_keys(keys, keys_of(other))
    takes.rename(collection, "duo")
    assert other.name == "duo head 2" and other[ARMATURE].name == "duo head 2"
    third = build.build_take(bpy.context, make_take(Shot(name="three")))
    assert takes.show_only(bpy.context.scene, other) and third.hide_viewport
    assert not collection.hide_viewport and not other.hide_viewport


def test_the_cameras_can_have_the_motion_of_the_first_head_only() -> None:
    collection, other, first, second = two_heads()
    with pytest.raises(head_motion.CannotMove, match="first head"):
        head_motion.move(other, head_motion.CAMERA)
    head_motion.move(collection, head_motion.CAMERA)
    assert_seen(other, second, within=0.1)
    again = [other_run(take) for take in (first, second)]
    build.build_take(bpy.context, together(*again))
    assert head_motion.place_of(collection) == head_motion.CAMERA
    for one, take in zip((collection, other), again, strict=True):
        assert_seen(one, take, within=0.1)


def test_a_take_is_duplicated_with_all_its_heads_and_deleted_head_by_head(tmp_path: Path) -> None:
    collection, other, first, second = two_heads()
    copy = takes.duplicate(bpy.context.scene, other)
    twin = actors_of(copy)[0]
    assert (copy.name, twin.name) == ("take.001", "take.001 head 2")
    assert twin[ARMATURE].parent == copy[ROOT] and twin[HEAD].parent == twin[ARMATURE]
    assert build.main_camera(twin) == copy[CAMERA]
    bpy.context.scene.camera = copy[CAMERA]
    assert_seen(twin, second)
    assert {*copy.objects, *twin.objects}.isdisjoint({*collection.objects, *other.objects})
    actions = {action for head in (copy, twin) for action in versions.actions_of(head)}
    assert actions.isdisjoint({action for head in (collection, other) for action in versions.actions_of(head)})
    takes.delete(copy)
    bpy.context.scene.camera = collection[CAMERA]
    assert_seen(other, second)
    takes.delete(other)
    assert takes_of(bpy.context.scene) == [collection] and collection[CAMERA].name in bpy.context.scene.objects
    assert_seen(collection, first)
    build.build_take(bpy.context, together(first, second))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "two.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "two.blend"))
    assert_seen(actors_of(bpy.data.collections["take"])[0], second)
    takes.delete(bpy.data.collections["take"])
    assert not takes_of(bpy.context.scene) and not len(bpy.data.objects) and not len(bpy.data.actions)


def test_a_full_copy_of_the_scene_has_heads_of_its_own() -> None:
    collection, other, *_ = two_heads()
    bpy.ops.scene.new(type="FULL_COPY")
    copy, twin = takes_of(bpy.context.scene)
    assert main_of(twin) == copy != collection and twin != other
    assert twin[ARMATURE].parent == copy[ROOT] and build.main_camera(twin) == copy[CAMERA]


def test_the_message_names_each_head() -> None:
    collection, other, first, second = two_heads()
    names = [collection.name, other.name]
    text = summary([first, second], names, collection, None, unmatched=False)
    assert text.startswith("Tracked “take”: 10 of 12 frames") and "Tracked “take head 2”: 10 of 12 frames" in text
    picked = replace(second, report={"faces_seen": 2, "face_chosen_by": "point"})
    assert "the one you picked was tracked" in summary([picked], ["take"], collection, None, unmatched=False)
