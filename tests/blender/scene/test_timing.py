"""A take's start and speed move all of its keys, and its footage, and move them back bit by bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_addon import compat
from blender_addon.scene import build, footage, retime
from blender_addon.scene import versions_of_take as versions
from blender_addon.scene.ownership import HEAD, camera_role
from blender_addon.scene.timing import scene_span, timing_of

from ..takes import Shot, make_take, project, write_clip
from .test_build import show, shown_pixels
from .test_retrack import LONG, curve_of, keys_of, other_run, part_of
from .test_versions import assert_same_keys

CAMERA = camera_role("camera")


@pytest.mark.parametrize("fractional", [False, True])
def test_keys_come_back_bit_by_bit(fractional: bool) -> None:
    take = make_take(Shot(frame_count=60, fractional=fractional, moving_camera=True, zoom=True))
    collection = build.build_take(bpy.context, take)
    jaw = curve_of(collection[HEAD].data.shape_keys, 'key_blocks["jawOpen"].value')
    jaw.keyframe_points[7].handle_left_type = "FREE"
    jaw.keyframe_points[7].handle_left = (7.123, 0.5)
    jaw.keyframe_points.insert(1 / 3, 0.25)
    before = keys_of(collection)
    for start, speed in ((1001.0, 1.0), (1001.1, 1 / 3), (-5.7, 7.0), (12345.6, 0.9)):
        retime.retime(collection, start=start, speed=speed)
        assert scene_span(collection)[0] == pytest.approx(start)
    retime.retime(collection, speed=1.0)
    retime.retime(collection, start=timing_of(collection).first)
    assert timing_of(collection).plain
    assert_same_keys(keys_of(collection), before)
    assert not any("flowface_home" in action for action in bpy.data.actions)


def test_a_retimed_take_plays_as_it_did() -> None:
    take = make_take(LONG)
    collection = build.build_take(bpy.context, take)
    retime.retime(collection, start=101.0, speed=0.5)
    for index in (0, 20, 59):
        show(101 + 2 * index)
        assert np.abs(shown_pixels(collection) - project(take, index)).max() < 0.05


def test_all_versions_are_moved_and_keys_set_meanwhile_too() -> None:
    take = make_take(LONG)
    collection = build.build_take(bpy.context, take)
    build.build_take(bpy.context, other_run(take))
    retime.retime(collection, start=51.0, speed=2.0)
    jaw = curve_of(collection[HEAD].data.shape_keys, 'key_blocks["jawOpen"].value')
    jaw.keyframe_points.insert(60.3, 0.5)
    retime.retime(collection, start=1.0, speed=1.0)
    added = [p.co.x for p in jaw.keyframe_points if p.co.x != round(p.co.x)]
    assert added == [pytest.approx(1 + 2 * 9.3, abs=1e-4)]
    versions.switch(bpy.context, collection, 1)
    jaw = curve_of(collection[HEAD].data.shape_keys, 'key_blocks["jawOpen"].value')
    assert [p.co.x for p in jaw.keyframe_points] == list(range(1, 61))


def test_a_part_is_set_into_a_retimed_take_where_it_belongs() -> None:
    take = make_take(LONG)
    collection = build.build_take(bpy.context, take)
    plain = keys_of(collection)
    retime.retime(collection, start=1001.0, speed=0.5)
    kept = keys_of(collection)
    new = part_of(other_run(take), 20, 40)
    build.build_take(bpy.context, new)
    assert versions.current(collection).frames == (20, 40) and versions.current(collection).span == (1, 60)
    show(1001 + 2 * 29)
    assert np.abs(shown_pixels(collection) - project(new, 10)).max() < 0.1
    jaw = ("expression", 'key_blocks["jawOpen"].value', 0)
    frames = keys_of(collection)[jaw]["co"][:, 0]
    assert frames.tolist() == kept[jaw]["co"][:, 0].tolist()
    retime.retime(collection, start=1.0, speed=1.0)
    back = keys_of(collection)[jaw]
    outside = (plain[jaw]["co"][:, 0] < 20) | (plain[jaw]["co"][:, 0] > 40)
    assert np.array_equal(back["co"][outside], plain[jaw]["co"][outside])


def test_a_whole_run_keeps_the_takes_timing(tmp_path: Path) -> None:
    take = make_take(Shot(footage=str(write_clip(tmp_path / "clip.mp4", 160, 96)), moving_camera=True, zoom=True))
    collection = build.build_take(bpy.context, take)
    retime.retime(collection, start=101.0)
    again = other_run(take)
    build.build_take(bpy.context, again)
    assert (timing_of(collection).start, scene_span(collection)) == (101, (101, 112))
    show(107)
    assert np.abs(shown_pixels(collection) - project(again, 6)).max() < 0.05
    data = collection[CAMERA].data
    assert data.background_images[0].clip.frame_start == 101
    assert [footage.shown_number(data, frame) for frame in (101, 107)] == [1, 7]


@pytest.mark.parametrize("proxy", [False, True])
def test_the_footage_follows_start_and_speed(tmp_path: Path, proxy: bool) -> None:
    clip = str(write_clip(tmp_path / "clip.mp4", 160, 96))
    take = make_take(Shot(footage=clip))
    if proxy:
        view = replace(take.cameras[0], proxy=clip, footage="/nowhere/clip.heic", footage_frames=np.arange(10, 22) * 10)
        take = replace(take, cameras=(view,))
    numbers = take.cameras[0].footage_frames.tolist() if proxy else list(range(1, 13))
    collection = build.build_take(bpy.context, take)
    camera = collection[CAMERA].data

    def shown(frame: int) -> int:
        bpy.context.scene.frame_set(frame)
        return footage.shown_number(camera, frame)

    (background,) = camera.background_images
    clip_block = background.clip
    for start, speed in ((31.0, 1.0), (31.0, 0.5), (11.0, 2.0), (-3.0, 0.25)):
        retime.retime(collection, start=start, speed=speed)
        frames = [round(start + index / speed) for index in range(0, 12, 2)]
        assert [shown(frame) for frame in frames] == numbers[::2]
        assert background.source == ("MOVIE_CLIP" if speed == 1 else "IMAGE")
    assert shown(-2) == numbers[0], "at a quarter of the speed each picture is held for four frames"
    retime.retime(collection, start=1.0, speed=1.0)
    assert (background.source, background.clip, clip_block.frame_start) == ("MOVIE_CLIP", clip_block, 1)
    assert [shown(frame) for frame in range(1, 13)] == numbers
    assert camera.animation_data is None or camera.animation_data.action is None


def test_footage_that_is_keyed_follows_too(tmp_path: Path) -> None:
    """A second view at twice the rate: every other of its pictures, then each of them."""
    path = write_clip(tmp_path / "left.mp4", 160, 96, count=24)
    take = make_take(Shot())
    view = replace(take.cameras[0], name="left", footage=str(path), footage_frames=1 + 2 * np.arange(12))
    collection = build.build_take(bpy.context, replace(take, cameras=(take.cameras[0], view)))
    camera = collection[camera_role("left")].data
    retime.retime(collection, start=41.0, speed=0.5)
    bpy.context.scene.frame_set(45)
    assert footage.shown_number(camera, 45) == 5
    retime.retime(collection, start=1.0, speed=1.0)
    for frame in (1, 6, 12):
        bpy.context.scene.frame_set(frame)
        assert footage.shown_number(camera, frame) == 2 * frame - 1


@pytest.mark.usefixtures("addon")
def test_start_and_speed_are_properties_of_the_take() -> None:
    collection = build.build_take(bpy.context, make_take(LONG))
    assert (collection.flowface_start, collection.flowface_speed) == (1.0, 1.0)
    collection.flowface_start, collection.flowface_speed = 21.0, 2.0
    jaw = curve_of(collection[HEAD].data.shape_keys, 'key_blocks["jawOpen"].value')
    assert [p.co.x for p in jaw.keyframe_points][:3] == [21, 21.5, 22]
    collection.flowface_speed = 0.0
    assert collection.flowface_speed == pytest.approx(retime.SLOWEST)


def test_a_take_of_the_add_on_before_can_be_retimed() -> None:
    from .test_retrack import as_before

    take = make_take(LONG)
    collection = build.build_take(bpy.context, take)
    as_before(collection)
    before = keys_of(collection)
    retime.retime(collection, start=101.0)
    assert (
        compat.read_numbers(curve_of(collection[HEAD].data.shape_keys, 'key_blocks["free"].value'), "co")[0, 0] == 101
    )
    retime.retime(collection, start=1.0)
    assert_same_keys(keys_of(collection), before)
