"""How the eyes of a character look where those of its source do: bones that turn, or aims that are moved."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scene import axes
from ..drivers import Formula
from ..mapping import EyeLink, Mapping
from . import gaze, turns
from . import rig as rigs
from .expressions import first_fitting, linear, rotation
from .formula_parts import formulas_of
from .pose_links import rotation_slots, slots

F64 = NDArray[np.float64]


class NoEyeError(Exception):
    """Nothing of the armature looks at an aim; the argument is its bone's name."""


def formulas(rig: Any, mapping: Mapping, source: Any) -> dict[str, Formula]:
    """The drivers of all eyes that the armature has, by name.

    Raises:
        NoEyeError: it is unknown where an eye is.
        TooLongError: an expression would be.
    """
    found: dict[str, Formula] = {}
    for link in _there(rig, mapping):
        side, sign = _seen_by(link, mapping)
        look = gaze.gaze_of(source, side, link.gain)
        if look is None:
            continue
        yaw, pitch = (text if text == "0" else f"({text})" for text in (look.yaw, look.pitch))
        bone = rig.pose.bones[link.bone]
        if link.aims:
            names, texts = slots(bone, "location", range(3)), _aim_texts(rig, link, yaw, pitch, sign)
        else:
            names, texts = rotation_slots(bone), _turn_texts(rig, link, yaw, pitch, sign)
        found |= formulas_of(names, texts, look.variables)
    return found


def values(rig: Any, mapping: Mapping, source: Any, frames: F64) -> dict[str, F64]:
    """The values (T,) of all that eyes drive of the armature on scene frames (T,), by name.

    Raises:
        NoEyeError: it is unknown where an eye is.
    """
    found: dict[str, F64] = {}
    for link in _there(rig, mapping):
        side, sign = _seen_by(link, mapping)
        angles = gaze.angles(source, side, frames)
        if angles is None:
            continue
        looks = turns.gaze_turns(angles * (link.gain * np.array([sign, 1.0])))
        bone = rig.pose.bones[link.bone]
        if link.aims:
            ahead, into = _aim(rig, link)
            rows = (looks @ ahead - ahead) @ into.T
            found |= dict(zip(slots(bone, "location", range(3)), rows.T, strict=True))
        else:
            turned = turns.in_axes(looks, _own_axes(rig, link))
            rows = axes.rotation_values(turned, bone.rotation_mode)
            found |= dict(zip(rotation_slots(bone), rows.T, strict=True))
    return found


def _there(rig: Any, mapping: Mapping) -> list[EyeLink]:
    return [link for link in mapping.eyes if link.bone in rig.pose.bones]


def _seen_by(link: EyeLink, mapping: Mapping) -> tuple[str, float]:
    """Which eye of the source a link's eye follows, and the sign of its yaw."""
    return (gaze.other(link.side), -1.0) if mapping.swap else (link.side, 1.0)


def _looking(rig: Any) -> F64:
    """The axes (3,3) of gaze in the armature's space: right, out of the face, up."""
    return np.asarray(rigs.facing(rig) @ turns.GAZE_AXES)


def _own_axes(rig: Any, link: EyeLink) -> F64:
    """The axes (3,3) of an eye's bone, told in those of gaze."""
    return np.asarray(_looking(rig).T @ rigs.rest(rig, link.bone)[:3, :3])


def _aim(rig: Any, link: EyeLink) -> tuple[F64, F64]:
    """From the eye to its aim at rest (3,), in the axes of gaze, and what leads (3,3) from them to the aim's own."""
    centre = rigs.eye_centre(rig, link)
    if centre is None:
        raise NoEyeError(link.bone)
    looking = _looking(rig)
    ahead = looking.T @ (rigs.rest(rig, link.bone)[:3, 3] - centre)
    return np.asarray(ahead), np.asarray(rigs.location_axes(rig, link.bone).T @ looking)


def _turn_texts(rig: Any, link: EyeLink, yaw: str, pitch: str, sign: float) -> Any:
    up = "0" if pitch == "0" else f"tan({pitch}/2)"
    aside = "0" if yaw == "0" else f"tan({yaw}/2)"
    both = "0" if "0" in (up, aside) else f"{up}*{aside}"
    # tan(pitch/2), their product, tan(yaw/2): the Gibbs vector of a turn up and then aside
    into = _own_axes(rig, link).T @ np.diag([1.0, sign, sign])

    def build(digits: int) -> list[str]:
        gibbs = [linear(zip(row, (up, both, aside), strict=True), digits) for row in into]
        return rotation(rig.pose.bones[link.bone].rotation_mode, gibbs, digits)

    return first_fitting(build)


def _aim_texts(rig: Any, link: EyeLink, yaw: str, pitch: str, sign: float) -> Any:
    (right, out, up), into = _aim(rig, link)
    sine, cosine = (f"{name}{yaw}" if yaw != "0" else one for name, one in (("sin", "0"), ("cos", "1")))
    rise, level = (f"{name}{pitch}" if pitch != "0" else one for name, one in (("sin", "0"), ("cos", "1")))

    def product(left: str, other: str) -> str:
        return "0" if "0" in (left, other) else "*".join(text for text in (left, other) if text != "1") or "1"

    # the rows of the turn aside times the turn up, applied to where the aim is
    rows = (
        ((right, cosine), (-out * sign, product(sine, level)), (up * sign, product(sine, rise)), (-right, "1")),
        ((right * sign, sine), (out, product(cosine, level)), (-up, product(cosine, rise)), (-out, "1")),
        ((out, rise), (up, level), (-up, "1")),
    )

    def build(digits: int) -> list[str]:
        return [
            linear(
                [(share * factor, text) for share, terms in zip(row, rows, strict=True) for factor, text in terms],
                digits,
            )
            for row in into
        ]

    return first_fitting(build)
