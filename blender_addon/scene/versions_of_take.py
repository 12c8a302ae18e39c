"""The runs of a take: each is a version with Actions of its own, older ones are kept and can be switched to.

The record is custom properties of the take's collection, whose pointers Blender keeps when a take is copied, appended
or undone. A version holds an Action for each animated data-block of the take, where its solved cameras stand where
they are not animated, and, where the run solved the whole take, the shape of the person and the joints.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from .. import compat
from . import armature, head_motion, shape, skin_texture, wrinkles
from . import ownership as replace
from .head import EXPRESSIONS, SHAPE

RECORD = "flowface_versions"
CURRENT = "flowface_version"
LAYERS = "flowface_layers"
"""Of a take's collection: the layers over the curves of the version that is shown, as text (see ``curve_layers``)."""
SHOWN = "flowface_shown"
"""Of an Action under layers: its keys as they were written under them."""
TEXTURE = "texture"
"""Of a version's record: the image of the skin, where there is one (see ``skin_texture``)."""
WRINKLES = "wrinkles"
"""Of a version's record: the image of the person's wrinkles, where there is one (see ``wrinkles``)."""
OWN_DATA = ("mesh", "shape", TEXTURE, WRINKLES)
"""Of a version's record: data-blocks that it may have besides Actions."""
REFINED = "refined"
"""Of a version's record: where it differs from its track, by whose job (see ``refining``)."""
BASE = "base"
"""Of the record of a version that is a part: the number of the version that it was set into."""
POSE, EXPRESSION, ACTIONS = "pose", "expression", "actions"
CAMERA, LENS = "camera:", "lens:"
"""Roles of data-blocks: armature, shape keys, head; before a view's name its camera and that camera's data."""


@dataclass(frozen=True)
class Version:
    """What is known of a run: its number in the take, its frames and those of all curves, and what was said of it."""

    number: int
    name: str
    date: str
    frames: tuple[float, float]
    span: tuple[float, float]
    job: str
    head: str
    notes: str


def all_of(collection: Any) -> list[Version]:
    """The versions of a take, the oldest first; none where an earlier add-on built it and nothing happened since."""
    return sorted((_read(number, data) for number, data in _record(collection).items()), key=lambda v: v.number)


def current(collection: Any) -> Version | None:
    """The version that the take shows."""
    number = str(collection.get(CURRENT, 0))
    record = _record(collection)
    return _read(number, record[number]) if number in record else None


def _record(collection: Any) -> Any:
    return collection.get(RECORD, {})


def _read(number: str, data: Any) -> Version:
    frames, span = (tuple(float(frame) for frame in data[key]) for key in ("frames", "span"))
    texts = {key: str(data.get(key, "")) for key in ("name", "date", "job", "head", "notes")}
    return Version(int(number), frames=frames, span=span, **texts)  # type: ignore[arg-type]


def animated(collection: Any) -> dict[str, Any]:
    """The data-blocks of a take that a run animates, by role; a take's own only, none of the user's cameras."""
    found: dict[str, Any] = {}
    for role, obj in replace.built(collection).items():
        view = replace.view_of(role)
        if role == replace.ARMATURE:
            found[POSE] = obj
        elif role == replace.HEAD:
            found[ACTIONS] = obj
            if obj.data.shape_keys is not None:
                found[EXPRESSION] = obj.data.shape_keys
        elif view is not None:
            found[f"{CAMERA}{view}"], found[f"{LENS}{view}"] = obj, obj.data
    return found


def action_of(collection: Any, role: str, data_block: Any) -> Any | None:
    """The Action of a data-block in the present version: the one that it has, else the one that was recorded."""
    animation = data_block.animation_data
    if animation is not None and animation.action is not None:
        return animation.action
    data = _record(collection).get(str(collection.get(CURRENT, 0)))
    return data["actions"].get(role) if data is not None else None


def remember(collection: Any, span: tuple[float, float], names: Sequence[str] = ()) -> None:
    """Put down what the present version has now, as the user may have given a data-block another Action.

    A take that an earlier add-on built gets its first version so: of the frames ``span``, with the expressions
    ``names``, all that it has where these are not known.
    """
    record, number = _record(collection), str(collection.get(CURRENT, 0))
    if number not in record:
        head = replace.member(collection, replace.HEAD)
        points = None
        if head is not None and head.data.shape_keys is not None:
            names = names or [block.name for block in list(head.data.shape_keys.key_blocks)[1:]]
            head.data[EXPRESSIONS] = list(names)
            points = shape.shape_of(head, names)
        add(collection, "", span, span, job=str(collection.get(replace.JOB_KEY, "")), points=points)
        return
    data = record[number]
    for role, block in animated(collection).items():
        action = action_of(collection, role, block)
        if action is not None:
            data["actions"][role] = action
    data["cameras"] = _cameras(collection)
    data["layers"] = collection.get(LAYERS, "")
    _remember_skin(collection, data)


def _remember_skin(collection: Any, data: Any) -> None:
    head = replace.member(collection, replace.HEAD)
    for key, image in ((TEXTURE, skin_texture.image_on(head)), (WRINKLES, wrinkles.image_on(head))):
        if image is not None:
            data[key] = image


def add(
    collection: Any,
    name: str,
    frames: tuple[float, float],
    span: tuple[float, float],
    *,
    job: str = "",
    whole: bool = True,
    head_id: str = "",
    notes: Iterable[str] = (),
    points: NDArray[np.float32] | None = None,
) -> Version:
    """Make what the take shows now its newest version.

    ``points (1+K,V,3)`` is the shape as it was tracked; without it the version has that of the one before. The take is
    exported as the last run that was ``whole``.
    """
    if RECORD not in collection:
        collection[RECORD] = {}
    record, before = collection[RECORD], collection.get(CURRENT, 0)
    number = max((int(key) for key in record.keys()), default=0) + 1  # noqa: SIM118
    base = record.get(str(before))
    head = replace.member(collection, replace.HEAD)
    data: dict[str, Any] = {
        "name": name or f"Version {number}",
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "frames": list(frames),
        "span": list(span),
        "job": job,
        "exported": job if whole else str(collection.get(replace.JOB_KEY, "")),
        "head": head_id,
        "notes": " ".join(notes),
        "actions": {},
        "cameras": _cameras(collection),
        "layers": collection.get(LAYERS, ""),
    }
    if not whole:
        data[BASE] = int(before)
    _remember_skin(collection, data)
    if head is not None:
        if points is not None:
            head.data[SHAPE] = shape.keep_shape(collection.name, points)
        data["mesh"] = head.data
        if head.data.get(SHAPE) is not None:
            data["shape"] = head.data[SHAPE]
    rest = armature.placed(rig) if (rig := replace.member(collection, replace.ARMATURE)) is not None else None
    if rest is not None:
        data["rest"] = rest.ravel().tolist()
    for role, block in animated(collection).items():
        action = block.animation_data.action if block.animation_data is not None else None
        if action is not None:
            data["actions"][role] = action
            action.use_fake_user = False
    if base is not None:
        _keep(base)
    record[str(number)] = data
    collection[CURRENT] = number
    collection[replace.JOB_KEY] = data["exported"]
    return _read(str(number), record[str(number)])


def _keep(data: Any) -> None:
    for action in data["actions"].values():
        if action is not None:
            action.use_fake_user = True


def _cameras(collection: Any) -> dict[str, list[float]]:
    """Of each solved camera: location, rotation in every form, lens and shifts."""
    return {
        role: [
            *(*obj.location, *obj.rotation_euler, *obj.rotation_quaternion, *obj.rotation_axis_angle),
            *(obj.data.lens, obj.data.shift_x, obj.data.shift_y),
        ]
        for role, obj in replace.built(collection).items()
        if replace.view_of(role) is not None
    }


def _place_cameras(collection: Any, stored: Mapping[str, Any]) -> None:
    for role, obj in replace.built(collection).items():
        if role in stored:
            numbers = list(stored[role])
            obj.location, obj.rotation_euler, obj.rotation_quaternion = numbers[:3], numbers[3:6], numbers[6:10]
            obj.rotation_axis_angle = numbers[10:14]
            obj.data.lens, obj.data.shift_x, obj.data.shift_y = numbers[14:17]


def switch(context: Any, collection: Any, number: int) -> None:
    """Let the take show a version: its Actions, its cameras, its head's shape and joints. In Object Mode."""
    with head_motion.on_the_head(collection):
        _switch(context, collection, number)


def _switch(context: Any, collection: Any, number: int) -> None:
    version = current(collection)
    if version is not None:
        remember(collection, version.span)
    record = collection[RECORD]
    data = record[str(number)]
    if version is not None and version.number != number:
        _keep(record[str(version.number)])
    head, rig = (replace.member(collection, role) for role in (replace.HEAD, replace.ARMATURE))
    if head is not None:
        _reshape(head, data)
    if rig is not None and "rest" in data:
        armature.place_bones_as(context, rig, np.array(data["rest"], np.float64).reshape(-1, 6))
    _place_cameras(collection, data["cameras"])
    collection[LAYERS] = data.get("layers", "")
    for role, block in animated(collection).items():
        action = data["actions"].get(role)
        compat.assign_action(block, action)
        if action is not None:
            action.use_fake_user = False
    collection[CURRENT] = number
    collection[replace.JOB_KEY] = data["exported"]


def _reshape(head: Any, data: Any) -> None:
    """Give a head a version's mesh, shape, texture and wrinkles."""
    if data.get("mesh") is not None and head.data != data["mesh"]:
        head.data = data["mesh"]
    kept = data.get("shape")
    points = shape.kept_shape(kept, head.data)
    if points is not None and head.data.get(SHAPE) != kept:
        shape.change_shape(head, shape.built_names(head.data), points)
        head.data[SHAPE] = kept
    if data.get(TEXTURE) is not None:
        skin_texture.change(head, data[TEXTURE])
    wrinkles.for_version(head, data.get(WRINKLES), str(data.get("head", "")))


def actions_of(collection: Any) -> list[Any]:
    """Every Action of every version of a take, none of which another take has: such a one is copied first."""
    mine = _record(collection)
    others = {
        action
        for other in bpy.data.collections
        if other != collection and RECORD in other
        for data in other[RECORD].values()
        for action in data["actions"].values()
    }
    blocks = animated(collection)
    copies: dict[Any, Any] = {}
    for number, data in mine.items():
        for role, action in list(data["actions"].items()):
            if action in others:
                copies[action] = copies.get(action) or action.copy()
                data["actions"][role] = copies[action]
                if int(number) == collection[CURRENT] and role in blocks:
                    compat.assign_action(blocks[role], copies[action])
    found = dict.fromkeys(action for data in mine.values() for action in data["actions"].values())
    return [action for action in found if action is not None]


def forget(collection: Any, number: int) -> list[Any]:
    """Drop a version's record; returns the data-blocks that it had, which others may have, too."""
    data = collection[RECORD][str(number)]
    actions = [action for action in data["actions"].values() if action is not None]
    kept = {
        action
        for other, more in collection[RECORD].items()
        if int(other) != number
        for action in more["actions"].values()
    }
    for action in actions:
        action.use_fake_user = action in kept and action.use_fake_user
    others = [data[key] for key in OWN_DATA if data.get(key) is not None]
    del collection[RECORD][str(number)]
    return [*actions, *others]


def rename(collection: Any, number: int, name: str) -> None:
    """Call a version something else."""
    collection[RECORD][str(number)]["name"] = name


def count_anew(collection: Any, number: int, frames: Sequence[float], span: Sequence[float]) -> None:
    """Tell a version's frames by another count of them."""
    collection[RECORD][str(number)]["frames"] = list(frames)
    collection[RECORD][str(number)]["span"] = list(span)


def annotate(collection: Any, number: int, notes: str) -> None:
    """Say something else of a version."""
    collection[RECORD][str(number)]["notes"] = notes


def keep(collection: Any, number: int, key: str, data: Mapping[str, Any]) -> None:
    """Put something more down with a version."""
    collection[RECORD][str(number)][key] = dict(data)


def keep_on(collection: Any, before: int) -> None:
    """Put down with the version that is shown what ``keep`` put down with one whose keys it has taken over."""
    record = collection[RECORD]
    older, newer = record[str(before)], record[str(collection[CURRENT])]
    if REFINED in older:
        newer[REFINED] = older[REFINED].to_dict()


def kept(collection: Any, number: int, key: str) -> Any | None:
    """What ``keep`` put down with a version; None where nothing."""
    record = _record(collection)
    return record[str(number)].get(key) if str(number) in record else None
