"""A character follows a take: live by drivers, and by keys that were baked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from blender_addon.retarget import bake, drive, evaluate, properties, source
from blender_addon.retarget.mapping import KeyLink, Mapping, Response
from protocol.face_actions import ARKIT_ACTIONS
from tests.blender.retarget import characters

pytestmark = pytest.mark.usefixtures("addon")

FRAMES = np.array([1.0, 40.0, 97.0, 150.0, 222.0, 268.0])


def facecap_key(action: str) -> str:
    if action.startswith(("jaw", "mouthLeft", "mouthRight")):
        return action
    return action.replace("Left", "_L").replace("Right", "_R")


def plain() -> Mapping:
    return Mapping("facecap", tuple(KeyLink(action, facecap_key(action)) for action in ARKIT_ACTIONS))


def add(character: Any, head: Any, mapping: Mapping | None = None) -> Any:
    target = getattr(bpy.context.scene, properties.NAME).targets.add()
    target.object, target.source = character, head
    properties.write_mapping(target, mapping or plain())
    return target


def played(character: Any, names: list[str]) -> np.ndarray:
    """Values (K,T) of a character's keys as Blender plays them."""
    out = []
    for frame in FRAMES:
        bpy.context.scene.frame_set(int(frame))
        blocks = character.evaluated_get(bpy.context.evaluated_depsgraph_get()).data.shape_keys.key_blocks
        out.append([blocks[name].value for name in names])
    return np.array(out).T


def by_hand(target: Any) -> dict[str, np.ndarray]:
    return evaluate.key_values(source.weights(target.source, FRAMES), properties.mapping_of(target))


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


@pytest.mark.parametrize("mapping", [plain, mixed])
def test_live_is_as_baked_is_as_worked_out(shared_data: Path, mapping: Callable[[], Mapping]) -> None:
    character = characters.facecap(shared_data)
    target = add(character, characters.performer(characters.apple_curves(shared_data)), mapping())
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
