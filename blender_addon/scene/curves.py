"""What a run of a take moves on one data-block, written as an Action: a new one, or a copy of the one before it.

A copy keeps all that a user made in it: curves of other properties, modifiers, colours, mutes and locks; and, where
the run is a part of the take, every key outside its frames as it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import compat
from ..keys import Keys, joined
from . import axes, splice
from .splice import Part

F64 = NDArray[np.float64]
Path = tuple[str, int]

SAME_TURN = 1e-6
"""Radians, and shares of a quaternion: where two turns are nearer than this, the older one stays, bit by bit."""
WRITTEN = "flowface_curves"
"""An Action's property: data path and index of each curve that a run wrote, all others are the user's."""
OWN_GROUPS = ("Expression", "ARKit", "Head pose", "left_eye", "right_eye", "Tracking", "Camera", "Lens", "Background")
"""Groups of the curves that were written before Actions said which these are."""


@dataclass(frozen=True, eq=False)
class Channel:
    """Values (n,) of one property on frames (n,); ``uncertain (n,)`` where they were bridged.

    ``border`` says what happens where a part meets the rest: values are blended, or led there already, or they are
    measurements and end where they end.
    """

    data_path: str
    group: str
    frames: F64
    values: F64
    uncertain: NDArray[np.bool_]
    index: int = 0
    border: Literal["BLENDED", "LED", "CUT"] = "BLENDED"


@dataclass(frozen=True, eq=False)
class Turn:
    """Rotations (n,3,3) of an object, or of the bone whose data path with a dot is ``prefix``, in its rotation mode."""

    prefix: str
    mode: str
    group: str
    frames: F64
    rotations: F64
    uncertain: NDArray[np.bool_]


Motion = Sequence[Channel | Turn]


def write(data_block: Any, name: str, motion: Motion, before: Any = None, part: Part | None = None) -> Any:
    """Animate a data-block by an Action ``name`` and return it; None where nothing moves.

    ``before`` is the Action of the run before, of which the new one is a copy. With ``part`` only its frames change,
    else all keys of the properties that a run writes are new, and gone where this run has none.
    """
    if not motion and before is None:
        return None
    writer = compat.ActionWriter(data_block, name, before.copy() if before is not None else None)
    writer.action.use_fake_user = False
    existing = writer.existing() if before is not None else {}
    written: list[Path] = []
    for item in motion:
        channels = [item] if isinstance(item, Channel) else _channels(item, existing, part)
        for channel in channels:
            path = channel.data_path, channel.index
            written.append(path)
            if path in existing:
                _rewrite(existing[path], channel, part)
            elif part is None:
                add(writer, channel)
    old = _written(before, existing) if before is not None else set()
    if part is None:
        for path in old - set(written):
            writer.remove(existing[path])
    kept = {*written, *(old if part is not None else ())}
    writer.action[WRITTEN] = "\n".join(f"{index} {path}" for path, index in sorted(kept))
    if not writer.existing():
        compat.assign_action(data_block, None)
        compat.remove_action(writer.action)
        return None
    return writer.action


def _written(action: Any, existing: dict[Path, Any]) -> set[Path]:
    """The curves of an Action that a run wrote."""
    if WRITTEN in action:
        lines = [line.split(" ", 1) for line in action[WRITTEN].splitlines()]
        return {(path, int(index)) for index, path in lines} & set(existing)
    return {path for path, curve in existing.items() if curve.group is not None and curve.group.name in OWN_GROUPS}


def add(writer: compat.ActionWriter, channel: Channel) -> None:
    """Write a channel as a curve that is not there yet."""
    writer.curve(channel.data_path, channel.index, channel.group, channel.frames, channel.values, channel.uncertain)


def _rewrite(curve: Any, channel: Channel, part: Part | None) -> None:
    """Give a curve the channel's keys, all of them or those of a part."""
    if part is None:
        compat.write_keys(curve, compat.new_keys(channel.frames, channel.values, channel.uncertain))
        curve.update()
        return
    old = compat.read_keys(curve)
    values, fills = channel.values, [np.zeros(0), np.zeros(0)]
    if channel.border == "BLENDED":
        share = splice.weights(len(values), part)
        values = values + (1 - share) * (_evaluated(curve, channel.frames, share < 1) - values)
    if channel.border != "CUT":
        step = float(np.median(np.diff(channel.frames))) if len(values) > 1 else 1.0
        fills = list(splice.left_bare(old.frames, part, step))
    left, right = (_held(curve, frames) for frames in fills)
    before, after = splice.outside(old.frames, part)
    middle = compat.new_keys(channel.frames, values, channel.uncertain)
    keys = joined(old.at(before), left, middle, right, old.at(after))
    compat.write_keys(curve, keys)
    curve.update()  # places all handles, those of the outer keys' automatic ones too: back with them
    count = len(keys.frames)
    for side in ("handle_left", "handle_right"):
        placed = compat.read_numbers(curve, side)
        for outer in (slice(0, before.stop), slice(count - (after.stop - after.start), count)):
            placed[outer] = keys.numbers[side][outer]
        curve.keyframe_points.foreach_set(side, placed.ravel())


def _held(curve: Any, frames: F64) -> Keys:
    """Keys of a curve's own values on some frames."""
    return compat.new_keys(frames, _evaluated(curve, frames, np.ones(len(frames), bool)), np.zeros(len(frames), bool))


def _evaluated(curve: Any, frames: F64, wanted: NDArray[np.bool_]) -> F64:
    """The values (n,) of a curve's keys on the frames that are wanted, 0 on others."""
    out = np.zeros(len(frames))
    with _without_modifiers(curve):
        for index in np.flatnonzero(wanted):
            out[index] = curve.evaluate(float(frames[index]))
    return out


def evaluated(curve: Any, frames: F64) -> F64:
    """The values (n,) of a curve's keys on frames (n,), without what its modifiers add."""
    return _evaluated(curve, frames, np.ones(len(frames), bool))


@contextlib.contextmanager
def _without_modifiers(curve: Any) -> Iterator[None]:
    """They come on top of the keys, and stay there."""
    active = [modifier for modifier in curve.modifiers if not modifier.mute]
    for modifier in active:
        modifier.mute = True
    try:
        yield
    finally:
        for modifier in active:
            modifier.mute = False


def _channels(turn: Turn, existing: dict[Path, Any], part: Part | None) -> list[Channel]:
    """The channels of a turn; those of a part lead from the curves that are there and back by the shortest way."""
    path = f"{turn.prefix}{axes.rotation_property(turn.mode)}"
    width = 3 if turn.mode not in axes.ROTATION_PROPERTIES else 4
    curves = [existing.get((path, index)) for index in range(width)]
    if part is None or None in curves or not len(turn.frames):
        values = axes.rotation_values(turn.rotations, turn.mode)
    else:
        values = _led(turn, curves, part)
    plain = Channel(path, turn.group, turn.frames, values[:, 0], turn.uncertain, border="LED")
    return [replace(plain, values=values[:, index], index=index) for index in range(width)]


def _led(turn: Turn, curves: list[Any], part: Part) -> F64:
    """Values of a turn between what the curves say before and after the part."""
    share = splice.weights(len(turn.frames), part)
    some = share < 1
    old = np.stack([_evaluated(curve, turn.frames, np.ones(len(share), bool)) for curve in curves], axis=1)
    rotations = turn.rotations.copy()
    rotations[some] = splice.turned(axes.rotations_from(old[some], turn.mode), rotations[some], share[some])
    if part.before or not part.after:
        values = axes.rotation_values(rotations, turn.mode, old[0] if part.before else None)
    else:
        values = axes.rotation_values(rotations[::-1], turn.mode, old[-1])[::-1]
    same = some & (np.abs(values - old).max(axis=1) < SAME_TURN)
    return np.where(same[:, None], old, values)


def course(block: Any, path: str, now: list[float], frames: F64) -> F64:
    """Values (T,n) of a property of a data-block over frames: of its curves, else as they are ``now (n,)``."""
    out = np.tile(np.array(now, np.float64), (len(frames), 1))
    for curve in compat.action_curves(block):
        if curve.data_path == path:
            out[:, curve.array_index] = [curve.evaluate(float(frame)) for frame in frames]
    return out
