"""A human of Blender's own Rigify that follows a take by the preset of its face."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from blender_addon.retarget import bake, drive, properties, targets
from blender_addon.retarget.bones import rig, rig_presets, turns
from blender_addon.scene import axes
from protocol.face_actions import ARKIT_ACTIONS
from tests.blender.retarget import characters, rigify_rig, rigs

pytestmark = [pytest.mark.usefixtures("addon"), pytest.mark.slow]

CONTROLS = (
    *("lips.L", "lips.R", "lip.T", "lip.B", "chin", "brow.T.L.003", "brow.T.R.003", "brow.T.L.002", "brow.T.R.002"),
    *("lid.T.L.002", "lid.T.R.002", "lid.B.L.002", "lid.B.R.002"),
)
EYES = ("MCH-eye.L", "MCH-eye.R")


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the human as Rigify generates it."""
    path = tmp_path_factory.mktemp("rigify") / "human.blend"
    rigify_rig.in_a_file(path)
    return path


def opened(path: Path) -> Any:
    bpy.ops.wm.open_mainfile(filepath=str(path))
    return next(obj for obj in bpy.data.objects if obj.type == "ARMATURE")


def one_by_one() -> dict[str, rigs.F64]:
    """Each action full on a frame of its own, from frame 2 on; on frame 1 none is."""
    rows = np.concatenate([np.zeros((1, 52)), np.eye(52)])
    return {action: rows[:, index] for index, action in enumerate(ARKIT_ACTIONS)}


@pytest.mark.parametrize("size", [1.0, 2.5])
def test_each_action_reads_on_its_own_side(generated: Path, size: float) -> None:
    character = opened(generated)
    character.data.transform(Matrix.Scale(size, 4))
    head = characters.performer(one_by_one())
    target = targets.add(bpy.context.scene, character, head)
    assert not properties.mapping_of(target).unmapped()
    drive.go_live(target)
    played = rigs.matrices(character, list(CONTROLS), range(1, 54))[:, :, :3, 3] / (size * 0.1032)
    moves = dict(zip(ARKIT_ACTIONS, played[1:] - played[0], strict=True))  # in distances of the eyes
    at = {name: index for index, name in enumerate(CONTROLS)}

    def move(action: str, control: str) -> rigs.F64:
        return moves[action][at[control]]

    for side, other, sign in (("L", "R", 1.0), ("R", "L", -1.0)):
        word = {"L": "Left", "R": "Right"}[side]
        lids = [f"lid.{part}.{side}.002" for part in "TB"]
        gap = played[0][at[lids[0]]] - played[0][at[lids[1]]]
        closed = gap + move(f"eyeBlink{word}", lids[0]) - move(f"eyeBlink{word}", lids[1])
        assert np.linalg.norm(closed) < 0.1 * np.linalg.norm(gap)
        wide = move(f"eyeWide{word}", lids[0])[2] - move(f"eyeWide{word}", lids[1])[2]
        assert wide > 0.1 * np.linalg.norm(gap)
        smile = move(f"mouthSmile{word}", f"lips.{side}")
        assert smile[0] * sign > 0.05
        assert smile[2] > 0.1
        assert move(f"mouthFrown{word}", f"lips.{side}")[2] < -0.03
        assert move(f"browOuterUp{word}", f"brow.T.{side}.002")[2] > 0.05
        assert move(f"browDown{word}", f"brow.T.{side}.003")[2] < -0.03
        assert move("browInnerUp", f"brow.T.{side}.003")[2] > 0.05
        assert move(f"mouth{word}", "lip.T")[0] * sign > 0.1
        assert move(f"jaw{word}", "chin")[0] * sign > 0.05
        for action, control in (("eyeBlink", "lid.T.{}.002"), ("mouthSmile", "lips.{}"), ("browDown", "brow.T.{}.003")):
            assert np.abs(move(f"{action}{word}", control.format(other))).max() < 0.01
    assert move("jawOpen", "chin")[2] < -0.2
    assert move("jawOpen", "lip.B")[2] < move("jawOpen", "lip.T")[2] - 0.2
    assert -move("mouthPucker", "lip.T")[1] > 0.08
    assert move("mouthPucker", "lips.L")[0] < -0.05


def test_it_looks_and_turns_as_the_actor_does_live_and_baked(generated: Path, shared_data: Path) -> None:
    character = opened(generated)
    before = {bone.name: bone.matrix_basis.copy() for bone in character.pose.bones}
    drivers = len(character.animation_data.drivers)
    curves = {action: weights[90:102] for action, weights in characters.apple_curves(shared_data).items()}
    head = characters.performer(curves)
    random = np.random.default_rng(5)
    gaze, turn = random.uniform(-0.4, 0.4, (12, 2, 2)), random.uniform(-0.5, 0.5, (12, 3))
    characters.play_motion(head, gaze, turn, np.tile([0.0, 0.0, 1.6], (12, 1)))
    target = targets.add(bpy.context.scene, character, head)
    names, frames = ["head", *EYES, *CONTROLS], range(1, 13)
    rest = np.array([rig.rest(character, name) for name in names])
    facing = axes.rotation_matrices(turn)
    ahead = np.array([0.0, -1.0, 0.0])
    ways = []
    for way in (lambda: drive.go_live(target), lambda: bake.bake(target, 1, 12)):
        way()
        played = rigs.matrices(character, names, frames)
        turned = played[..., :3, :3] @ rest[:, :3, :3].transpose(0, 2, 1)
        assert rigs.angle_between(turned[:, 0], facing).max() < 1.0
        for side in range(2):
            looks = turns.GAZE_AXES @ turns.gaze_turns(gaze[:, side]) @ turns.GAZE_AXES.T
            seen, wanted = turned[:, 1 + side] @ ahead, facing @ looks @ ahead
            off = np.degrees(np.arccos(np.clip((seen * wanted).sum(axis=1) / np.linalg.norm(seen, axis=1), -1, 1)))
            assert off.max() < 2.0, off
        ways.append(played)
    assert np.abs(ways[0][..., 3] - ways[1][..., 3]).max() < 1e-4
    targets.remove(bpy.context.scene, 0)
    bpy.context.scene.frame_set(1)
    assert all(bone.matrix_basis == before[bone.name] for bone in character.pose.bones)
    assert len(character.animation_data.drivers) == drivers
    assert character.animation_data.action is None


def test_blinks_close_eyes_that_are_wider_than_the_presets(generated: Path) -> None:
    character = opened(generated)
    bpy.context.view_layer.objects.active = character
    bpy.ops.object.mode_set(mode="EDIT")
    lid = character.data.edit_bones["lid.T.L.002"]
    lid.head.z, lid.tail.z = lid.head.z + 0.01, lid.tail.z + 0.01
    bpy.ops.object.mode_set(mode="OBJECT")
    fitted = rig_presets.guess(character)
    way = dict.fromkeys(("Left", "Right"), 0.0)
    for link in fitted.bones:
        if link.action.startswith("eyeBlink") and link.bone[:3] == "lid" and link.bone.endswith(".002"):
            way[link.action.removeprefix("eyeBlink")] += float(np.linalg.norm(link.location))
    upper, lower = (rig.rest(character, f"lid.{part}.L.002")[:3, 3] for part in "TB")
    assert way["Left"] == pytest.approx(float(np.linalg.norm(upper - lower)), rel=1e-3)
    assert way["Left"] > 1.3 * way["Right"]
