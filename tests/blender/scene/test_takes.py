"""Takes as things: placed, listed, renamed, hidden, duplicated, deleted, copied and appended."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from mathutils import Matrix, Vector

from blender_addon import settings
from blender_addon.panels.takes import FLOWFACE_UL_takes
from blender_addon.scene import build, footage, retime, takes
from blender_addon.scene import versions_of_take as versions
from blender_addon.scene.ownership import ARMATURE, HEAD, ROOT, TAKE_KEY, built, camera_role, takes_of

from ..takes import Shot, make_take, project, write_clip
from .test_build import show, shown_pixels
from .test_retrack import LONG, keys_of, make_by_hand, other_run, part_of, scaled
from .test_versions import assert_same_keys

CAMERA = camera_role("camera")


def two_takes() -> tuple[Any, Any]:
    return tuple(build.build_take(bpy.context, make_take(Shot(name=name))) for name in ("one", "two"))


def seen_through(collection: Any, camera: Any) -> np.ndarray:
    bpy.context.scene.camera = camera
    return shown_pixels(collection)


def test_one_empty_places_and_scales_a_take() -> None:
    take = make_take(Shot(moving_camera=True))
    collection = build.build_take(bpy.context, take)
    root = collection[ROOT]
    assert root.type == "EMPTY" and {obj.parent for obj in built(collection).values()} == {
        None,
        root,
        collection[ARMATURE],
    }
    keys = keys_of(collection)
    root.matrix_world = Matrix.LocRotScale(Vector((3, -2, 1)), Matrix.Rotation(0.7, 3, "Z"), Vector((2, 2, 2)))
    for index in (0, 8):
        show(take.scene_frames[index])
        assert np.abs(shown_pixels(collection) - project(take, index)).max() < 0.05, "lens and head move as one"
    assert collection[HEAD].matrix_world.median_scale == pytest.approx(2)
    again = other_run(take)
    build.build_take(bpy.context, again)
    assert root.location == Vector((3, -2, 1)), "it is the user's"
    show(5)
    assert np.abs(shown_pixels(collection) - project(again, 4)).max() < 0.05
    location = ("pose", "location", 0)
    assert keys[location]["co"][:, 1] == pytest.approx(keys_of(collection)[location]["co"][:, 1], abs=0.02)


def test_a_second_head_stands_beside_the_first() -> None:
    one, two = two_takes()
    show(5)
    places = [collection[HEAD].matrix_world.translation for collection in (one, two)]
    assert (places[0] - places[1]).length > 0.5
    for collection in (one, two):
        seen = seen_through(collection, collection[CAMERA])
        assert np.abs(seen - project(make_take(Shot()), 4)).max() < 0.05


def test_another_take_leaves_the_scenes_settings_alone() -> None:
    scene = bpy.context.scene
    build.build_take(bpy.context, make_take(Shot(name="one", frame_rate=24, size=(640, 360))))
    camera, before = scene.camera, (scene.render.resolution_x, scene.render.fps, scene.frame_start, scene.frame_end)
    second = make_take(Shot(name="two", frame_rate=50, size=(360, 640), first_frame=101))
    collection = build.build_take(bpy.context, second)
    build.build_take(bpy.context, other_run(make_take(Shot(name="one", frame_rate=24, frame_count=30))))
    assert (scene.render.resolution_x, scene.render.fps, scene.frame_start, scene.frame_end) == before
    assert scene.camera == camera
    build.match_take(scene, collection)
    assert (scene.render.resolution_x, scene.render.resolution_y, scene.render.fps) == (360, 640, 50)
    assert (scene.frame_start, scene.frame_end, scene.camera) == (101, 112, collection[CAMERA])


def test_takes_have_materials_of_their_own() -> None:
    one, two = two_takes()
    mine, others = ([slot.material for slot in c[HEAD].material_slots] for c in (one, two))
    assert not set(mine) & set(others) and [m.name for m in mine][:2] == ["one skin", "one eyes"]


@pytest.mark.usefixtures("addon")
def test_the_list_shows_the_scenes_takes_and_chooses_one() -> None:
    one, two = two_takes()
    bpy.data.collections.new("no take")
    chosen = settings.of(bpy.context.scene)
    rows = FLOWFACE_UL_takes.filter_items(RowsOnly, bpy.context, bpy.data, "collections")[0]
    assert [name for name, shown in zip(bpy.data.collections.keys(), rows, strict=True) if shown] == ["one", "two"]
    for take in (two, one):
        chosen.active_take = bpy.data.collections.find(take.name)
        assert takes.shown_take(bpy.context) == take and bpy.data.collections[chosen.active_take] == take
    bpy.context.view_layer.objects.active = two[HEAD]
    assert bpy.data.collections[chosen.active_take] == two, "an object of it that is picked in the viewport counts, too"


class RowsOnly:
    bitflag_filter_item = 1


@pytest.mark.usefixtures("addon")
def test_renaming_takes_along_what_was_called_after_it() -> None:
    take = make_take(Shot())
    collection = build.build_take(bpy.context, take)
    collection[HEAD].name = "hero"
    collection.flowface_name = "Anna"
    assert (collection.name, collection[ROOT].name, collection[ARMATURE].name) == ("Anna", "Anna root", "Anna")
    assert collection[HEAD].name == "hero" and collection[HEAD].data.name == "Anna head"
    assert {action.name for action in bpy.data.actions} == {"Anna head pose", "Anna expression"}
    build.build_take(bpy.context, other_run(take))
    assert [c.name for c in takes_of(bpy.context.scene)] == ["Anna"], "it is known by its footage"
    assert collection[ARMATURE].animation_data.action.name == "Anna head pose v2"


@pytest.mark.usefixtures("addon")
def test_showing_one_hides_the_others_until_all_are_wanted() -> None:
    one, two = two_takes()
    bpy.context.view_layer.objects.active = one[HEAD]
    camera = bpy.context.scene.camera
    assert bpy.ops.flowface.take_show_only() == {"FINISHED"}
    assert (one.hide_viewport, one.hide_render, two.hide_viewport, two.hide_render) == (False, False, True, True)
    assert bpy.context.scene.camera == camera
    bpy.ops.flowface.take_show_only()
    assert not two.hide_viewport and not two.hide_render


def test_a_hidden_take_is_tracked_again_and_stays_hidden() -> None:
    take = make_take(Shot())
    collection = build.build_take(bpy.context, take)
    collection.hide_viewport = True
    collection[ARMATURE].hide_viewport = True
    collection[ARMATURE].hide_set(True)
    build.build_take(bpy.context, replace(take, head=scaled(take.head, 1.2)))
    assert collection.hide_viewport and collection[ARMATURE].hide_viewport
    collection.hide_viewport = collection[ARMATURE].hide_viewport = False
    show(5)
    assert np.abs(shown_pixels(collection) - project(replace(take, head=scaled(take.head, 1.2)), 4)).max() < 0.05


@pytest.mark.usefixtures("addon")
def test_deleting_a_take_leaves_nothing_of_it_and_all_that_is_the_users(tmp_path: Path) -> None:
    kinds = ("objects", "meshes", "armatures", "cameras", "actions", "materials", "collections", "movieclips")
    kept = build.build_take(bpy.context, make_take(Shot(name="kept")))
    counts = {kind: len(getattr(bpy.data, kind)) for kind in kinds}
    take = make_take(Shot(footage=str(write_clip(tmp_path / "clip.mp4", 160, 96)), moving_camera=True, zoom=True))
    collection = build.build_take(bpy.context, take)
    build.build_take(bpy.context, replace(other_run(take), head=scaled(take.head, 1.1)))
    hat = bpy.data.objects.new("hat", None)
    collection.objects.link(hat)
    hat.parent = collection[HEAD]
    show(5)
    world = hat.matrix_world.copy()
    bpy.context.view_layer.objects.active = collection[HEAD]
    assert bpy.ops.flowface.take_delete() == {"FINISHED"}
    bpy.context.view_layer.update()
    assert {kind: len(getattr(bpy.data, kind)) for kind in kinds} == {**counts, "objects": counts["objects"] + 1}
    assert hat.parent is None and np.abs(np.array(hat.matrix_world - world)).max() < 1e-6
    assert hat.name in bpy.context.scene.objects and takes_of(bpy.context.scene) == [kept]


@pytest.mark.usefixtures("addon")
def test_a_duplicate_shares_nothing_and_plays_the_same() -> None:
    take = make_take(LONG)
    collection = build.build_take(bpy.context, take)
    made = make_by_hand(collection)
    build.build_take(bpy.context, other_run(take))
    bpy.context.view_layer.objects.active = collection[HEAD]
    assert bpy.ops.flowface.take_duplicate() == {"FINISHED"}
    copy = takes.shown_take(bpy.context)
    assert copy != collection and [v.number for v in versions.all_of(copy)] == [1, 2]
    assert_same_keys(keys_of(copy), keys_of(collection))
    for role, obj in built(copy).items():
        assert (obj != collection[role] and obj.data != collection[role].data) or obj.type == "EMPTY"
    assert copy[HEAD].parent == copy[ARMATURE] and copy[ARMATURE].parent == copy[ROOT]
    assert copy[HEAD].modifiers[0].object == copy[ARMATURE]
    hat = next(obj for obj in copy.objects if obj.name.startswith("hat"))
    assert hat != made["hat"] and hat.parent == copy[HEAD]
    assert copy[HEAD].material_slots[1].material != collection[HEAD].material_slots[1].material
    actions = [set(versions.actions_of(c)) for c in (collection, copy)]
    assert not actions[0] & actions[1] and len(actions[0]) == len(actions[1])
    assert copy.name == "take.001" and copy[CAMERA].name == "take.001 camera" and copy[ROOT].name == "take.001 root"
    show(30)
    assert np.abs(seen_through(copy, copy[CAMERA]) - seen_through(collection, collection[CAMERA])).max() < 0.05
    assert (copy[HEAD].matrix_world.translation - collection[HEAD].matrix_world.translation).length > 0.5

    before = keys_of(collection)
    versions.switch(bpy.context, copy, 1)
    assert_same_keys(keys_of(collection), before)
    bpy.ops.flowface.take_delete()
    assert takes_of(bpy.context.scene) == [collection]
    show(30)
    assert np.isfinite(shown_pixels(collection)).all()


def test_moving_a_copy_in_time_leaves_the_footage_of_the_other(tmp_path: Path) -> None:
    take = make_take(Shot(footage=str(write_clip(tmp_path / "clip.mp4", 160, 96))))
    collection = build.build_take(bpy.context, take)
    copy = takes.duplicate(bpy.context.scene, collection)
    for start, speed in ((21.0, 0.5), (31.0, 1.0)):
        retime.retime(copy, start=start, speed=speed)
        mine, others = (c[CAMERA].data for c in (collection, copy))
        assert [footage.shown_number(mine, frame) for frame in (1, 12)] == [1, 12]
        bpy.context.scene.frame_set(round(start + 4 / speed))
        assert footage.shown_number(others, round(start + 4 / speed)) == 5


def test_the_chosen_one_of_two_takes_of_a_footage_is_tracked_again() -> None:
    take = make_take(Shot())
    collection = build.build_take(bpy.context, take)
    copy = takes.duplicate(bpy.context.scene, collection)
    before = keys_of(collection)
    chosen = build.plan_for(bpy.context.scene, other_run(take), preferred=copy)
    assert build.build_take(bpy.context, other_run(take), plan=chosen) == copy
    assert_same_keys(keys_of(collection), before)


def test_a_full_copy_of_the_scene_is_tracked_on_its_own() -> None:
    take = make_take(Shot())
    original = build.build_take(bpy.context, take)
    build.build_take(bpy.context, other_run(take))
    before = keys_of(original)
    first = set(versions.actions_of(original))
    bpy.ops.scene.new(type="FULL_COPY")
    scene = bpy.context.scene
    (copy,) = takes_of(scene)
    assert copy != original and copy[HEAD] != original[HEAD] and copy[HEAD].name in scene.objects
    build.build_take(bpy.context, part_of(other_run(take, 5), 4, 9))
    versions.switch(bpy.context, copy, 1)
    assert versions.current(copy).number == 1
    assert_same_keys(keys_of(original), before)
    assert not first & set(versions.actions_of(copy)), "older versions that Blender let both have are the copy's own"


def test_an_appended_take_is_whole(tmp_path: Path) -> None:
    take = make_take(LONG)
    collection = build.build_take(bpy.context, take)
    first = keys_of(collection)
    build.build_take(bpy.context, replace(other_run(take), head=scaled(take.head, 1.2)))
    newest = keys_of(collection)
    blend = str(tmp_path / "scene.blend")
    bpy.ops.wm.save_as_mainfile(filepath=blend)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(blend) as (_, wanted):
        wanted.collections = ["take"]
    (collection,) = wanted.collections
    bpy.context.scene.collection.children.link(collection)
    assert takes_of(bpy.context.scene) == [collection]
    assert_same_keys(keys_of(collection), newest)
    versions.switch(bpy.context, collection, 1)
    assert_same_keys(keys_of(collection), first)
    build.match_take(bpy.context.scene, collection)
    show(30)
    assert np.abs(shown_pixels(collection) - project(take, 29)).max() < 0.05
    new = other_run(take, 6)
    assert build.build_take(bpy.context, new) == collection
    show(30)
    assert np.abs(shown_pixels(collection) - project(new, 29)).max() < 0.05


def test_a_linked_take_is_not_touched(tmp_path: Path) -> None:
    take = make_take(Shot())
    build.build_take(bpy.context, take)
    blend = str(tmp_path / "scene.blend")
    bpy.ops.wm.save_as_mainfile(filepath=blend)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(blend, link=True) as (_, wanted):
        wanted.collections = ["take"]
    (linked,) = wanted.collections
    bpy.context.scene.collection.children.link(linked)
    own = build.build_take(bpy.context, other_run(take))
    assert own != linked and own.library is None and linked[TAKE_KEY] == own[TAKE_KEY]
