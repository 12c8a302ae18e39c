"""Tracking again changes what was built for the take in place, and nothing a user made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np

import blender_addon
from blender_addon.scene import build
from blender_addon.scene.ownership import ARMATURE, HEAD, ROOT, camera_role, shown_views
from protocol.take import TakeResult

from ..takes import Shot, make_take, write_clip

CAMERA = camera_role("camera")


def counts() -> dict[str, int]:
    kinds = ("objects", "meshes", "armatures", "cameras", "collections", "materials", "movieclips", "shape_keys")
    return {kind: sum(not block.name.startswith(".") for block in getattr(bpy.data, kind)) for kind in kinds}


def test_tracking_again_leaves_one_take_with_the_same_names(tmp_path: Path) -> None:
    shot = Shot(moving_camera=True, zoom=True, footage=str(write_clip(tmp_path / "clip.mp4", 160, 96)))
    take = make_take(shot)
    first = build.build_take(bpy.context, take)
    objects = {obj.name: obj for obj in first.objects}
    before = counts()
    other = replace(take, expression=np.zeros_like(take.expression))
    second = build.build_take(bpy.context, other)
    assert second == first
    assert counts() == before
    assert {obj.name: obj for obj in second.objects} == objects
    assert set(second.objects) == {second[ROOT], second[ARMATURE], second[HEAD], second[CAMERA]}
    bpy.context.scene.frame_set(4)
    assert second[HEAD].data.shape_keys.key_blocks["jawOpen"].value == 0.0


def test_other_takes_stay() -> None:
    first = build.build_take(bpy.context, make_take(Shot(name="one")))
    head = first[HEAD]
    second = build.build_take(bpy.context, make_take(Shot(name="two")))
    build.build_take(bpy.context, make_take(Shot(name="two")))
    assert second != first
    assert head in set(first.objects) and head == first[HEAD]


def test_users_objects_stay_and_follow_the_head() -> None:
    take = make_take(Shot())
    collection = build.build_take(bpy.context, take)
    head = collection[HEAD]

    glasses = bpy.data.objects.new("glasses", None)
    collection.objects.link(glasses)
    glasses.parent = head
    light = bpy.data.objects.new("light", None)
    bpy.context.scene.collection.objects.link(light)
    light.constraints.new("TRACK_TO").target = head
    copy = head.copy()
    copy.data = head.data.copy()
    copy.name = "my copy"
    collection.objects.link(copy)

    collection = build.build_take(bpy.context, take)
    new = collection[HEAD]
    assert glasses.parent == new and light.constraints[0].target == new
    assert {glasses.name, "my copy"} <= {obj.name for obj in collection.objects}
    assert len(bpy.data.objects["my copy"].data.vertices) == len(new.data.vertices)
    assert bpy.context.scene.camera == collection[CAMERA]


def test_selection_active_object_and_material_edits_stay() -> None:
    mine = bpy.data.objects.new("mine", None)
    bpy.context.scene.collection.objects.link(mine)
    bpy.context.view_layer.objects.active = mine
    mine.select_set(True)
    build.build_take(bpy.context, make_take(Shot()))
    assert bpy.context.view_layer.objects.active == mine
    assert bpy.context.selected_objects == [mine]
    bpy.data.materials["take skin"].diffuse_color = (0, 1, 0, 1)
    head = build.build_take(bpy.context, make_take(Shot()))[HEAD]
    assert tuple(head.material_slots[0].material.diffuse_color) == (0, 1, 0, 1)


def test_works_while_the_takes_collection_is_excluded_from_the_view_layer() -> None:
    collection = build.build_take(bpy.context, make_take(Shot()))
    bpy.context.view_layer.layer_collection.children[collection.name].exclude = True
    collection = build.build_take(bpy.context, make_take(Shot()))
    assert len(collection[ARMATURE].data.bones) == 5


def test_object_that_the_user_deleted_comes_back() -> None:
    collection = build.build_take(bpy.context, make_take(Shot()))
    bpy.data.objects.remove(collection[CAMERA])
    collection = build.build_take(bpy.context, make_take(Shot()))
    assert collection[CAMERA].type == "CAMERA"


def views_of(shot: Shot, *names: str) -> TakeResult:
    take = make_take(shot)
    return replace(take, cameras=tuple(replace(take.cameras[0], name=name) for name in names))


def test_views_come_and_go_between_trackings(tmp_path: Path) -> None:
    """A take is known by its main footage: a witness camera more or less makes no second take."""
    shot = Shot(footage=str(write_clip(tmp_path / "clip.mp4", 160, 96)))
    first = build.build_take(bpy.context, views_of(shot, "camera", "left"))
    second = build.build_take(bpy.context, views_of(shot, "camera", "left", "right"))
    assert second == first
    assert [view.name for view in shown_views(second)] == ["camera", "left", "right"]
    assert {obj.name for obj in second.objects if obj.type == "CAMERA"} == {"take camera", "take left", "take right"}
    three = counts()
    build.build_take(bpy.context, views_of(shot, "camera", "left"))
    assert counts() == three, "the version before still has a camera on the right"


def test_looking_through_a_view_takes_over_its_shape() -> None:
    take = views_of(Shot(), "camera", "left", "right")
    tall = replace(take.cameras[1], image_size=(360, 640))
    small = replace(take.cameras[2], image_size=(320, 180))
    collection = build.build_take(bpy.context, replace(take, cameras=(take.cameras[0], tall, small)))
    scene = bpy.context.scene
    blender_addon.register()
    try:
        for view, size in (("left", (360, 640)), ("camera", (640, 360)), ("right", (640, 360))):
            assert bpy.ops.flowface.look_through(view=view) == {"FINISHED"}
            assert scene.camera == collection[camera_role(view)]
            assert (scene.render.resolution_x, scene.render.resolution_y) == size
        bpy.data.objects.remove(collection[camera_role("left")])
        assert bpy.ops.flowface.look_through(view="left") == {"CANCELLED"}
        assert bpy.ops.flowface.look_through(view="nobody") == {"CANCELLED"}
    finally:
        blender_addon.unregister()
