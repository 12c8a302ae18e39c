"""The head over the footage: opaque, wire or hidden in viewports, and as the user had it afterwards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import pytest

from blender_addon import take_properties
from blender_addon.scene import build, head_display
from blender_addon.scene.ownership import HEAD, camera_role

from ..takes import Shot, make_take, write_clip
from .test_retrack import other_run

pytestmark = pytest.mark.usefixtures("addon")


def display(take: Any, wanted: str | None = None) -> str:
    """What the panel shows, after something was chosen there."""
    if wanted is not None:
        setattr(take, take_properties.HEAD_DISPLAY, wanted)
    return str(getattr(take, take_properties.HEAD_DISPLAY))


@pytest.mark.parametrize("had", ["TEXTURED", "SOLID"])
def test_an_opaque_head_is_drawn_as_the_user_had_it(had: str) -> None:
    collection = build.build_take(bpy.context, make_take(Shot()))
    head = collection[HEAD]
    head.display_type = had
    assert display(collection) == "OPAQUE"
    for wanted, drawn, hidden in (
        ("WIRE", "WIRE", False),
        ("HIDDEN", "WIRE", True),
        ("WIRE", "WIRE", False),
        ("OPAQUE", had, False),
        ("HIDDEN", had, True),
        ("OPAQUE", had, False),
    ):
        assert display(collection, wanted) == wanted
        assert (head.display_type, head.hide_viewport, head.hide_render) == (drawn, hidden, False)
    assert head_display.BEFORE not in collection


def test_what_the_user_sets_elsewhere_is_what_the_panel_shows() -> None:
    collection = build.build_take(bpy.context, make_take(Shot()))
    head = collection[HEAD]
    head.display_type = "BOUNDS"
    assert display(collection) == "WIRE"
    assert display(collection, "WIRE") == "WIRE" and head.display_type == "BOUNDS", "nothing to change"
    assert display(collection, "OPAQUE") == "OPAQUE" and head.display_type == "TEXTURED"
    head.hide_viewport = True
    assert display(collection) == "HIDDEN"
    bpy.data.objects.remove(head)
    assert display(collection, "WIRE") == "HIDDEN", "there is none to be drawn"


def test_a_hidden_head_is_tracked_again_and_stays_hidden(tmp_path: Path) -> None:
    clip = str(write_clip(tmp_path / "clip.mp4", 160, 96))
    take = make_take(Shot(footage=clip))
    collection = build.build_take(bpy.context, take)
    camera = collection[camera_role("camera")].data
    (background,) = camera.background_images
    background.alpha, background.display_depth = 0.4, "FRONT"
    display(collection, "HIDDEN")
    assert build.build_take(bpy.context, other_run(take)) == collection
    assert display(collection) == "HIDDEN"
    assert (background.alpha, background.display_depth) == (pytest.approx(0.4), "FRONT")


def test_a_choice_is_undone() -> None:
    collection = build.build_take(bpy.context, make_take(Shot()))
    bpy.ops.ed.undo_push(message="Before")
    display(collection, "WIRE")
    bpy.ops.ed.undo_push(message="Head")
    bpy.ops.ed.undo()
    collection = bpy.data.collections["take"]
    assert display(collection) == "OPAQUE" and head_display.BEFORE not in collection


def test_the_take_is_seen_through_the_scenes_camera_where_that_is_one_of_its_own() -> None:
    take, scene = make_take(Shot()), bpy.context.scene
    left = replace(take.cameras[0], name="left")
    collection = build.build_take(bpy.context, replace(take, cameras=(take.cameras[0], left)))

    def seen() -> str | None:
        view = head_display.seen_view(scene, collection)
        return view.name if view is not None else None

    assert seen() == "camera"
    scene.camera = collection[camera_role("left")]
    assert seen() == "left"
    scene.camera = None
    assert seen() == "camera"
    for name in ("camera", "left"):
        bpy.data.objects.remove(collection[camera_role(name)])
    assert seen() is None
