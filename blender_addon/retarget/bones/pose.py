"""What a character's armature gets from its source: links to bones, eyes, neck and head. Names as in ``kept``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import source
from ..drivers import CannotDrive, Formula
from ..mapping import Mapping
from . import pose_gaze, pose_head, pose_links
from . import rig as rigs
from .bone_motion import bone_motion
from .expressions import TooLongError

F64 = NDArray[np.float64]


def check(target: Any) -> None:
    """Find out whether the bones of a ``FlowFaceTarget``'s armature can be driven and baked.

    Raises:
        CannotDrive: they cannot.
    """
    rig = target.object
    if rig.library is not None:
        raise CannotDrive(
            f"“{rig.name}” is linked from another file, where nothing can be changed. Use Make Override, then it "
            "follows."
        )
    take = source.take_of(target.source)
    if take is not None and rig.name in take.all_objects:
        raise CannotDrive(f"“{rig.name}” is the take's own armature. Choose your character's.")


def missing_bones(target: Any) -> tuple[str, ...]:
    """The bones that a mapping names and the armature does not have."""
    names = [link.bone for link in (*target.bones, *target.eyes)] + [target.head_bone, target.neck_bone]
    return tuple(dict.fromkeys(name for name in names if name and name not in target.object.pose.bones))


def formulas(target: Any, mapping: Mapping) -> dict[str, Formula]:
    """The drivers of all that a mapping drives of a target's armature, by name.

    Raises:
        CannotDrive: one of them cannot be written.
    """
    rig, head = target.object, target.source
    part = "a bone"
    try:
        found = pose_links.formulas(rig, mapping, source.places(head))
        part = "an eye"
        found |= pose_gaze.formulas(rig, mapping, head)
        part = "the head or the neck"
        return found | pose_head.formulas(rig, mapping, head, _carried(target, mapping))
    except TooLongError:
        raise CannotDrive(
            f"What drives {part} of “{rig.name}” is too long for a driver. Bake instead, or set the rotation mode of "
            "its bones to Quaternion."
        ) from None
    except pose_gaze.NoEyeError as bone:
        raise _no_eye(rig, bone) from None


def values(target: Any, mapping: Mapping, frames: F64) -> dict[str, F64]:
    """The values (T,) of all that a mapping drives of a target's armature on scene frames (T,), by name.

    Raises:
        CannotDrive: it is unknown where an eye is.
    """
    rig, head = target.object, target.source
    found = pose_links.values(rig, mapping, bone_motion(source.weights(head, frames), mapping))
    try:
        found |= pose_gaze.values(rig, mapping, head, frames)
    except pose_gaze.NoEyeError as bone:
        raise _no_eye(rig, bone) from None
    return found | pose_head.values(rig, mapping, head, _carried(target, mapping), frames)


def _no_eye(rig: Any, bone: Exception) -> CannotDrive:
    return CannotDrive(f"No bone of “{rig.name}” looks at “{bone}”. Choose the bone that turns the eye instead.")


def _carried(target: Any, mapping: Mapping) -> float:
    """How the head goes along with the neck, found out once for each choice of them."""
    rig, link = target.object, mapping.head
    if link.head not in rig.pose.bones or link.neck not in rig.pose.bones:
        return 0.0
    pair = f"{link.neck}\n{link.head}"
    if target.carried_pair != pair:
        target.carried = rigs.carried(rig, link.neck, link.head)
        target.carried_pair = pair
    return float(target.carried)
