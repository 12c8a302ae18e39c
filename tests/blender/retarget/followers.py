"""Characters that follow takes in the open file, and whether they play what they should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np

from blender_addon.retarget import drive, evaluate, properties, source
from blender_addon.retarget.mapping import KeyLink, Mapping
from protocol.face_actions import ARKIT_ACTIONS
from tests.blender.retarget import characters

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


def performance(data: Path, seed: int = 0) -> dict[str, np.ndarray]:
    """Apple's performance, in which each action plays another's curve: the facecap head has the true one as its own."""
    curves = characters.apple_curves(data)
    order = np.random.default_rng(seed).permutation(len(curves))
    return dict(zip(curves, np.stack(list(curves.values()))[order], strict=True))


def follower(data: Path) -> tuple[Any, Any]:
    """A character and its target, live, of a take."""
    character = characters.facecap(data)
    target = add(character, characters.performer(performance(data)))
    drive.go_live(target)
    return character, target


def the_target() -> Any:
    return getattr(bpy.context.scene, properties.NAME).targets[0]


def differs(character: Any, target: Any) -> float:
    """By how much the character is off what its target's mapping makes of the source."""
    wanted = by_hand(target)
    expected = np.clip(np.stack(list(wanted.values())), 0.0, 1.0)
    return float(np.abs(played(character, list(wanted)) - expected).max())
