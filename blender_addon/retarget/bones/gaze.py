"""Where a source looks: by the eye bones of a take, else by its eyeLook actions."""

from __future__ import annotations

from dataclasses import dataclass
from math import radians
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scene import armature, axes, curves, ownership
from ...vendor import face_actions
from .. import source as sources
from ..drivers import Channel
from .expressions import linear

F64 = NDArray[np.float64]
Variable = sources.Place | Channel

SIDES = ("left", "right")


@dataclass(frozen=True)
class Gaze:
    """An eye's yaw (to the actor's left) and pitch (up), as texts over ``variables`` that are called ff0, ff1, …"""

    variables: tuple[Variable, ...]
    yaw: str
    pitch: str


def other(side: str) -> str:
    """The other side."""
    return SIDES[1 - SIDES.index(side)]


def gaze_of(source: Any, side: str, gain: float, digits: int = 7) -> Gaze | None:
    """The gaze of one of a source's eyes for drivers, times a gain; None where it does not look."""
    found = _eye_bone(source, side)
    if found is not None:
        rig, bone = found
        variables: tuple[Variable, ...] = tuple(Channel(rig, bone.name, f"ROT_{axis}") for axis in "ZX")
        return Gaze(variables, linear([(gain, "ff0")], digits), linear([(gain, "ff1")], digits))
    places = sources.places(source)
    actions = face_actions.LOOK_ACTIONS[SIDES.index(side)]
    there = [action for action in actions if action in places]
    if not there:
        return None
    full = gain * radians(face_actions.FULL_LOOK_DEGREES)
    names = {action: f"ff{there.index(action)}" if action in there else "0" for action in actions}
    yaw, pitch = (
        linear([(full, names[plus]), (-full, names[minus])], digits) for plus, minus in (actions[:2], actions[2:])
    )
    return Gaze(tuple(places[action] for action in there), yaw, pitch)


def angles(source: Any, side: str, frames: F64) -> F64 | None:
    """Yaw and pitch (T,2), radians, of one of a source's eyes on scene frames (T,); None where it does not look."""
    found = _eye_bone(source, side)
    if found is not None:
        rig, bone = found
        path = f"{bone.path_from_id()}.{axes.rotation_property(bone.rotation_mode)}"
        now = list(getattr(bone, axes.rotation_property(bone.rotation_mode)))
        turns = axes.rotations_from(curves.course(rig, path, now, frames), bone.rotation_mode)
        eulers = axes.rotation_values(turns, axes.EYE_EULER_ORDER)
        return np.stack([eulers[:, 2], eulers[:, 0]], axis=1)
    weights = sources.weights(source, frames)
    still = np.zeros(len(frames))
    if not any(action in weights for action in face_actions.LOOK_ACTIONS[SIDES.index(side)]):
        return None
    out, inward, up, down = (weights.get(action, still) for action in face_actions.LOOK_ACTIONS[SIDES.index(side)])
    return np.stack([out - inward, up - down], axis=1) * radians(face_actions.FULL_LOOK_DEGREES)


def _eye_bone(source: Any, side: str) -> tuple[Any, Any] | None:
    """The armature and the pose bone of an eye of a source that is a take's head."""
    take = sources.take_of(source)
    rig = ownership.member(take, ownership.ARMATURE) if take is not None else None
    bone = armature.eye_bones(rig).get(f"{side}_eye") if rig is not None else None
    return (rig, bone) if bone is not None else None
