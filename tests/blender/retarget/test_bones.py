"""Bones follow a take: links of actions, eyes, neck and head; live by drivers and baked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from backend.head_model.gaze import FULL_LOOK_ANGLE
from blender_addon.retarget import bake, drive, properties, targets
from blender_addon.retarget.bones import bone_motion, rig, turns
from blender_addon.retarget.mapping import NEUTRAL, BoneLink, EyeLink, HeadLink, Mapping, Response
from blender_addon.scene import axes, head_motion
from tests.blender.retarget import characters, rigs

pytestmark = pytest.mark.usefixtures("addon")

COUNT = 12
FRAMES = np.arange(1.0, COUNT + 1)
MODES = ("QUATERNION", "AXIS_ANGLE", "XYZ", "ZXY", "YXZ")


def curves() -> dict[str, rigs.F64]:
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


def _played(character: Any) -> dict[str, list[rigs.F64]]:
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
    first = np.zeros(0)
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
        first = first if len(first) else played
        assert np.abs(played - first).max() < 3e-4  # a hundredth of a degree
    travel = first[:, 0, :3, 3] - first[0, 0, :3, 3]
    assert np.abs(travel).max() > 0.05


def test_the_head_follows_where_the_motion_is_moved_while_it_is_live() -> None:
    random = np.random.default_rng(5)
    turn, still = random.uniform(-0.4, 0.4, (COUNT, 3)), np.zeros((COUNT, 2, 2))
    head = characters.performer(curves())
    take = characters.play_motion(head, still, turn, np.tile([0.0, 0.0, 1.6], (COUNT, 1)))
    character = rigs.head_rig()
    drive.go_live(add(character, head, Mapping(head=HeadLink("head", "neck"))))
    rest = rig.rest(character, "head")[:3, :3]
    for where in (head_motion.NECK, head_motion.CAMERA, head_motion.HEAD):
        head_motion.move(take, where)
        bpy.context.view_layer.update()
        turned = rigs.matrices(character, ["head"], FRAMES)[:, 0, :3, :3] @ rest.T
        assert rigs.angle_between(turned, axes.rotation_matrices(turn)).max() < 0.1


def test_poses_are_recorded_shown_mirrored_and_taken_away() -> None:
    character = rigs.head_rig({"jaw": "XYZ", "eye.L": "AXIS_ANGLE"})
    target = targets.add(bpy.context.scene, character, characters.performer(curves()))
    bones = character.pose.bones
    bones["jaw"].rotation_euler = (0.1, 0.0, 0.0)
    target.posed_action = NEUTRAL
    assert bpy.ops.flowface.retarget_pose_record() == {"FINISHED"}
    bones["jaw"].rotation_euler = (0.1, 0.02, 0.0)
    bones["eye.L"].rotation_axis_angle = (0.3, 0.0, 0.6, 0.8)
    bones["aim.L"].location = (0.02, 0.03, -0.01)
    target.posed_action = "mouthSmileLeft"
    assert bpy.ops.flowface.retarget_pose_record() == {"FINISHED"}
    posed = {bone.name: np.array(bone.matrix_basis) for bone in bones}
    links = {link.bone: link for link in properties.mapping_of(target).bones if link.action == "mouthSmileLeft"}
    assert set(links) == {"jaw", "eye.L", "aim.L"}
    assert np.abs(np.array(links["jaw"].rotation) - [0.0, 0.02, 0.0]).max() < 2e-3  # what it adds to the neutral pose
    target.posed_action = NEUTRAL
    bpy.ops.flowface.retarget_pose_show()
    assert np.abs(np.array(bones["aim.L"].matrix_basis) - np.eye(4)).max() == 0.0
    target.posed_action = "mouthSmileLeft"
    bpy.ops.flowface.retarget_pose_show()
    assert max(np.abs(np.array(bone.matrix_basis) - posed[bone.name]).max() for bone in bones) < 1e-6
    left = rigs.armature_matrices(character)
    assert bpy.ops.flowface.retarget_pose_mirror() == {"FINISHED"}
    target.posed_action = "mouthSmileRight"
    bpy.ops.flowface.retarget_pose_show()
    right = rigs.armature_matrices(character)
    across = np.diag([-1.0, 1.0, 1.0, 1.0])
    for one, other in (("aim.L", "aim.R"), ("eye.L", "eye.R")):
        moved = left[one] @ np.linalg.inv(rig.rest(character, one))
        reflected = right[other] @ np.linalg.inv(rig.rest(character, other))
        assert np.abs(across @ moved @ across - reflected).max() < 1e-5
    bpy.ops.flowface.retarget_pose_remove()
    assert {link.action for link in properties.mapping_of(target).bones} == {NEUTRAL, "mouthSmileLeft"}


def test_eyes_follow_the_actions_of_an_object_that_is_no_take() -> None:
    source = bpy.data.objects.new("source", None)
    bpy.context.scene.collection.objects.link(source)
    source["eyeLookOutLeft"], source["eyeLookUpLeft"] = 0.8, 0.5
    character = rigs.head_rig()
    target = add(character, source, Mapping(eyes=(EyeLink("left", "eye.L"),)))
    wanted = turns.gaze_turns(np.array([[0.8, 0.5]]) * FULL_LOOK_ANGLE)[0]
    wanted = turns.GAZE_AXES @ wanted @ turns.GAZE_AXES.T @ rig.rest(character, "eye.L")[:3, :3]
    for way in (lambda: drive.go_live(target), lambda: bake.bake(target, 1, 2)):
        way()
        assert rigs.angle_between(rigs.matrices(character, ["eye.L"], [1])[0, 0, :3, :3], wanted) < 0.05
    assert wanted[0, 1] > 0.3  # to the character's own left


def test_what_bones_had_comes_back() -> None:
    character = rigs.head_rig()
    bone = character.pose.bones["jaw"]
    bone.location, bone.rotation_quaternion = (0.1, 0.2, 0.3), (0.9, 0.1, 0.2, 0.3)
    own = character.animation_data_create().drivers.new('pose.bones["jaw"].location', index=1)
    own.driver.expression = "0.5"
    before = bone.matrix_basis.copy()
    target = add(character, characters.performer(curves()), Mapping(bones=jaw_links()))
    drive.go_live(target)
    assert len(character.animation_data.drivers) > 5
    bake.bake(target, 1, COUNT)
    drive.go_live(target)
    targets.remove(bpy.context.scene, 0)
    assert [curve.driver.expression for curve in character.animation_data.drivers] == ["0.5"]
    assert not own.mute
    assert character.animation_data.action is None
    bone.location[1] = before.translation[1]  # that driver's own
    assert np.abs(np.array(bone.matrix_basis) - np.array(before)).max() < 1e-6


def test_an_override_follows_through_files_and_undo_is_one_step(tmp_path: Path) -> None:
    rig_object = rigs.head_rig()
    collection = bpy.data.collections.new("Hero")
    collection.objects.link(rig_object)
    library = str(tmp_path / "hero.blend")
    bpy.data.libraries.write(library, {collection}, fake_user=True)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with bpy.data.libraries.load(library, link=True) as (_, wanted):
        wanted.collections = ["Hero"]
    bpy.context.scene.collection.children.link(wanted.collections[0])
    target = targets.add(bpy.context.scene, wanted.collections[0].objects[0], characters.performer(curves()))
    mapping = Mapping(bones=jaw_links())
    properties.write_mapping(target, mapping)
    with pytest.raises(drive.CannotDrive, match="Make Override"):
        drive.go_live(target)
    assert bpy.ops.flowface.retarget_override() == {"FINISHED"}
    drive.go_live(targets.chosen(bpy.context.scene))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    bpy.ops.ed.undo_push(message="opened")
    assert _follows(mapping)
    assert bpy.ops.flowface.retarget_live() == {"FINISHED"}
    bpy.ops.ed.undo_push(message="off")
    assert not _follows(mapping)
    bpy.ops.ed.undo()
    assert _follows(mapping)
    bake.bake(targets.chosen(bpy.context.scene), 1, COUNT)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert _follows(mapping)


def _follows(mapping: Mapping) -> bool:
    """Whether the character's jaw is where the links say, on all frames."""
    played = _played(targets.chosen(bpy.context.scene).object)["jaw"]
    wanted = bone_motion.bone_motion(curves(), mapping)["jaw"]
    return bool(np.abs(played[1] - wanted.location).max() < 1e-5)
