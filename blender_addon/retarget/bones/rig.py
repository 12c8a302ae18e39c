"""What a character's armature says of itself: which way it faces, where its eyes are, how its neck carries its head."""

from __future__ import annotations

import re
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from ..mapping import EyeLink, Mapping

F64 = NDArray[np.float64]

_LEFT = re.compile(r"left|(?<![a-z])l(?![a-z])", re.IGNORECASE)
_TRIAL = 0.2
"""Radians by which a neck is turned to see how far the head goes along."""


def rig_of(obj: Any) -> Any | None:
    """The armature object of a character: itself, or the one that deforms its mesh."""
    return obj if obj is None or obj.type == "ARMATURE" else obj.find_armature()


def is_left(name: str) -> bool:
    """True of a bone's name that says left."""
    return _LEFT.search(name) is not None


def flipped(name: str) -> str:
    """The name of the bone on the other side; the same where a name says no side."""
    other = str(bpy.utils.flip_name(name))
    if other == name:
        for left, right in (("Left", "Right"), ("left", "right"), ("LEFT", "RIGHT")):
            for one, two in ((left, right), (right, left)):
                if one in name:
                    return name.replace(one, two)
    return other


def facing(rig: Any) -> F64:
    """The character's axes (3,3) in its armature's space, as columns: its left, its back, and up.

    Left is where bones lie whose names say so, up is nearest to the scene's; without either the character faces −y.
    """
    bones, left = rig.data.bones, np.zeros(3)
    for bone in bones:
        other = flipped(bone.name)
        if other != bone.name and other in bones and is_left(bone.name):
            left += np.array(bone.head_local) - np.array(bones[other].head_local)
    up = _nearest_axis(np.array(rig.matrix_world.inverted_safe(), np.float64)[:3, 2], (0.0, 0.0, 1.0))
    left = _nearest_axis(left * (up == 0.0), (1.0, 0.0, 0.0))
    return np.stack([left, np.cross(up, left), up], axis=1)


def _nearest_axis(vector: F64, otherwise: tuple[float, float, float]) -> F64:
    out = np.zeros(3)
    index = int(np.abs(vector).argmax())
    if abs(vector[index]) < 1e-6:
        return np.array(otherwise)
    out[index] = np.sign(vector[index])
    return out


def rest(rig: Any, bone: str) -> F64:
    """A bone's matrix (4,4) at rest in its armature's space."""
    return np.array(rig.data.bones[bone].matrix_local, np.float64)


def location_axes(rig: Any, bone: str) -> F64:
    """The axes (3,3) in which a bone's location is, in its armature's space at rest."""
    found = rig.data.bones[bone]
    return rest(rig, bone)[:3, :3] if found.use_local_location or found.parent is None else np.eye(3)


def watchers(rig: Any, aim: str) -> list[str]:
    """The bones that are turned towards an aim, by its name."""
    kinds = ("DAMPED_TRACK", "TRACK_TO", "LOCKED_TRACK")
    return [
        bone.name
        for bone in rig.pose.bones
        if any(one.type in kinds and one.target == rig and one.subtarget == aim for one in bone.constraints)
    ]


def eye_centre(rig: Any, link: EyeLink) -> F64 | None:
    """Where the eye of a link turns (3,), in its armature's space; None where nothing looks at its aim."""
    if not link.aims:
        return rest(rig, link.bone)[:3, 3]
    found = watchers(rig, link.bone)
    return rest(rig, found[0])[:3, 3] if found else None


def face_size(rig: Any, mapping: Mapping) -> float:
    """How far the eyes of a character are apart, in units of its armature; 0 where its mapping does not say."""
    links = {link.side: link for link in mapping.eyes if link.bone in rig.data.bones}
    centres = [eye_centre(rig, link) for link in links.values()]
    there = [centre for centre in centres if centre is not None]
    return float(np.linalg.norm(there[0] - there[1])) if len(there) == 2 else 0.0


def carried(rig: Any, neck: str, head: str) -> float:
    """How much of its neck's turn a head goes along with: 1 of a plain chain, 0 where the rig keeps it level.

    A copy of the armature is tried: constraints and drivers of rigs have too many ways to be told from outside.
    """
    scene, trial = bpy.context.scene, rig.copy()
    scene.collection.objects.link(trial)
    try:
        if trial.animation_data is not None:
            trial.animation_data.action, trial.animation_data.use_nla = None, False
        for bone in trial.pose.bones:
            for constraint in bone.constraints:
                if getattr(constraint, "target", None) == rig:
                    constraint.target = trial
        trial.pose.bones[neck].matrix_basis = Matrix.Identity(4)
        before = _seen(trial, head)
        trial.pose.bones[neck].matrix_basis = Matrix.Rotation(_TRIAL, 4, "X")
        after = _seen(trial, head)
    finally:
        bpy.data.objects.remove(trial)
    angle = before.to_quaternion().rotation_difference(after.to_quaternion()).angle
    return float(np.clip(angle / _TRIAL, 0.0, 1.0).round(3))


def _seen(rig: Any, bone: str) -> Any:
    bpy.context.view_layer.update()
    graph = bpy.context.evaluated_depsgraph_get()
    return rig.evaluated_get(graph).pose.bones[bone].matrix.copy()
