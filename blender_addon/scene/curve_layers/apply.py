"""Layers over the curves of a take: what was tracked is kept beside the keys, which show it under the layers.

Layers act on the keys themselves, so that every tool sees what is shown: the Graph Editor, retargeting, exports of
Blender's. An Action under layers holds the keys as they were without them (``TRACKED``), and as they were written
last (``SHOWN``). What differs from the latter was edited by hand: it stays on top, whatever the layers become. Where
no layer does anything the tracked keys are back bit by bit, and nothing is kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import compat
from ...keys import Keys
from .. import head_motion
from .. import versions_of_take as versions
from ..splice import Part, outside
from . import channels
from .settings import LayerSettings, from_text, to_text
from .store import Path, Store, content, edited, pack, replayed, unpack

TRACKED, SHOWN = "flowface_tracked", versions.SHOWN
"""An Action's properties: its keys without the layers, and as they were written under them."""
ROLES = (versions.EXPRESSION, versions.ACTIONS, versions.POSE)


def settings_of(collection: Any) -> LayerSettings:
    """The layers of the version that a take shows."""
    return from_text(str(collection.get(versions.LAYERS, "")))


def change(collection: Any, settings: LayerSettings) -> None:
    """Give the version that a take shows other layers, and show them."""
    collection[versions.LAYERS] = to_text(settings)
    apply(collection)


def apply(collection: Any) -> None:
    """Show a take's curves under its layers; what is so already is not written again."""
    settings, blocks = settings_of(collection), versions.animated(collection)
    for role in (role for role in ROLES if role in blocks):
        course = channels.course_of(collection, role, blocks[role], settings)
        with head_motion.on_the_head(collection) if _moves_head(course, blocks[role]) else contextlib.nullcontext():
            _apply(compat.action_of(blocks[role]), course)


def _moves_head(course: channels.Course, block: Any) -> bool:
    """True where the layers change the head's own motion, or have changed it."""
    if not isinstance(course, channels.PoseCourse):
        return False
    action = compat.action_of(block)
    if action is None or TRACKED not in action:
        return not course.head_is_plain
    tracked, shown = _kept(action)
    return not course.head_is_plain or any(tracked[path] is not shown[path] for path in course.head_paths(tracked))


def _apply(action: Any, course: channels.Course) -> None:
    if action is None or (course.plain and TRACKED not in action):
        return
    curves = curves_of(action)
    tracked, shown = _kept(action)
    for path in course.paths(curves):
        if path not in tracked and len(curves[path].keyframe_points):
            tracked[path] = shown[path] = compat.read_keys(curves[path], selection=False)
    if not tracked:
        return
    after = course.under_layers(tracked)
    for path, keys in after.items():
        if path in curves and not _is_shown(keys, shown[path], tracked[path]):
            after[path] = _write(curves[path], shown[path], keys, back=keys is tracked[path])
    if all(keys is tracked[path] for path, keys in after.items()):
        forget(action)
    else:
        _keep(action, tracked, after)


def _is_shown(keys: Keys, shown: Keys, tracked: Keys) -> bool:
    """True where a curve has been written so; the tracked keys come back with their handles, too."""
    return keys is shown or (keys is not tracked and np.array_equal(keys.numbers["co"], shown.numbers["co"]))


def curves_of(action: Any) -> dict[Path, Any]:
    """The curves of an Action of a take, which animates one data-block."""
    return {(curve.data_path, curve.array_index): curve for curve in compat.all_curves(action)}


def _kept(action: Any) -> tuple[Store, Store]:
    """The keys without the layers, and as they were written last; the same objects where a layer does nothing."""
    if TRACKED not in action:
        return {}, {}
    tracked = unpack(action[TRACKED])
    shown = unpack(action[SHOWN], tracked)
    plain = set(str(action[SHOWN].get("plain", "")).split("\n"))
    return tracked, {path: tracked[path] if f"{path[1]} {path[0]}" in plain else shown[path] for path in tracked}


def _keep(action: Any, tracked: Store, shown: Store) -> None:
    if TRACKED not in action or len(action[TRACKED]["counts"]) != len(tracked):
        action[TRACKED] = pack(tracked)
    plain = [f"{index} {path}" for (path, index), keys in shown.items() if keys is tracked[path, index]]
    action[SHOWN] = {**pack(shown, tracked), "plain": "\n".join(plain)}


def forget(action: Any) -> None:
    """Have an Action keep nothing beside its keys."""
    for name in (TRACKED, SHOWN):
        if name in action:
            del action[name]


def _write(curve: Any, before: Keys, after: Keys, *, back: bool) -> Keys:
    """Bring a curve that was written as ``before`` to ``after``, with what was edited since; returns what was written.

    ``back`` says that these are the tracked keys, whose handles are known.
    """
    places = compat.read_numbers(curve, "co")
    if before.linear and after.linear and _on_same_frames(before, after) and len(places) == len(before.frames):
        old, new = before.numbers["co"], after.numbers["co"]
        if (places[:, 0] == old[:, 0]).all() and not (back and edited(compat.read_keys(curve), before).any()):
            shift = new[:, 1].astype(np.float64) - old[:, 1]
            places[:, 1] = np.where(places[:, 1] == old[:, 1], new[:, 1], places[:, 1] + shift)
            curve.keyframe_points.foreach_set("co", places.ravel())
            if back:
                _set_handles(curve, after, np.ones(len(places), bool))
            else:
                curve.update()
            return after
    keys = replayed(compat.read_keys(curve, selection=False), before, after)
    compat.write_keys(curve, keys)
    if keys is after and back:
        return after
    curve.update()
    if back:
        _set_handles(curve, after, np.isin(keys.frames, after.frames) & ~edited(keys, after))
    elif keys is after and not after.linear:
        return compat.read_keys(curve, selection=False)  # Blender has aligned handles anew: nobody edited them
    return after


def _on_same_frames(one: Keys, other: Keys) -> bool:
    return len(one.frames) == len(other.frames) and bool((one.frames == other.frames).all())


def _set_handles(curve: Any, keys: Keys, wanted: NDArray[np.bool_]) -> None:
    """Place the handles of those keys of a curve (n,) that are ``wanted`` as they are in ``keys``."""
    at = np.minimum(np.searchsorted(keys.frames, compat.read_numbers(curve, "co")[:, 0]), len(keys.frames) - 1)
    for side in ("handle_left", "handle_right"):
        places = compat.read_numbers(curve, side)
        places[wanted] = keys.numbers[side][at[wanted]]
        curve.keyframe_points.foreach_set(side, places.ravel())


@dataclass(frozen=True, eq=False)
class _Lifted:
    """An Action whose layers are off for a while: all of its keys that they change, and what it keeps of them."""

    action: Any
    now: Store
    tracked: Store
    shown: Store


@contextlib.contextmanager
def lifted(collection: Any, parts: Sequence[Part] = ()) -> Iterator[None]:
    """Have the curves of a take without its layers for a while, as they were tracked; then the layers again.

    Actions that are the take's then and were not before are a new run's: they get the layers, and what was edited by
    hand outside of ``parts``, the frames that are new. The others get back what they had, bit by bit.
    """
    before = {
        role: versions.action_of(collection, role, block) for role, block in versions.animated(collection).items()
    }
    held = {role: _lift(action) for role, action in before.items() if action is not None and TRACKED in action}
    try:
        yield
    finally:
        for one in held.values():
            _put_back(one)
    apply(collection)
    for role, block in versions.animated(collection).items():
        action = compat.action_of(block)
        if role in held and parts and action is not None and action != held[role].action:
            _edit_again(action, held[role], parts)


def _lift(action: Any) -> _Lifted:
    curves = curves_of(action)
    tracked, shown = _kept(action)
    there = [path for path in tracked if path in curves]
    now = {path: compat.read_keys(curves[path]) for path in there}
    for path in there:
        compat.write_keys(curves[path], tracked[path])
    forget(action)
    return _Lifted(action, now, tracked, shown)


def _put_back(one: _Lifted) -> None:
    curves = curves_of(one.action)
    for path, keys in one.now.items():
        if path in curves:
            compat.write_keys(curves[path], keys)
    _keep(one.action, one.tracked, one.shown)


def _edit_again(action: Any, one: _Lifted, parts: Sequence[Part]) -> None:
    """Do again to a new run's curves what had been edited by hand outside of its frames."""

    def apart(frames: NDArray[np.float64]) -> NDArray[np.bool_]:
        index, inside = np.arange(len(frames)), np.zeros(len(frames), bool)
        for part in parts:
            before, after = outside(frames, part)
            inside |= (index >= before.stop) & (index < after.start)
        return ~inside

    curves = curves_of(action)
    for path, now in one.now.items():
        if path in curves:
            after = compat.read_keys(curves[path], selection=False)
            keys = replayed(content(now), one.shown[path], after, apart)
            if keys is not after:
                compat.write_keys(curves[path], keys)
                curves[path].update()


def move_kept(action: Any, moved: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
    """Move what an Action under layers keeps along with its keys: ``moved`` gives new frames (n,) of old ones."""
    for name in (TRACKED, SHOWN):
        data = action.get(name)
        for field in ("co", "handle_left", "handle_right") if data is not None else ():
            if field in data:
                places = np.array(data[field], np.int32).view(np.float32).reshape(-1, 2)
                places[:, 0] = moved(places[:, 0])
                data[field] = places.view(np.int32).ravel()
