"""An armature of a head whose bones lie askew, in the open file."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

F64 = NDArray[np.float64]

BONES: dict[str, tuple[str, tuple[float, float, float], tuple[float, float, float], float]] = {
    "neck": ("", (0, 0, 1.0), (0, -0.03, 1.2), 0.3),
    "head": ("neck", (0, -0.03, 1.2), (0, -0.03, 1.5), 0.1),
    "jaw": ("head", (0, -0.05, 1.28), (0, -0.2, 1.2), 0.0),
    "lip": ("jaw", (0.02, -0.2, 1.25), (0.04, -0.22, 1.27), 0.7),
    "eye.L": ("head", (0.05, -0.15, 1.36), (0.05, -0.25, 1.36), 0.4),
    "eye.R": ("head", (-0.05, -0.15, 1.36), (-0.05, -0.25, 1.38), -0.4),
    "ball.L": ("head", (0.05, -0.15, 1.36), (0.05, -0.18, 1.36), 0.0),
    "ball.R": ("head", (-0.05, -0.15, 1.36), (-0.05, -0.18, 1.36), 0.0),
    "aim.L": ("head", (0.05, -0.65, 1.36), (0.07, -0.65, 1.46), 0.5),
    "aim.R": ("head", (-0.05, -0.65, 1.36), (-0.07, -0.65, 1.46), -0.5),
}
"""Parent, head, tail and roll; the balls look at the aims."""


def head_rig(modes: dict[str, str] | None = None) -> Any:
    """The armature object, with rotation modes by bone, the others' quaternions."""
    armature = bpy.data.armatures.new("rig")
    obj = bpy.data.objects.new("rig", armature)
    bpy.context.scene.collection.objects.link(obj)
    bpy.context.view_layer.objects.active = obj
    bpy.ops.object.mode_set(mode="EDIT")
    for name, (parent, head, tail, roll) in BONES.items():
        bone = armature.edit_bones.new(name)
        bone.head, bone.tail, bone.roll = head, tail, roll
        bone.parent = armature.edit_bones.get(parent)
    bpy.ops.object.mode_set(mode="OBJECT")
    for name, mode in (modes or {}).items():
        obj.pose.bones[name].rotation_mode = mode
    for side in "LR":
        looks = obj.pose.bones[f"ball.{side}"].constraints.new("DAMPED_TRACK")
        looks.target, looks.subtarget, looks.track_axis = obj, f"aim.{side}", "TRACK_Y"
    return obj


def matrices(obj: Any, bones: list[str], frames: Any) -> F64:
    """Matrices (T,B,4,4) of pose bones in the armature's space, as Blender plays them."""
    out = []
    for frame in frames:
        bpy.context.scene.frame_set(int(frame))
        pose = obj.evaluated_get(bpy.context.evaluated_depsgraph_get()).pose.bones
        out.append([np.array(pose[name].matrix) for name in bones])
    return np.array(out)


def basis(obj: Any, bone: str) -> Matrix:
    """A bone's own change from rest as it is evaluated now."""
    return obj.evaluated_get(bpy.context.evaluated_depsgraph_get()).pose.bones[bone].matrix_basis.copy()


def angle_between(one: F64, two: F64) -> F64:
    """Degrees between rotations (…,3,3)."""
    apart = np.linalg.norm(np.asarray(one) - two, axis=(-2, -1)) / np.sqrt(8.0)
    return np.asarray(np.degrees(2.0 * np.arcsin(np.clip(apart, 0.0, 1.0))))


def armature_matrices(obj: Any) -> dict[str, F64]:
    """Matrices (4,4) of all pose bones in the armature's space, as they are posed now."""
    bpy.context.view_layer.update()
    return {bone.name: np.array(bone.matrix, np.float64) for bone in obj.pose.bones}
