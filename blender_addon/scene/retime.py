"""Let a take start elsewhere, or play at another speed: its keys are moved, and can be moved back exactly.

All keys of all versions are taken along, those that a user set too. Single precision, in which Blender keeps frames,
would lose some of what is between them: an Action remembers where its keys are by the footage.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import compat
from . import head_motion, plate, retimed_footage, span
from . import ownership as replace
from . import versions_of_take as versions
from .curve_layers.apply import move_kept
from .timing import TIMING, Timing, timing_of

F64 = NDArray[np.float64]

HOME = "flowface_home"
"""An Action's property: where its keys and handles are by the footage, while the take's timing is another one."""
SLOWEST, FASTEST = 0.01, 100.0


def retime(collection: Any, *, start: float | None = None, speed: float | None = None) -> None:
    """Let a take start on another frame of the scene, or play at another speed: all keys of all its versions.

    Its heads move together.
    """
    old = timing_of(replace.main_of(collection))
    new = Timing(
        old.first,
        old.start if start is None else start,
        old.speed if speed is None else min(max(speed, SLOWEST), FASTEST),
    )
    for one in replace.family_of(collection):
        with head_motion.on_the_head(one):
            _retime(one, new)


def _retime(collection: Any, new: Timing) -> None:
    there = span.span_of(collection)
    if there is None:
        return
    versions.remember(collection, there)
    old = timing_of(collection)
    for action in versions.actions_of(collection):
        _move(action, old, new)
    if new.plain:
        if TIMING in collection:
            del collection[TIMING]
    else:
        collection[TIMING] = [new.first, new.start, new.speed]
    refresh_footage(collection, old)


def refresh_footage(collection: Any, old: Timing | None = None) -> None:
    """Have the take's cameras show their footage by its timing, after it was ``old``, or another version's Actions."""
    new = timing_of(collection)
    if old is not None or not new.plain:
        for role, obj in replace.built(collection).items():
            if replace.view_of(role) is not None:
                retimed_footage.retime(obj.data, f"{collection.name} lens", old or new, new)
    plate.refresh(collection)


def _move(action: Any, old: Timing, new: Timing) -> None:
    """Move all keys and handles of an Action from where one timing has them to where another has them."""
    known = np.array(action.get(HOME, ()), np.float64)
    before = old.at(known).astype(np.float32)
    order = np.argsort(before, kind="stable")
    known, before = known[order], before[order]
    used = [np.zeros(0)]
    for curve in compat.all_curves(action):
        if curve.group is not None and curve.group.name == retimed_footage.GROUP:
            continue  # its values count frames too: see retimed_footage
        for name in ("co", "handle_left", "handle_right"):
            places = compat.read_numbers(curve, name)
            homes = _homes(places[:, 0], known, before, old)
            used.append(homes)
            places[:, 0] = new.at(homes)
            curve.keyframe_points.foreach_set(name, places.ravel())
    move_kept(action, lambda frames: new.at(_homes(frames, known, before, old)))
    if action.use_frame_range:
        action.frame_start, action.frame_end = new.at(old.home(np.array([action.frame_start, action.frame_end])))
    if new.plain:
        if HOME in action:
            del action[HOME]
    else:
        action[HOME] = np.unique(np.concatenate(used)).tolist()


def _homes(frames: NDArray[np.float32], known: F64, before: NDArray[np.float32], old: Timing) -> F64:
    """Where keys (n,) are by the footage: as it is ``known`` of those that are where they were put ``before``."""
    homes = old.home(frames.astype(np.float64)) if not old.plain else frames.astype(np.float64)
    if len(known):
        nearest = np.minimum(np.searchsorted(before, frames), len(before) - 1)
        same = before[nearest] == frames
        homes[same] = known[nearest[same]]
    return homes
