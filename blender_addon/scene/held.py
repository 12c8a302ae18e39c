"""What a user changed on a frame of a take, as values of the performance: actions, gaze and head pose.

A change is a slider, an eye or the head that stands elsewhere than its curve says, or a key that is no longer what the
run has written: each Action of a run remembers that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from .. import compat
from ..vendor import corrections as contract
from . import armature, axes, curves, head_motion, root, shape
from . import ownership as replace
from .timing import timing_of
from .versions_of_take import SHOWN

F64 = NDArray[np.float64]

WRITTEN_VALUES = "flowface_written"
"""An Action's property: the values that its run has written, by curve, and the footage's frames that they are of."""
MOVED = 1e-4
"""Of an action's 1, radians and metres: what single precision does to a value is less, nobody sees it."""
REKEYED = {"value": 5e-3, "location": 5e-4}
"""By property, radians (``TURNED``) for all others: keys that differ by less were thinned out, not set by hand."""
TURNED = 2e-3
GAZE = {"left_eye": "gaze:left", "right_eye": "gaze:right"}


@dataclass(frozen=True)
class Change:
    """A channel of the performance (see ``protocol.corrections.HeldKey``) and its value."""

    channel: str
    value: tuple[float, ...]


def keep_written(collection: Any) -> None:
    """Have the Actions of the version that was just made remember the values that are in them now."""
    timing = timing_of(collection)
    for block, paths in _blocks(collection):
        wanted = [curve for curve in compat.action_curves(block) if curve.data_path in paths]
        if not wanted:
            continue
        keyed = [compat.read_numbers(curve, "co")[:, 0] for curve in wanted]
        frames = np.unique(np.concatenate(keyed)).astype(np.float64)
        values = np.stack([_values(curve, frames) for curve in wanted])
        block.animation_data.action[WRITTEN_VALUES] = {
            "curves": "\n".join(f"{curve.array_index} {curve.data_path}" for curve in wanted),
            "frames": timing.home(frames).astype("<f8").tobytes(),
            "values": values.astype("<f4").tobytes(),
        }


def changed(collection: Any, frame: float, *, posed: bool) -> list[Change]:
    """What was changed on the frame of the scene that is shown; of the head's pose only where it is asked for."""
    found = [*_actions(collection, frame), *_gaze(collection, frame)]
    return [*found, *_pose(collection, frame)] if posed else found


def layered(collection: Any) -> bool:
    """True where layers lie over the curves of a take: what was changed there is no value of the performance."""
    actions = (block.animation_data.action if block.animation_data else None for block, _ in _blocks(collection))
    return any(action is not None and SHOWN in action for action in actions)


def knows_pose(collection: Any) -> bool:
    """True where the head's pose in the scene tells that of the track: solved cameras, and the motion on the head."""
    rig, origin = (replace.member(collection, role) for role in (replace.ARMATURE, replace.ROOT))
    known = any(key.startswith("flowface_given:") for key in collection.keys())  # noqa: SIM118
    on_head = head_motion.place_of(collection) == head_motion.HEAD
    return bool(rig is not None and origin is not None and rig.parent == origin and on_head and not known)


def _blocks(collection: Any) -> Iterator[tuple[Any, set[str]]]:
    """The data-blocks whose curves are channels of the performance, and the paths of these."""
    rig, head = (replace.member(collection, role) for role in (replace.ARMATURE, replace.HEAD))
    if rig is not None:
        eyes = [f"{bone.path_from_id()}.{_turns(bone)}" for bone in armature.eye_bones(rig).values()]
        yield rig, {"location", _turns(rig), *eyes}
    if head is not None and head.data.shape_keys is not None:
        found = shape.expressions_of(head.data, shape.built_names(head.data))
        yield head.data.shape_keys, {block.path_from_id("value") for block in found.values()}


def _turns(owner: Any) -> str:
    return axes.rotation_property(owner.rotation_mode)


def _values(curve: Any, frames: F64) -> F64:
    keys = compat.read_numbers(curve, "co")
    if len(keys) == len(frames) and (keys[:, 0] == frames.astype(np.float32)).all():
        return np.asarray(keys[:, 1], np.float64)
    return np.array([curve.evaluate(float(frame)) for frame in frames])


def _now(block: Any, owner: Any, name: str, path: str, frame: float, home: float) -> tuple[F64, bool]:
    """What a property of ``owner`` is now, by curves of ``block``, and whether that is another than was tracked."""
    live = np.atleast_1d(np.array(getattr(owner, name), np.float64))
    width = len(live)
    by_index = {curve.array_index: curve for curve in compat.action_curves(block) if curve.data_path == path}
    if not by_index:
        return live, False
    shown = np.array([by_index[i].evaluate(frame) if i in by_index else live[i] for i in range(width)])
    if name == "value":  # a slider holds what lies beyond its ends
        shown = np.clip(shown, owner.slider_min, owner.slider_max)
    if np.abs(live - shown).max() > MOVED:
        return live, True
    keyed = np.array(
        [curves.evaluated(by_index[i], np.array([frame]))[0] if i in by_index else live[i] for i in range(width)]
    )
    tracked = np.array([_tracked(block, path, index, home, keyed[index]) for index in range(width)])
    return keyed, bool(np.abs(keyed - tracked).max() > REKEYED.get(name, TURNED))


def _tracked(block: Any, path: str, index: int, home: float, otherwise: float) -> float:
    """The value that the run has written on one of the footage's frames; ``otherwise`` where that is not known."""
    kept = block.animation_data.action.get(WRITTEN_VALUES)
    line = f"{index} {path}"
    names = str(kept["curves"]).split("\n") if kept is not None else []
    if line not in names:
        return otherwise
    frames = np.frombuffer(kept["frames"], "<f8")
    values = np.frombuffer(kept["values"], "<f4").reshape(len(names), -1)[names.index(line)]
    nearest = int(np.abs(frames - home).argmin())
    return float(values[nearest]) if abs(frames[nearest] - home) < 0.5 else otherwise


def _actions(collection: Any, frame: float) -> Iterator[Change]:
    head = replace.member(collection, replace.HEAD)
    if head is None:
        return
    keys = head.data.shape_keys
    if keys is None or keys.animation_data is None or keys.animation_data.action is None:
        return
    home = float(timing_of(collection).home(frame))
    for name, block in shape.expressions_of(head.data, shape.built_names(head.data)).items():
        value, other = _now(keys, block, "value", block.path_from_id("value"), frame, home)
        if other:
            yield Change(f"{contract.ACTION}{name}", (float(value[0]),))


def _gaze(collection: Any, frame: float) -> Iterator[Change]:
    rig = replace.member(collection, replace.ARMATURE)
    if rig is None or rig.animation_data is None or rig.animation_data.action is None:
        return
    home = float(timing_of(collection).home(frame))
    for eye, bone in armature.eye_bones(rig).items():
        name = _turns(bone)
        value, other = _now(rig, bone, name, f"{bone.path_from_id()}.{name}", frame, home)
        if other:
            turn = axes.rotations_from(value[None], bone.rotation_mode)[0]
            pitch, _, yaw = Matrix(turn.tolist()).to_euler(axes.EYE_EULER_ORDER)
            yield Change(GAZE[eye], (float(yaw), float(pitch)))


def _pose(collection: Any, frame: float) -> Iterator[Change]:
    rig, origin = (replace.member(collection, role) for role in (replace.ARMATURE, replace.ROOT))
    if rig is None or rig.animation_data is None or rig.animation_data.action is None:
        return
    home, space = float(timing_of(collection).home(frame)), root.own_space(origin)
    value, other = _now(rig, rig, _turns(rig), _turns(rig), frame, home)
    if other:
        turn = axes.rotations_from(value[None], rig.rotation_mode)[0]
        yield Change("head_rotation", _axis_angle(space.turn.T @ turn @ axes.HEAD))
    value, other = _now(rig, rig, "location", "location", frame, home)
    if other:
        place = (value - space.offset) @ space.turn / space.scale
        yield Change("head_translation", tuple(float(number) for number in place))


def _axis_angle(rotation: F64) -> tuple[float, ...]:
    axis, angle = Matrix(rotation.tolist()).to_quaternion().to_axis_angle()
    angle = angle - 2 * math.pi if angle > math.pi else angle
    return tuple(float(angle * number) for number in axis)


def title(channel: str, value: Sequence[float]) -> str:
    """A held key in a few words."""
    if channel.startswith(contract.ACTION):
        return f"{channel[len(contract.ACTION) :]} {value[0]:.2f}"
    names = {"gaze:left": "Left eye", "gaze:right": "Right eye", "head_rotation": "Head turn"}
    return names.get(channel, "Head place")
