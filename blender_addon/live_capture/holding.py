"""A take's head while it is live: its Actions step aside, and come back with all that they found.

Undo and files are to know nothing of that. What a head is held by lies in its take's collection, beside its Actions:
whatever undo step or automatically saved file brings such a take back, ``give_back`` puts it right.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from .. import compat
from ..scene import armature, axes, root, shape
from ..scene import ownership as replace
from ..scene import versions_of_take as versions
from ..vendor import live

HELD = "flowface_live_held"
"""Of a take's collection: the Actions that stepped aside, and the values that were shown before."""
ROLES = (versions.POSE, versions.EXPRESSION)
UNSEEN = 1e-4
"""A weight below it is shown as 0: it moves no point by more than some micrometres, and Blender adds up a key for all
of a mesh's points unless its value is exactly 0, here and in every character that follows."""


def hold(collection: Any) -> None:
    """Have the Actions of a head step aside; one that was given to it since it is held steps aside, too."""
    blocks = {role: block for role, block in versions.animated(collection).items() if role in ROLES}
    if HELD not in collection:
        collection[HELD] = {"actions": {}, "slots": {}, "nla": {}, "values": _values(collection)}
    held = collection[HELD]
    for role, block in blocks.items():
        animation = block.animation_data
        if animation is None:
            continue
        if animation.use_nla and role not in held["nla"]:
            held["nla"][role] = True
            animation.use_nla = False
        if animation.action is not None:
            held["slots"][role] = str(getattr(animation.action_slot, "identifier", "")) if _slots(animation) else ""
            held["actions"][role] = animation.action
            compat.assign_action(block, None)


def _slots(animation: Any) -> bool:
    return compat.LAYERED_ACTIONS and animation.action_slot is not None


def give_back(collection: Any) -> None:
    """Let a head's Actions animate it again, with the values that it had; an Action that the user chose stays."""
    held = collection.get(HELD)
    if held is None:
        return
    _set_values(collection, held["values"].to_dict())
    for role, block in versions.animated(collection).items():
        action = held["actions"].get(role)
        if block.animation_data is not None and held["nla"].get(role):
            block.animation_data.use_nla = True
        if not isinstance(action, bpy.types.Action) or compat.action_of(block) is not None:
            continue
        compat.assign_action(block, action)
        slot = held["slots"].get(role, "")
        if slot and _slots(block.animation_data) and block.animation_data.action_slot.identifier != slot:
            same = next((one for one in action.slots if one.identifier == slot), None)
            block.animation_data.action_slot = same or block.animation_data.action_slot
    del collection[HELD]


def give_all_back(but: Any = None) -> bool:
    """``give_back`` of all takes of the file ``but`` one; True where there were any."""
    found = [collection for collection in bpy.data.collections if HELD in collection and collection != but]
    for collection in found:
        if collection.library is None:
            give_back(collection)
    return bool(found)


def _values(collection: Any) -> dict[str, list[float]]:
    """What of a head is shown now that a pose changes."""
    found: dict[str, list[float]] = {}
    head, rig = (replace.member(collection, role) for role in (replace.HEAD, replace.ARMATURE))
    if head is not None and head.data.shape_keys is not None:
        found["weights"] = [block.value for block in head.data.shape_keys.key_blocks]
    if rig is not None:
        found["location"] = list(rig.location)
        found["turn"] = list(getattr(rig, axes.rotation_property(rig.rotation_mode)))
        for name, bone in _bones(rig).items():
            found[name] = [number for row in bone.matrix_basis for number in row]
    return found


def _set_values(collection: Any, values: dict[str, Any]) -> None:
    head, rig = (replace.member(collection, role) for role in (replace.HEAD, replace.ARMATURE))
    keys = head.data.shape_keys if head is not None else None
    if keys is not None and len(values.get("weights", ())) == len(keys.key_blocks):
        keys.key_blocks.foreach_set("value", np.array(values["weights"], np.float32))
        keys.update_tag()
    if rig is not None and "location" in values:
        rig.location = values["location"]
        path = axes.rotation_property(rig.rotation_mode)
        if len(getattr(rig, path)) == len(values["turn"]):
            setattr(rig, path, values["turn"])
        for name, bone in _bones(rig).items():
            if name in values:
                bone.matrix_basis = Matrix(np.reshape(values[name], (4, 4)).tolist())


def _bones(rig: Any) -> dict[str, Any]:
    """The pose bones that a pose moves, or that must stand still: the eyes, and the neck, which may have the motion."""
    found = armature.eye_bones(rig)
    neck = armature.bone_of(rig.data.bones, "neck")
    return found if neck is None else {**found, "neck": rig.pose.bones[neck.name]}


class Puppet:
    """A held head as it is moved: every reference at hand, so that a pose costs next to nothing.

    References die with an undo or an opened file: ``ReferenceError`` then, and a new puppet is to be made.
    """

    def __init__(self, collection: Any, names: tuple[str, ...]) -> None:
        """``names`` are those of the weights in a pose; raises LookupError where head or armature is gone."""
        head, rig = (replace.member(collection, role) for role in (replace.HEAD, replace.ARMATURE))
        if head is None or rig is None or head.data.shape_keys is None:
            raise LookupError("head")
        self.collection, self._head, self._rig = collection, head, rig
        self._keys = head.data.shape_keys
        blocks = list(self._keys.key_blocks)
        shapes = _places(head, names, blocks)
        self._from = np.array([index for index, place in enumerate(shapes) if place >= 0], np.int64)
        self._to = np.array([place for place in shapes if place >= 0], np.int64)
        self._values = np.array([block.value for block in blocks], np.float32)
        self._low = np.array([block.slider_min for block in blocks], np.float32)[self._to]
        self._high = np.array([block.slider_max for block in blocks], np.float32)[self._to]
        self._mode = rig.rotation_mode
        self._path = axes.rotation_property(self._mode)
        self._turn = np.array(getattr(rig, self._path), np.float64)
        bones = _bones(rig)
        self._eyes = [bones.get(eye) for eye in armature.EYES]
        self._own = root.own_space(root.root_of(collection, 1.0))
        if "neck" in bones:
            bones["neck"].matrix_basis = Matrix.Identity(4)  # where the motion is on the neck, its end of it

    def show(self, pose: live.LivePose) -> None:
        """Have the head show a pose; pushes no undo step, and Blender works it out with its next drawing."""
        weights = np.zeros(0, np.float32) if not len(self._from) else pose.expression[self._from]
        weights = np.clip(weights, self._low, self._high)
        self._values[self._to] = np.where(np.abs(weights) < UNSEEN, 0.0, weights)
        self._keys.key_blocks.foreach_set("value", self._values)
        self._keys.update_tag()
        turns, places = axes.head_poses(pose.head_rotation[None], pose.head_translation[None], self._own)
        self._rig.location = places[0]
        self._turn = axes.rotation_values(turns, self._mode, self._turn)[0]
        setattr(self._rig, self._path, self._turn)
        for side, bone in enumerate(self._eyes):
            if bone is not None:
                _turn_eye(bone, pose.gaze[side])


def _turn_eye(bone: Any, gaze: NDArray[np.float32]) -> None:
    angles = axes.gaze_eulers(gaze[None])
    if bone.rotation_mode == axes.EYE_EULER_ORDER:
        bone.rotation_euler = angles[0]
    else:
        turns = axes.rotations_from(angles, axes.EYE_EULER_ORDER)
        setattr(bone, axes.rotation_property(bone.rotation_mode), axes.rotation_values(turns, bone.rotation_mode)[0])


def _places(head: Any, names: tuple[str, ...], blocks: list[Any]) -> list[int]:
    """Where each weight's shape key is among the blocks, -1 where the head has none."""
    found = shape.expressions_of(head.data, names)
    index = {block.name: number for number, block in enumerate(blocks)}
    return [index[found[name].name] if name in found else -1 for name in names]


def is_disturbed(collection: Any) -> bool:
    """True where a held head has an Action again, or is held no more: somebody gave it one, or undid that."""
    if HELD not in collection:
        return True
    blocks = (block for role, block in versions.animated(collection).items() if role in ROLES)
    return any(compat.action_of(block) is not None for block in blocks)
