"""Poses of bones as links of an action, and back: recorded from what the user posed, shown, mirrored, taken away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scene import axes
from ...vendor import face_actions
from ..mapping import NEUTRAL, BoneLink, Mapping
from . import mirror, turns
from . import rig as rigs
from .bone_motion import BoneMotion, bone_motion

F64 = NDArray[np.float64]

SEEN = 1e-4
"""Radians, factors, and shares of a bone's length: what moves less has not been moved."""


def links_of(mapping: Mapping, action: str) -> tuple[BoneLink, ...]:
    """The links of an action to bones."""
    return tuple(link for link in mapping.bones if link.action == action)


def recorded(rig: Any, mapping: Mapping, action: str) -> Mapping:
    """The mapping with the armature's pose as an action's links in place of those that it has.

    They are what bones differ by from the neutral pose, or from rest where there is none.
    """
    neutral = {} if action == NEUTRAL else _pose_of(mapping, NEUTRAL)
    made = []
    for bone in rig.pose.bones:
        still = neutral.get(bone.name, (np.zeros(3), np.zeros(3), np.ones(3)))
        location, rotation, scale = (now - before for now, before in zip(_posed(bone), still, strict=True))
        least = (SEEN * bone.bone.length, SEEN, SEEN)
        moved = (np.abs(part).max() for part in (location, rotation, scale))
        if any(part > limit for part, limit in zip(moved, least, strict=True)):
            made.append(BoneLink(action, bone.name, _triple(location), _triple(rotation), _triple(1.0 + scale)))
    return _with(rig, mapping, action, tuple(made))


def mirrored(rig: Any, mapping: Mapping, action: str) -> Mapping:
    """The mapping with an action's links reflected, as those of the other side's action.

    Of an action of both sides its bones of one side are reflected to the other, where nothing of it is yet.
    """
    links, other = links_of(mapping, action), face_actions.mirrored(action)
    reflected = tuple(mirror.mirrored(rig, link) for link in links)
    if other == action:
        there = {link.bone for link in links}
        return _with(rig, mapping, action, links + tuple(link for link in reflected if link.bone not in there))
    return _with(rig, mapping, other, reflected)


def without(mapping: Mapping, action: str) -> Mapping:
    """The mapping without an action's links to bones."""
    return replace(mapping, bones=tuple(link for link in mapping.bones if link.action != action))


def show(rig: Any, mapping: Mapping, action: str) -> None:
    """Pose the armature as an action poses it when full; all other bones of the mapping are in the neutral pose."""
    poses = {**_pose_of(mapping, NEUTRAL), **_pose_of(mapping, action)}
    for name in dict.fromkeys(link.bone for link in mapping.bones):
        bone = rig.pose.bones.get(name)
        if bone is None:
            continue
        location, rotation, scale = poses.get(name, (np.zeros(3), np.zeros(3), np.ones(3)))
        bone.location, bone.scale = location, scale
        values = axes.rotation_values(axes.rotation_matrices(rotation[None]), bone.rotation_mode)[0]
        setattr(bone, axes.rotation_property(bone.rotation_mode), values)


def _with(rig: Any, mapping: Mapping, action: str, links: tuple[BoneLink, ...]) -> Mapping:
    bones = (*without(mapping, action).bones, *links)
    return replace(mapping, bones=bones, size=mapping.size or rigs.face_size(rig, mapping))


def _pose_of(mapping: Mapping, action: str) -> dict[str, tuple[F64, F64, F64]]:
    """Location, rotation vector and scale (3,) of the bones that an action moves, when it is full, or that are neutral.

    Gains are left out: what is shown can be recorded again.
    """
    plain = (
        BoneLink(link.action, link.bone, link.location, link.rotation, link.scale)
        for link in mapping.bones
        if link.action in (action, NEUTRAL)
    )
    motion: dict[str, BoneMotion] = bone_motion({action: np.ones(1)}, Mapping(bones=tuple(plain)))
    return {name: (part.location[0], part.rotation[0], part.scale[0]) for name, part in motion.items()}


def _posed(bone: Any) -> tuple[F64, F64, F64]:
    values = np.array([getattr(bone, axes.rotation_property(bone.rotation_mode))], np.float64)
    rotation = turns.vectors(axes.rotations_from(values, bone.rotation_mode))[0]
    return np.array(bone.location, np.float64), rotation, np.array(bone.scale, np.float64)


def _triple(values: F64) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
