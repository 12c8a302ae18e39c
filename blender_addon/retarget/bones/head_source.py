"""How the head of a take moves, wherever its motion is: on the head or on its neck bone.

Where it is on the cameras the head still has it, and all that holds the head is moved against it. Poses are in the
space of the take's root, where a head that is not turned faces −y, as characters do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import compat
from ...scene import armature, axes, curves, head_motion, ownership
from .. import source as sources
from ..drivers import Channel

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Carrier:
    """What has the motion: the take's armature, or a ``bone`` of it; the pose is ``before`` · motion · ``after``."""

    rig: Any
    bone: str
    before: F64  # (4,4)
    after: F64  # (4,4)

    def channel(self, kind: str) -> Channel:
        """One of what it has: ROT_W, ROT_X, …, LOC_Z."""
        return Channel(self.rig, self.bone, kind, quaternion=True)


def carrier_of(source: Any) -> Carrier | None:
    """What carries a source's head motion: a take's armature, or a recording itself; None where nothing does."""
    if sources.RECORDING in source:
        return Carrier(source, "", np.eye(4), np.eye(4))
    take = sources.take_of(source)
    rig = ownership.member(take, ownership.ARMATURE) if take is not None else None
    if rig is None:
        return None
    bone = armature.bone_of(rig.data.bones, "neck") if head_motion.place_of(take) == head_motion.NECK else None
    if bone is None:
        return Carrier(rig, "", np.eye(4), np.eye(4))
    rest = np.array(bone.matrix_local, np.float64)
    return Carrier(rig, bone.name, _stands(rig) @ rest, np.linalg.inv(rest))


def carrier_name(source: Any) -> str:
    """What tells one carrier from another; "" where there is none."""
    carrier = carrier_of(source)
    return f"{carrier.rig.name}\n{carrier.bone}" if carrier is not None else ""


def poses(source: Any, frames: F64) -> F64 | None:
    """The head's matrices (T,4,4) on scene frames (T,); None where nothing carries them. Scale is left out."""
    carrier = carrier_of(source)
    if carrier is None:
        return None
    moving = carrier.rig.pose.bones[carrier.bone] if carrier.bone else carrier.rig
    prefix = f"{moving.path_from_id()}." if carrier.bone else ""
    name = axes.rotation_property(moving.rotation_mode)
    motion = np.tile(np.eye(4), (len(frames), 1, 1))
    values = curves.course(carrier.rig, f"{prefix}{name}", list(getattr(moving, name)), frames)
    motion[:, :3, :3] = axes.rotations_from(values, moving.rotation_mode)
    motion[:, :3, 3] = curves.course(carrier.rig, f"{prefix}location", list(moving.location), frames)
    return carrier.before @ motion @ carrier.after


def first_frame(source: Any) -> float:
    """The first frame on which the head's motion is keyed; 0 where it is not."""
    carrier = carrier_of(source)
    curves_there = compat.action_curves(carrier.rig) if carrier is not None else ()
    starts = [curve.range()[0] for curve in curves_there if len(curve.keyframe_points)]
    return float(min(starts, default=0.0))


def quaternion_terms(carrier: Carrier) -> F64:
    """The head's quaternion as W, X, Y, Z in the rows of a matrix (4,4), by the carrier's quaternion."""
    before, after = (_quaternion(matrix) for matrix in (carrier.before, carrier.after))
    return np.asarray(_left(before) @ _right(after))


def eye_distance(carrier: Carrier) -> float:
    """How far the eyes of the take's head are apart, metres; 0 where it has none."""
    if carrier.rig.type != "ARMATURE":
        return 0.0
    bones = [armature.bone_of(carrier.rig.data.bones, joint) for joint in armature.EYES]
    if any(bone is None for bone in bones):
        return 0.0
    left, right = (np.array(bone.head_local, np.float64) for bone in bones if bone is not None)
    return float(np.linalg.norm(left - right))


def _stands(rig: Any) -> F64:
    """The matrix of an armature by its own location and rotation, without its scale."""
    out = np.eye(4)
    values = np.array([getattr(rig, axes.rotation_property(rig.rotation_mode))])
    out[:3, :3] = axes.rotations_from(values, rig.rotation_mode)[0]
    out[:3, 3] = rig.location
    return out


def _quaternion(matrix: F64) -> F64:
    return axes.rotation_values(matrix[None, :3, :3], "QUATERNION")[0]


def _left(q: F64) -> F64:
    w, x, y, z = q
    return np.array([[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]])


def _right(q: F64) -> F64:
    w, x, y, z = q
    return np.array([[w, -x, -y, -z], [x, w, z, -y], [y, -z, w, x], [z, y, -x, w]])
