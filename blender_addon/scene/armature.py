"""The armature: root, neck, jaw and eyes, with bones that point where an animator expects them to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import bpy
import numpy as np
from mathutils import Vector
from numpy.typing import NDArray

from ..vendor import take as contract
from . import axes

EYES = ("left_eye", "right_eye")
HEAD_UP = np.array([0.0, 1.0, 0.0])
HEAD_FORWARD = np.array([0.0, 0.0, 1.0])
MODIFIER = "FlowFace armature"
JOINT = "flowface_joint"
"""A bone's property: the joint that it is."""
JOINTS, REST = "flowface_joints", "flowface_rest"
"""The armature's properties: its joints' names, and head and tail of their bones as they were placed last."""
MOVED = 1e-5
"""Metres: single precision is finer, nobody moves a bone by less."""


def build_armature(context: Any, name: str, head: contract.HeadGeometry) -> Any:
    """An armature object with one bone per joint of the head, in no collection.

    It is not shown in front: sticks across the face would hide what an animator judges the track by.
    """
    armature = bpy.data.armatures.new(name)
    armature.display_type = "STICK"
    obj = bpy.data.objects.new(name, armature)
    place_bones(context, obj, head)
    for bone in eye_bones(obj).values():
        bone.rotation_mode = axes.EYE_EULER_ORDER
        bone.lock_location = (True, True, True)
    return obj


def place_bones(context: Any, obj: Any, head: contract.HeadGeometry) -> None:
    """Make the bones rest at a head's joints, new ones where there are none.

    A bone that no longer rests where it was placed before was moved by the user and stays.
    """
    _place(context, obj, head.joint_names, [int(parent) for parent in head.joint_parents], rest_of(head))


def place_bones_as(context: Any, obj: Any, rest: NDArray[np.float64]) -> None:
    """Make the bones rest where they did in another version, ``rest (J,6)`` as ``placed`` told then."""
    names = list(obj.data.get(JOINTS, ()))
    if len(names) == len(rest):
        _place(context, obj, names, [-1] * len(rest), rest)


def placed(obj: Any) -> NDArray[np.float64] | None:
    """Head and tail (J,6) of each joint's bone as it was placed last, None where an earlier add-on did not say."""
    numbers = obj.data.get(REST)
    return np.array(numbers, np.float64).reshape(-1, 6) if numbers is not None else None


def _place(context: Any, obj: Any, names: Sequence[str], parents: Sequence[int], wanted: NDArray[np.float64]) -> None:
    was = placed(obj)
    if was is None or was.shape != wanted.shape or np.abs(was - wanted).max() >= MOVED:
        with _edited(context, obj) as bones:
            made: list[Any] = []
            for index, joint in enumerate(names):
                bone, old = bone_of(bones, joint), was[index] if was is not None and index < len(was) else None
                if bone is None:
                    bone, old = bones.new(joint), None
                    bone[JOINT] = joint
                if old is None or np.abs(np.array([*bone.head, *bone.tail]) - old).max() < MOVED:
                    bone.head, bone.tail = Vector(wanted[index, :3]), Vector(wanted[index, 3:])
                    # An eye's axes must be exact (see axes.gaze_eulers); for others z faces forwards, so that x nods.
                    up = HEAD_UP if joint in EYES else HEAD_FORWARD + HEAD_UP * (joint == "jaw")
                    bone.align_roll(Vector(axes.head_points(up)))
                if parents[index] >= 0 and bone.parent is None:
                    bone.parent = made[parents[index]]
                made.append(bone)
    obj.data[JOINTS], obj.data[REST] = list(names), wanted.ravel().tolist()


@contextlib.contextmanager
def _edited(context: Any, obj: Any) -> Iterator[Any]:
    """The bones of an armature in Edit Mode, the only one in which they can be made and moved.

    The object visits the scene's root collection, which no one can exclude from the view layer, and is shown there.
    """
    layer, root = context.view_layer, context.scene.collection
    active, hidden = layer.objects.active, (obj.hide_viewport, obj.hide_select)
    visits = obj.name not in root.objects
    if visits:
        root.objects.link(obj)
    obj.hide_viewport = obj.hide_select = False
    out_of_sight, chosen = obj.hide_get(view_layer=layer), obj.select_get(view_layer=layer)
    obj.hide_set(False, view_layer=layer)
    layer.objects.active = obj
    bpy.ops.object.mode_set(mode="EDIT")
    try:
        yield obj.data.edit_bones
    finally:
        bpy.ops.object.mode_set(mode="OBJECT")
        obj.hide_set(out_of_sight, view_layer=layer)
        obj.select_set(chosen, view_layer=layer)
        obj.hide_viewport, obj.hide_select = hidden
        layer.objects.active = active
        if visits:
            root.objects.unlink(obj)


def rest_of(head: contract.HeadGeometry) -> NDArray[np.float64]:
    """Head and tail (J,6) of the bones of a head, in the axes of Blender's object."""
    starts = head.joints.astype(np.float64)
    ends = starts + np.stack([_reach(head, joint) for joint in range(len(starts))])
    return np.concatenate([axes.head_points(starts), axes.head_points(ends)], axis=1)


def bone_of(bones: Any, joint: str) -> Any | None:
    """The bone of a joint among some bones, whatever the user calls it."""
    marked = next((bone for bone in bones if bone.get(JOINT) == joint), None)
    return marked if marked is not None else bones.get(joint)


def eye_bones(obj: Any) -> dict[str, Any]:
    """The pose bones of the eyes by joint."""
    bones = {eye: bone_of(obj.data.bones, eye) for eye in EYES}
    return {eye: obj.pose.bones[bone.name] for eye, bone in bones.items() if bone is not None}


def _reach(head: contract.HeadGeometry, joint: int) -> NDArray[np.float64]:
    """From a joint to its bone's tip, in head space: eyes look forward, the jaw reaches the chin, others stand up."""
    name = head.joint_names[joint]
    size = float(np.ptp(head.neutral[:, 1]))
    if name in EYES:
        return HEAD_FORWARD * _eyeball_radius(head, joint)
    if name == "jaw":
        moved = head.neutral[head.skinning_weights[:, joint] > 0.5].astype(np.float64)
        if len(moved):
            lowest = moved[moved[:, 1] <= np.quantile(moved[:, 1], 0.2)]
            tip = lowest[np.argmax(lowest[:, 2])]
            reach = np.array([0.0, tip[1] - head.joints[joint, 1], tip[2] - head.joints[joint, 2]]) * 0.9
            if np.linalg.norm(reach) > 0.01 * size:
                return reach
        return (HEAD_FORWARD - HEAD_UP) * 0.2 * size
    return HEAD_UP * 0.2 * size


def _eyeball_radius(head: contract.HeadGeometry, joint: int) -> float:
    """From the joint to the surface of its eye, metres: a bone that ends there shows its direction, not a spike."""
    eye = head.neutral[head.skinning_weights[:, joint] > 0.9]
    if len(eye) == 0:
        return 0.012  # a real eye's
    return float(np.median(np.linalg.norm(eye - head.joints[joint], axis=1)))


def bind(head: Any, armature: Any) -> None:
    """Let the armature carry the head: as its parent, and bone by bone through the vertex groups."""
    if head.parent is None:
        head.parent = armature
    modifier = next((modifier for modifier in head.modifiers if modifier.type == "ARMATURE"), None)
    if modifier is None:
        modifier = head.modifiers.new(MODIFIER, "ARMATURE")
        modifier.use_deform_preserve_volume = False  # linear skinning, as in the fit
    if modifier.object is None:
        modifier.object = armature
