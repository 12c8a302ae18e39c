"""The armature: root, neck, jaw and eyes, with bones that point where an animator expects them to."""

from __future__ import annotations

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


def build_armature(context: Any, name: str, head: contract.HeadGeometry) -> Any:
    """An armature object with one bone per joint of the head.

    Bones can only be added in Edit Mode, so the object visits the scene's root collection (which no one can exclude
    from the view layer) and ends up in no collection. The active object is the caller's to restore. It is not shown in
    front: sticks across the face would hide what an animator judges the track by.
    """
    armature = bpy.data.armatures.new(name)
    armature.display_type = "STICK"
    obj = bpy.data.objects.new(name, armature)
    context.scene.collection.objects.link(obj)
    context.view_layer.objects.active = obj
    bpy.ops.object.mode_set(mode="EDIT")
    _add_bones(armature, head)
    bpy.ops.object.mode_set(mode="OBJECT")
    context.scene.collection.objects.unlink(obj)
    for eye in EYES:
        bone = obj.pose.bones[eye]
        bone.rotation_mode = axes.EYE_EULER_ORDER
        bone.lock_location = (True, True, True)
    return obj


def _add_bones(armature: Any, head: contract.HeadGeometry) -> None:
    bones: list[Any] = []
    for index, name in enumerate(head.joint_names):
        bone = armature.edit_bones.new(name)
        start = head.joints[index].astype(np.float64)
        bone.head = Vector(axes.head_points(start))
        bone.tail = Vector(axes.head_points(start + _reach(head, index)))
        # An eye bone's axes must be exact (see axes.gaze_eulers); for the others z faces forwards, so that x nods.
        bone.align_roll(Vector(axes.head_points(HEAD_UP if name in EYES else HEAD_FORWARD + HEAD_UP * (name == "jaw"))))
        parent = int(head.joint_parents[index])
        if parent >= 0:
            bone.parent = bones[parent]
        bones.append(bone)


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
    head.parent = armature
    modifier = head.modifiers.new(MODIFIER, "ARMATURE")
    modifier.object = armature
    modifier.use_deform_preserve_volume = False  # linear skinning, as in the fit
