"""The footage behind the head in renders: Cycles gives its pixels, at the right place of the right frame, or not at
all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from blender_addon import take_properties
from blender_addon.scene import build, ownership, plate, retime, takes

from ..takes import Shot, frame_picture, make_take, write_clip
from .test_retrack import other_run

pytestmark = pytest.mark.usefixtures("addon")
CORNERS = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]


def built(footage: Path, *, head: bool = False, **shot: Any) -> Any:
    """A take over footage, which is rendered behind it."""
    width, height = shot.setdefault("size", (320, 192))
    take = make_take(Shot(footage=str(footage), zoom=True, principal_point=(0.4 * width, 0.45 * height), **shot))
    collection = build.build_take(bpy.context, take)
    collection[ownership.HEAD].hide_render = not head
    setattr(collection, take_properties.PLATE, True)
    return collection


def rendered(tmp_path: Path, frame: int) -> NDArray[np.float64]:
    """(H,W,3) the picture that Cycles renders, 0…255, a tenth of the scene's size."""
    scene = bpy.context.scene
    scene.frame_set(frame)
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 1, False
    scene.view_settings.view_transform = "Standard"
    scene.render.resolution_percentage = 10
    scene.render.filepath = str(tmp_path / "render.png")
    bpy.ops.render.render(write_still=True)
    return cv2.imread(scene.render.filepath)[..., ::-1].astype(np.float64)


def shows(picture: NDArray[np.float64], index: int) -> bool:
    """True where this is ``frame_picture(index)`` whole and upright."""
    corners = [picture[1, 1], picture[1, -2], picture[-2, 1], picture[-2, -2]]
    wanted = [*CORNERS, [20 + 10 * index] * 3]
    return bool(np.abs(np.array(corners) - wanted).max() < 4)


@pytest.mark.parametrize("rotation", [0, 270])
def test_a_video_is_rendered_upright_at_its_frames(tmp_path: Path, rotation: int) -> None:
    size = (192, 320) if rotation % 180 else (320, 192)
    clip = write_clip(tmp_path / "clip.mp4", *size, rotation=rotation)
    collection = built(clip, size=size, rotation=rotation)
    assert shows(rendered(tmp_path, 1), 0) and shows(rendered(tmp_path, 9), 8)
    retime.retime(collection, start=11.0)
    assert shows(rendered(tmp_path, 15), 4), "moved in time"
    retime.retime(collection, speed=2.0)
    assert shows(rendered(tmp_path, 15), 8), "at twice the speed"
    retime.retime(collection, start=1.0, speed=1.0)
    assert shows(rendered(tmp_path, 9), 8), "and back"


def test_a_sequence_and_a_turned_still_are_rendered(tmp_path: Path) -> None:
    for index in range(12):
        cv2.imwrite(str(tmp_path / f"shot.{1001 + index}.png"), frame_picture(index, 320, 192)[..., ::-1])
    built(tmp_path / "shot.1001.png", kind="sequence", first_frame=1001)
    assert shows(rendered(tmp_path, 1001), 0) and shows(rendered(tmp_path, 1008), 7)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    lying = np.rot90(frame_picture(3, 192, 320)[..., ::-1])
    cv2.imwrite(str(tmp_path / "still.png"), lying)
    built(tmp_path / "still.png", kind="still", size=(192, 320), rotation=90, frame_count=1)
    assert shows(rendered(tmp_path, 1), 3)


def test_the_head_is_before_it_and_a_second_run_keeps_it(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 320, 192)
    collection = built(clip, head=True, focal=450.0)
    picture = rendered(tmp_path, 3)
    assert shows(picture, 2)
    middle = np.abs(picture - picture[-2, -2]).max(axis=2) > 10
    assert middle[5:14, 8:24].sum() > 20, "something else than the grey of the footage"
    again = other_run(make_take(Shot(size=(320, 192), footage=str(clip))))
    assert build.build_take(bpy.context, again) == collection
    assert shows(rendered(tmp_path, 5), 4), "another lens, and still the whole picture"


def names() -> dict[str, list[str]]:
    kinds = ("objects", "meshes", "materials", "images", "movieclips", "actions", "collections")
    return {kind: sorted(block.name for block in getattr(bpy.data, kind)) for kind in kinds}


def test_off_leaves_everything_as_it_was(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 320, 192)
    collection = build.build_take(bpy.context, make_take(Shot(size=(320, 192), footage=str(clip))))
    before, keys = names(), sorted(collection.keys())
    bpy.ops.ed.undo_push(message="Before")
    setattr(collection, take_properties.PLATE, True)
    assert getattr(collection, take_properties.PLATE) and names() != before
    bpy.ops.ed.undo_push(message="On")
    setattr(collection, take_properties.PLATE, False)
    assert not getattr(collection, take_properties.PLATE)
    assert (names(), sorted(collection.keys())) == (before, keys)
    bpy.ops.ed.undo_push(message="Off")
    bpy.ops.ed.undo()
    assert getattr(bpy.data.collections["take"], take_properties.PLATE), "undone"


def test_a_copy_has_its_own_and_a_deleted_take_leaves_none(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 320, 192)
    collection = built(clip)
    copy = takes.duplicate(bpy.context.scene, collection)
    assert plate.plate_of(copy) != plate.plate_of(collection)
    assert plate.plate_of(copy).parent == copy[ownership.camera_role("camera")]
    takes.delete(collection)
    bpy.context.scene.camera = copy[ownership.camera_role("camera")]
    assert shows(rendered(tmp_path, 4), 3)
    takes.delete(copy)
    assert not names()["objects"] and names()["images"] == ["Render Result"] and not names()["materials"]


def test_a_full_copy_of_the_scene_shows_its_own(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 320, 192)
    collection = built(clip)
    bpy.ops.scene.new(type="FULL_COPY")
    (copy,) = ownership.takes_of(bpy.context.scene)
    assert plate.plate_of(copy).parent == copy[ownership.camera_role("camera")]
    plate.remove(copy)
    assert plate.plate_of(collection) is not None
    setattr(copy, take_properties.PLATE, True)
    assert shows(rendered(tmp_path, 4), 3)


def test_footage_that_is_not_there_is_not_rendered() -> None:
    collection = build.build_take(bpy.context, make_take(Shot()))
    setattr(collection, take_properties.PLATE, True)
    assert not getattr(collection, take_properties.PLATE) and plate.PLATE not in collection
    without_camera = build.build_take(bpy.context, replace(make_take(Shot()), name="other"))
    bpy.data.objects.remove(without_camera[ownership.camera_role("camera")])
    setattr(without_camera, take_properties.PLATE, True)
    assert not getattr(without_camera, take_properties.PLATE)
