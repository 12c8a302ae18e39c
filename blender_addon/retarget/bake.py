"""What a take plays as keys of the character's own: on whole frames of the scene, as many or as few as wanted.

The keys go into an Action of their own, a copy of the one that the character has where it has one; that one comes back
when the bake is taken off.
"""

from __future__ import annotations

from collections.abc import Mapping as ByName
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import compat
from ..keys import ALIGNED, BEZIER, Keys, joined
from ..scene.curve_layers.fit import fitted
from . import drive, kept, source
from .bones import pose
from .drive import CannotDrive
from .evaluate import key_values
from .properties import mapping_of

F64 = NDArray[np.float64]

GROUP = "FlowFace"
"""The group of the curves that a bake writes."""
OURS = "flowface_retarget"
"""Of an Action that a bake made."""


@dataclass(frozen=True)
class Baked:
    """What a bake wrote: how many curves, keys and frames."""

    curves: int
    keys: int
    frames: int


def frames_of(target: Any, scene: Any) -> tuple[int, int]:
    """The first and the last whole frame of what the source plays; the scene's range where it has no keys."""
    span = source.span(target.source) if target.source is not None else None
    if span is None:
        return int(scene.frame_start), int(scene.frame_end)
    return int(np.floor(span[0])), int(np.ceil(span[1]))


def bake(target: Any, first: int, last: int, error: float = 0.0) -> Baked:
    """Key what the source plays on whole frames from ``first`` to ``last``; a bake that is there is changed there only.

    With ``error`` as few Bézier keys as keep every value within it. The character follows live no longer.

    Raises:
        CannotDrive: it cannot be.
    """
    drive.check(target)
    if last < first:
        raise CannotDrive(f"The last frame, {last}, lies before the first, {first}.")
    values, frames = {}, np.arange(float(first), last + 1.0)
    mapping = mapping_of(target)
    if target.object.type == "ARMATURE":
        values = pose.values(target, mapping, frames)
    else:
        driven = set(drive.driven_keys(target, mapping))
        found = key_values(source.weights(target.source, frames), mapping)
        values = {name: numbers for name, numbers in found.items() if name in driven}
    if not values:
        raise CannotDrive(f"Nothing of “{target.object.name}” is mapped to an action that its source has.")
    if target.baked is None or compat.action_of(kept.owner_of(target)) is None:
        unbake(target)  # what is left of a bake that was deleted by hand
    kept.keep(target, values)
    count = _write(target, frames, values, error)
    drive.go_off(target)
    return Baked(len(values), count, len(frames))


def unbake(target: Any) -> None:
    """Take the baked Action off; the character has the one that it had before.

    So it has where the baked one was deleted or unlinked by hand, but not where another was put in its place.
    """
    baked, keys = target.baked, kept.owner_of(target)
    if baked is None and target.before is None:
        return
    if keys is not None and compat.action_of(keys) in (baked, None):
        compat.assign_action(keys, None)
        if target.before is not None:
            _assign(keys, target.before, target.before_slot)
    target.baked, target.before, target.before_slot = None, None, ""
    if baked is not None and not baked.users:
        compat.remove_action(baked)
    if not target.live:
        kept.give_back(target)


def _assign(keys: Any, action: Any, slot: str) -> None:
    """Let an Action animate keys by the slot of this identifier."""
    compat.assign_action(keys, action)
    if compat.LAYERED_ACTIONS and slot in action.slots:
        keys.animation_data.action_slot = action.slots[slot]


def _write(target: Any, frames: F64, values: ByName[str, F64], error: float) -> int:
    """Write values (T,) of each key; returns how many keys there are of them."""
    owner = kept.owner_of(target)
    writer = _writer(target, owner)
    existing, count = writer.existing(), 0
    for name, numbers in values.items():
        path, index = kept.slot_of(owner, name)
        wanted = _keys(frames, numbers, error)
        count += len(wanted.frames)
        curve = existing.get((path, index))
        if curve is None:
            curve = writer.curve(path, index, GROUP, wanted.frames, wanted.values, np.zeros(len(wanted.frames), bool))
        else:
            old = compat.read_keys(curve, selection=False)
            wanted = joined(old.at(old.frames < frames[0]), _content(wanted), old.at(old.frames > frames[-1]))
        compat.write_keys(curve, wanted)
        curve.update()
    return count


def _writer(target: Any, keys: Any) -> compat.ActionWriter:
    """Writes into the bake that is there, else into a new one."""
    now = compat.action_of(keys)
    if now is not None and now == target.baked:
        return compat.ActionWriter(keys, now.name, now)
    name = f"{target.object.name} from {target.source.name}"
    slot = keys.animation_data.action_slot if compat.LAYERED_ACTIONS and now is not None else None
    target.before, target.before_slot = now, slot.identifier if slot is not None else ""
    copy = now.copy() if now is not None else None
    if copy is not None:
        _assign(keys, copy, target.before_slot)
    writer = compat.ActionWriter(keys, name, copy)
    writer.action[OURS] = True
    target.baked = writer.action
    return writer


def _keys(frames: F64, values: F64, error: float) -> Keys:
    """A key on each frame, or as few as keep within the error."""
    if error <= 0 or len(frames) < 2:
        return compat.new_keys(frames, values, np.zeros(len(frames), bool))
    fit = fitted(frames, values, error)
    at, heights = frames[fit.keys], values[fit.keys]
    numbers = dict(compat.new_keys(at, heights, np.zeros(len(at), bool)).numbers)
    steps = np.diff(at) / 3
    before, after = np.concatenate([steps[:1], steps]), np.concatenate([steps, steps[-1:]])
    numbers["handle_left"] = np.stack([at - before, heights - before * fit.slopes], axis=1).astype(np.float32)
    numbers["handle_right"] = np.stack([at + after, heights + after * fit.slopes], axis=1).astype(np.float32)
    numbers["interpolation"] = np.full(len(at), BEZIER, np.int32)
    numbers["handle_left_type"] = numbers["handle_right_type"] = np.full(len(at), ALIGNED, np.int32)
    return Keys(numbers)


def _content(keys: Keys) -> Keys:
    return Keys({name: values for name, values in keys.numbers.items() if name not in compat.SWITCHES})
