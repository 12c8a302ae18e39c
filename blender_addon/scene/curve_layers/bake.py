"""What a take shows as the keys of a new version, as they are or thinned out; the version before stays what it was."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import compat
from ...keys import ALIGNED, BEZIER, Keys
from .. import armature, axes, head_motion, held, ownership, shape, span
from .. import versions_of_take as versions
from . import apply, channels, reduction
from .bezier import evaluated
from .fit import Fit, fitted
from .settings import LayerSettings
from .store import Path, Store, content

F64 = NDArray[np.float64]

_VERSION = re.compile(r" v\d+$")
MM = 1000.0
PROPERTY_REACH = 30.0
"""Millimetres that an action is taken to move the face by where no shape key says so: a jaw's, among the largest."""


@dataclass(frozen=True)
class Baked:
    """The new version, and how many keys the curves under layers had and have."""

    version: versions.Version
    before: int
    after: int


def bake(collection: Any) -> Baked:
    """Make what is seen the keys of a new version, which has no layers; of the one before nothing changes."""
    with head_motion.on_the_head(collection):
        keys = _keys_of(collection)
        count = _count(keys)
        return Baked(_new_version(collection, "Baked", "Baked from {before}.", {}), count, count)


def thin_out(collection: Any, error: float) -> Baked:
    """Bake, with as few Bézier keys as keep every point of the face within ``error`` mm on every frame."""
    with head_motion.on_the_head(collection):
        keys = _keys_of(collection)
        thinned = _thinned(collection, keys, error)
        before, after = _count(keys), _count({role: {**keys[role], **thinned.get(role, {})} for role in keys})
        said = f"{before:,} keys of {{before}} became {after:,}, within {error:g} mm of the face."
        return Baked(_new_version(collection, "Thinned Out", said, thinned), before, after)


def count_keys(collection: Any) -> int:
    """How many keys the curves have that layers are over."""
    return sum(len(curve.keyframe_points) for curves in _curves(collection).values() for curve in curves.values())


def _count(keys: Mapping[str, Store]) -> int:
    return sum(len(one.frames) for store in keys.values() for one in store.values())


def _curves(collection: Any) -> dict[str, dict[Path, Any]]:
    """The curves that layers are over, by role."""
    found = {}
    for role, block in versions.animated(collection).items():
        action = compat.action_of(block)
        if role in apply.ROLES and action is not None:
            curves = apply.curves_of(action)
            course = channels.course_of(collection, role, block, LayerSettings())
            found[role] = {path: curves[path] for path in course.paths(curves) if len(curves[path].keyframe_points)}
    return found


def _keys_of(collection: Any) -> dict[str, Store]:
    return {
        role: {path: compat.read_keys(curve, selection=False) for path, curve in curves.items()}
        for role, curves in _curves(collection).items()
    }


def _new_version(collection: Any, name: str, said: str, keys: Mapping[str, Store]) -> versions.Version:
    """A version with copies of all Actions, in which some curves have other ``keys``."""
    there = span.span_of(collection) or (1.0, 1.0)
    versions.remember(collection, there)
    before = versions.current(collection)
    number = max(version.number for version in versions.all_of(collection)) + 1
    for role, block in versions.animated(collection).items():
        action = versions.action_of(collection, role, block)
        if action is None:
            continue
        copy = action.copy()
        copy.name = f"{_VERSION.sub('', action.name)} v{number}"
        apply.forget(copy)
        compat.assign_action(block, copy)
        curves = apply.curves_of(copy)
        for path, thinned in keys.get(role, {}).items():
            compat.write_keys(curves[path], thinned)
    collection[versions.LAYERS] = ""
    held.keep_written(collection)
    made = versions.add(
        collection,
        name,
        before.frames if before is not None else there,
        there,
        job=before.job if before is not None else "",
        whole=False,
        head_id=before.head if before is not None else "",
        notes=[said.format(before=f"“{before.name}”" if before is not None else "the version before")],
    )
    if before is not None:
        versions.keep_on(collection, before.number)
    return made


def _thinned(collection: Any, keys: Mapping[str, Store], error: float) -> dict[str, Store]:
    """Keys of all curves that can be thinned out."""
    head, rig = (ownership.member(collection, role) for role in (ownership.HEAD, ownership.ARMATURE))
    out: dict[str, Store] = {}
    shapes, properties = keys.get(versions.EXPRESSION, {}), keys.get(versions.ACTIONS, {})
    reach = 0.0, 0.0
    if head is not None:
        surface, names = _surface(head, rig), shape.built_names(head.data)
        blocks = shape.expressions_of(head.data, names)
        paths = {(blocks[name].path_from_id("value"), 0): index for index, name in enumerate(names) if name in blocks}
        frames = _frames(shapes)
        values = np.zeros((len(frames), len(surface.actions)))
        for path, index in paths.items():
            values[:, index] = evaluated(shapes[path], frames) if path in shapes else blocks[names[index]].value
        reach = reduction.reaches(surface, values)
        if shapes:
            fits = reduction.thinned_weights(frames, values, surface, error * reduction.OF_WEIGHTS)
            kept = {path: fits[index] for path, index in paths.items() if path in shapes}
            out[versions.EXPRESSION] = _all_keyed(shapes, frames, kept)
    if properties:
        frames = _frames(properties)
        tolerance = error / PROPERTY_REACH
        fits_of = {path: fitted(frames, evaluated(one, frames), tolerance) for path, one in properties.items()}
        out[versions.ACTIONS] = _all_keyed(properties, frames, fits_of)
    if rig is not None and versions.POSE in keys:
        out[versions.POSE] = _thinned_pose(rig, keys[versions.POSE], error, *reach)
    return out


def _thinned_pose(rig: Any, keys: Store, error: float, head_reach: float, eye_reach: float) -> Store:
    """Head pose and gaze; a number that is off by no more than its tolerance is off by that on its own curve."""
    bound = error * reduction.OF_POSE
    tolerances: dict[str, float | None] = {
        "location": bound / 2 / np.sqrt(3) / MM * rig.scale[0],
        axes.rotation_property(rig.rotation_mode): reduction.angle_tolerance(bound / 2, head_reach, rig.rotation_mode),
    }
    for bone in armature.eye_bones(rig).values():
        path = f"{bone.path_from_id()}.{axes.rotation_property(bone.rotation_mode)}"
        tolerances[path] = reduction.angle_tolerance(error * reduction.OF_GAZE, eye_reach, bone.rotation_mode)
    frames = _frames(keys)
    fits: dict[Path, Fit] = {}
    for curve, one in keys.items():
        tolerance = tolerances.get(curve[0])
        if tolerance is not None:
            fits[curve] = fitted(frames, evaluated(one, frames), tolerance)
    return _all_keyed(keys, frames, fits)


def _frames(keys: Store) -> F64:
    """All frames on which something is keyed, and all whole ones between."""
    keyed = np.unique(np.concatenate([np.zeros(0), *(one.frames for one in keys.values())]))
    return np.union1d(keyed, np.arange(np.ceil(keyed[0]), keyed[-1] + 1e-6)) if len(keyed) else keyed


def _all_keyed(keys: Store, frames: F64, fits: Mapping[Path, Fit]) -> Store:
    return {path: _keyed(keys[path], frames, fit) for path, fit in fits.items() if len(keys[path].frames) > 1}


def _keyed(keys: Keys, frames: F64, fit: Fit) -> Keys:
    """Bézier keys of a thinned-out curve; they are of type Jitter where the nearest key was."""
    at, values = frames[fit.keys], evaluated(keys, frames[fit.keys])
    steps = np.diff(at) / 3
    new = dict(content(compat.new_keys(at, values, np.zeros(len(at), bool))).numbers)
    before, after = np.concatenate([steps[:1], steps]), np.concatenate([steps, steps[-1:]])
    new["handle_left"] = np.stack([at - before, values - before * fit.slopes], axis=1).astype(np.float32)
    new["handle_right"] = np.stack([at + after, values + after * fit.slopes], axis=1).astype(np.float32)
    new["interpolation"] = np.full(len(at), BEZIER, np.int32)
    new["handle_left_type"] = new["handle_right_type"] = np.full(len(at), ALIGNED, np.int32)
    nearest = np.abs(keys.frames[:, None] - at[None]).argmin(axis=0)
    new["type"] = keys.numbers["type"][nearest]
    return Keys(new)


def _surface(head: Any, rig: Any) -> reduction.Surface:
    """The face of a head as it is now, in mm of its own size."""
    names: Sequence[str] = shape.built_names(head.data)
    points = MM * shape.shape_of(head, names)
    bones = {eye: armature.bone_of(rig.data.bones, eye) for eye in armature.EYES} if rig is not None else {}
    eyes = {eye: bone for eye, bone in bones.items() if bone is not None}
    carried = np.zeros((len(eyes), len(points[0])), np.float32)
    for row, bone in zip(carried, eyes.values(), strict=True):
        group = head.vertex_groups.get(bone.name)
        if group is not None:
            _weights(head.data, group.index, row)
    joints = np.array([bone.head_local for bone in eyes.values()], np.float32).reshape(-1, 3) * MM
    return reduction.Surface(points[0], points[1:] - points[0], joints, carried)


def _weights(mesh: Any, group: int, out: NDArray[np.float32]) -> None:
    """How much of each vertex (V,) a vertex group has."""
    for vertex in mesh.vertices:
        for element in vertex.groups:
            if element.group == group:
                out[vertex.index] = element.weight
