"""A character follows a take: live by drivers, and by keys that were baked."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_addon import compat
from blender_addon.retarget import bake, drive, source, targets
from blender_addon.retarget.mapping import KeyLink, Mapping, Response
from blender_addon.scene import retime
from protocol.face_actions import ARKIT_ACTIONS
from tests.blender.retarget import characters
from tests.blender.retarget.followers import (
    FRAMES,
    add,
    by_hand,
    differs,
    facecap_key,
    follower,
    performance,
    plain,
    played,
)

pytestmark = pytest.mark.usefixtures("addon")


def mixed() -> Mapping:
    """Several actions a key and several keys an action, with gains, offsets, ranges, mutes and swapped sides."""
    return Mapping(
        "mixed",
        (
            KeyLink("jawOpen", "jawOpen", Response(0.6, 0.05, 0.1, 0.5)),
            KeyLink("mouthFunnel", "jawOpen", Response(0.4)),
            KeyLink("mouthSmileRight", "jawOpen", Response(-0.2, 0.02)),
            KeyLink("jawOpen", "mouthClose", Response(0.5, 0.1)),
            KeyLink("eyeBlinkLeft", "eyeBlink_L"),
            KeyLink("eyeBlinkRight", "eyeBlink_R", Response(mute=True)),
        ),
        swap=True,
    )


@pytest.mark.parametrize("mapping", [plain(), mixed()], ids=["plain", "mixed"])
def test_live_is_as_baked_is_as_worked_out(shared_data: Path, mapping: Mapping) -> None:
    character = characters.facecap(shared_data)
    target = add(character, characters.performer(performance(shared_data)), mapping)
    wanted = by_hand(target)
    names = list(wanted)
    expected = np.clip(np.stack([wanted[name] for name in names]), 0.0, 1.0)  # the character's own sliders
    drive.go_live(target)
    assert np.abs(played(character, names) - expected).max() < 1e-5
    curves = character.data.shape_keys.animation_data.drivers
    assert all(curve.driver.type == "SUM" or curve.driver.is_simple_expression for curve in curves)
    bake.bake(target, 1, 268)
    assert not len(character.data.shape_keys.animation_data.drivers)
    assert np.abs(played(character, names) - expected).max() < 1e-5


def test_everything_comes_back_when_the_link_goes(shared_data: Path) -> None:
    character = characters.facecap(shared_data)
    keys = character.data.shape_keys
    blocks = keys.key_blocks
    action, slot = keys.animation_data.action, keys.animation_data.action_slot
    blocks["cheekPuff"].value = 0.7
    own = blocks["jawOpen"].driver_add("value")
    own.driver.expression = "frame / 1000"
    before = played(character, [block.name for block in blocks])
    drivers_before = [(curve.data_path, curve.mute, curve.driver.expression) for curve in keys.animation_data.drivers]
    counts = {name: len(getattr(bpy.data, name)) for name in ("objects", "meshes", "shape_keys", "actions")}

    head = characters.performer(performance(shared_data))
    added = {name: len(getattr(bpy.data, name)) - count for name, count in counts.items()}
    target = add(character, head)
    drive.go_live(target)
    assert differs(character, target) < 1e-5
    bake.bake(target, 1, 100)
    assert keys.animation_data.action != action
    drive.go_live(target)
    bpy.ops.flowface.retarget_remove()
    assert (played(character, [block.name for block in blocks]) == before).all()
    after = [(curve.data_path, curve.mute, curve.driver.expression) for curve in keys.animation_data.drivers]
    assert after == drivers_before
    assert (keys.animation_data.action, keys.animation_data.action_slot) == (action, slot)
    assert {name: len(getattr(bpy.data, name)) - count for name, count in counts.items()} == added


def test_an_edited_link_is_seen_at_once(shared_data: Path) -> None:
    character, target = follower(shared_data)
    link = next(link for link in target.keys if link.action == "jawOpen")
    link.gain, link.offset = 0.5, 0.1
    assert differs(character, target) < 1e-5
    link.key = "mouthPucker"  # which mouthPucker moves, too; nothing drives jawOpen any more
    assert differs(character, target) < 1e-5
    assert not character.data.shape_keys.animation_data.drivers.find('key_blocks["jawOpen"].value')
    target.swap = True
    assert differs(character, target) < 1e-5
    link.mute = True
    assert differs(character, target) < 1e-5


def test_a_part_is_baked_and_the_rest_stays(shared_data: Path) -> None:
    character, target = follower(shared_data)
    bake.bake(target, 1, 268)
    target.keys[ARKIT_ACTIONS.index("jawOpen")].gain = 0.25
    bake.bake(target, 90, 110)
    full = by_hand(target)["jawOpen"]
    inside = FRAMES == 97.0
    expected = np.where(inside, full, 4 * full)
    assert np.abs(played(character, ["jawOpen"])[0] - np.clip(expected, 0, 1)).max() < 1e-5


def test_fewer_keys_keep_within_the_error(shared_data: Path) -> None:
    character, target = follower(shared_data)
    made = bake.bake(target, 1, 268, 0.01)
    assert made.keys < 0.5 * 52 * 268
    assert differs(character, target) < 0.0101


def test_between_the_keys_of_a_retimed_take_whole_frames_are_baked(shared_data: Path) -> None:
    character, target = follower(shared_data)
    retime.retime(source.take_of(target.source), speed=0.75)
    assert differs(character, target) < 1e-5
    bake.bake(target, *bake.frames_of(target, bpy.context.scene))
    curve = compat.action_curves(character.data.shape_keys)[0]
    frames = compat.read_keys(curve).frames
    assert (frames == np.round(frames)).all()
    assert differs(character, target) < 1e-5


def test_a_source_that_is_driven_itself_is_sampled(shared_data: Path) -> None:
    character, target = follower(shared_data)
    block = target.source.data.shape_keys.key_blocks["jawOpen"]
    block.driver_add("value").driver.expression = "0.3"
    bpy.context.scene.frame_set(5)
    bake.bake(target, 40, 44)
    assert played(character, ["jawOpen"])[0, 1] == pytest.approx(0.3)
    assert bpy.context.scene.frame_current == FRAMES[-1]


def test_several_characters_at_once(shared_data: Path) -> None:
    _, target = follower(shared_data)
    deltas = {action: np.full((3, 3), 0.1, np.float32) for action in ARKIT_ACTIONS}
    triangle = characters.mesh_object("small", np.eye(3, dtype=np.float32), np.array([[0, 1, 2]], np.int32), deltas)
    small = targets.add(bpy.context.scene, triangle, target.source)
    target = targets.settings_of(bpy.context.scene).targets[0]  # the collection has grown
    assert bpy.ops.flowface.retarget_live(every=True) == {"FINISHED"}
    assert target.live and small.live and differs(triangle, small) < 1e-5
    assert bpy.ops.flowface.retarget_bake(every=True) == {"FINISHED"}
    assert not target.live and differs(target.object, target) < 1e-5 and differs(triangle, small) < 1e-5
    twin = bpy.data.objects.new("twin", triangle.data)
    with pytest.raises(drive.CannotDrive, match="the same mesh as “small”"):
        targets.add(bpy.context.scene, twin, target.source)


def test_a_key_that_is_renamed_leaves_no_driver_behind(shared_data: Path) -> None:
    character, target = follower(shared_data)
    keys = character.data.shape_keys
    keys.key_blocks["jawOpen"].name = "mouth open"
    assert keys.animation_data.drivers.find('key_blocks["mouth open"].value') is not None  # Blender does so
    target.keys[0].gain = 2.0
    assert drive.missing_keys(target) == ("jawOpen",)
    assert keys.animation_data.drivers.find('key_blocks["mouth open"].value') is None
    drive.go_off(target)
    assert not len(keys.animation_data.drivers)


def test_what_the_nla_plays_is_sampled(shared_data: Path) -> None:
    character, target = follower(shared_data)
    animation = target.source.data.shape_keys.animation_data
    strip = animation.nla_tracks.new().strips.new("later", 11, animation.action)
    if compat.LAYERED_ACTIONS:
        strip.action_slot = animation.action_slot
    animation.action = None
    bake.bake(target, 96, 98)
    curves = performance(shared_data)
    action = max(curves, key=lambda name: abs(curves[name][86] - curves[name][96]))
    assert abs(curves[action][86] - curves[action][96]) > 0.1
    assert played(character, [facecap_key(action)])[0, 2] == pytest.approx(curves[action][86], abs=1e-5)


def test_baked_keys_can_stay_when_the_link_goes(shared_data: Path) -> None:
    character, target = follower(shared_data)
    own, wanted = compat.action_of(character.data.shape_keys), by_hand(target)
    tracks = character.data.shape_keys.animation_data.nla_tracks
    for track in list(tracks):
        tracks.remove(track)
    bake.bake(target, 1, 268)
    assert bpy.ops.flowface.retarget_remove(keep_baked=True) == {"FINISHED"}
    assert np.abs(played(character, ["jawOpen"])[0] - np.clip(wanted["jawOpen"], 0, 1)).max() < 1e-5
    assert own.use_fake_user  # so that it is in the file that is saved
