"""Bones follow a take: links of actions, eyes, neck and head; live by drivers and baked."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
import pytest

from blender_addon.retarget import bake, bone_motion, drive, properties, rig, turns
from blender_addon.retarget.mapping import NEUTRAL, BoneLink, EyeLink, HeadLink, Mapping, Response
from blender_addon.scene import axes, head_motion
from tests.blender.retarget import characters, rigs

pytestmark = pytest.mark.usefixtures("addon")

COUNT = 12
FRAMES = np.arange(1.0, COUNT + 1)
MODES = ("QUATERNION", "AXIS_ANGLE", "XYZ", "ZXY", "YXZ")


def curves() -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    names = ("jawOpen", "jawLeft", "jawRight", "mouthSmileLeft", "eyeBlinkLeft")
    return {name: random.uniform(0.0, 1.0, COUNT) for name in names}


def add(character: Any, head: Any, mapping: Mapping) -> Any:
    target = getattr(bpy.context.scene, properties.NAME).targets.add()
    target.object, target.source = character, head
    properties.write_mapping(target, mapping)
    return target


def jaw_links() -> tuple[BoneLink, ...]:
    return (
        BoneLink("jawOpen", "jaw", (0.0, 0.002, 0.0), (0.35, 0.0, 0.0), (1.0, 1.1, 1.0)),
        BoneLink("jawLeft", "jaw", (0.004, 0.0, 0.0), (0.0, 0.02, 0.14)),
        BoneLink("jawRight", "jaw", (-0.004, 0.0, 0.0), (0.0, -0.02, -0.14), response=Response(0.8, 0.1, 0.2, 0.6)),
        BoneLink("eyeBlinkLeft", "jaw", rotation=(0.9, 0.9, 0.0), response=Response(mute=True)),
        BoneLink("mouthSmileLeft", "lip", (0.01, 0.02, -0.01), (0.1, 0.2, -0.3)),
        BoneLink(NEUTRAL, "lip", rotation=(0.05, 0.1, -0.15)),
    )


def test_live_is_as_baked_is_as_added_up() -> None:
    for mode in MODES:
        bpy.ops.wm.read_factory_settings(use_empty=True)
        head = characters.performer(curves())
        character = rigs.head_rig({"jaw": mode, "lip": mode})
        mapping = Mapping(bones=jaw_links())
        target = add(character, head, mapping)
        wanted = bone_motion.bone_motion(curves(), mapping)
        drive.go_live(target)
        assert all(curve.driver.is_simple_expression for curve in character.animation_data.drivers), mode
        live = _played(character)
        bake.bake(target, 1, COUNT)
        baked = _played(character)
        for bone in ("jaw", "lip"):
            turned = axes.rotation_matrices(wanted[bone].rotation)
            off = rigs.angle_between(live[bone][0], turned).max()
            assert off < (0.2 if mode in ("XYZ", "ZXY", "YXZ") and bone == "jaw" else 0.02), (mode, bone, off)
            assert rigs.angle_between(baked[bone][0], turned).max() < 0.02
            for played in (live, baked):
                assert np.abs(played[bone][1] - wanted[bone].location).max() < 1e-6
                assert np.abs(played[bone][2] - wanted[bone].scale).max() < 1e-5


def _played(character: Any) -> dict[str, list[np.ndarray]]:
    out: dict[str, list[Any]] = {"jaw": [], "lip": []}
    for frame in FRAMES:
        bpy.context.scene.frame_set(int(frame))
        for bone, rows in out.items():
            location, turn, scale = rigs.basis(character, bone).decompose()
            rows.append((np.array(turn.to_matrix()), np.array(location), np.array(scale)))
    return {bone: [np.array(part) for part in zip(*rows, strict=True)] for bone, rows in out.items()}


@pytest.mark.parametrize("where", [head_motion.HEAD, head_motion.NECK, head_motion.CAMERA])
@pytest.mark.parametrize("swap", [False, True])
def test_eyes_and_head_follow(where: str, swap: bool) -> None:
    random = np.random.default_rng(5)
    gaze, turn = random.uniform(-0.4, 0.4, (COUNT, 2, 2)), random.uniform(-0.4, 0.4, (COUNT, 3))
    place = np.array([0.0, 0.0, 1.6]) + random.uniform(-0.1, 0.1, (COUNT, 3))
    head = characters.performer(curves())
    take = characters.play_motion(head, gaze, turn, place)
    head_motion.move(take, where)
    character = rigs.head_rig()
    eyes = (EyeLink("left", "eye.L"), EyeLink("right", "eye.R"), EyeLink("left", "aim.L", aims=True))
    mapping = Mapping(eyes=eyes, head=HeadLink("head", "neck", 0.4, move=1.0), swap=swap)
    target = add(character, head, mapping)
    names = ["head", "eye.L", "eye.R", "ball.L", "neck"]
    rest = np.array([rig.rest(character, name) for name in names])
    mirror = np.diag([-1.0, 1.0, 1.0]) if swap else np.eye(3)
    facing = mirror @ axes.rotation_matrices(turn) @ mirror
    looks = [turns.gaze_turns(gaze[:, side]) for side in range(2)]
    looks = [mirror @ turns.GAZE_AXES @ look @ turns.GAZE_AXES.T @ mirror for look in looks]
    looks = looks[::-1] if swap else looks
    first = None
    for way in (lambda: drive.go_live(target), lambda: bake.bake(target, 1, COUNT)):
        way()
        played = rigs.matrices(character, names, FRAMES)
        turned = played[..., :3, :3] @ rest[:, :3, :3].transpose(0, 2, 1)
        assert rigs.angle_between(turned[:, 0], facing).max() < 0.1
        assert rigs.angle_between(turned[:, 1], facing @ looks[0]).max() < 0.1
        assert rigs.angle_between(turned[:, 2], facing @ looks[1]).max() < 0.1
        ahead = turned[:, 3] @ np.array([0.0, -1.0, 0.0])
        wanted = facing @ looks[0] @ np.array([0.0, -1.0, 0.0])
        assert np.degrees(np.arccos(np.clip((ahead * wanted).sum(axis=1), -1, 1))).max() < 0.1
        first = played if first is None else first
        assert np.abs(played - first).max() < 3e-4  # a hundredth of a degree
    travel = first[:, 0, :3, 3] - first[0, 0, :3, 3]
    assert np.abs(travel).max() > 0.05
