"""A scene for exporters that holds a character and nothing else.

For formats that know bones and shape keys it has copies of the objects with a key on every frame, as they are seen, and
nothing else moves them: no driver, constraint or layer, which exporters and other programs do not know. The user's
objects lend the copies their names for as long as the scene is there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import bpy
import numpy as np
from bpy.utils import escape_identifier
from numpy.typing import NDArray

from ... import compat
from ...scene import axes
from . import parts, stepping
from .seen import Seen

F64 = NDArray[np.float64]

STILL = 1e-5
"""Metres, shares of a quaternion, factors and weights: what changes less does not move."""


@contextlib.contextmanager
def linked(context: Any, objects: Sequence[Any], frames: F64) -> Iterator[Any]:
    """A scene, shown in the context's window, with the objects themselves, on scene frames (T,); gone afterwards."""
    with contextlib.ExitStack() as stack:
        scene = _scene(context, frames, stack)
        for obj in objects:
            scene.collection.objects.link(obj)
        yield _shown(context, scene, stack)


@contextlib.contextmanager
def baked(context: Any, seen: Sequence[Seen], frames: F64, *, whole_rate: bool = False) -> Iterator[Any]:
    """A scene, shown in the context's window, with copies of objects that move as they were seen on ``frames (T,)``.

    With ``whole_rate`` its frames begin at 0 and its frame rate is a whole number, with keys between frames where the
    user's is none; else frames and rate are those of the context's scene. All of it is gone afterwards.
    """
    with contextlib.ExitStack() as stack:
        rate = stepping.rate_of(context.scene)
        if whole_rate:
            frames = (frames - frames[0]) * max(1, round(rate)) / rate
        scene = _scene(context, frames, stack)
        if whole_rate:
            scene.render.fps, scene.render.fps_base = max(1, round(rate)), 1.0
        names, copies = _borrowed_names(seen, stack), {}
        for obj in (one.obj for one in seen):
            copies[obj] = copy = _copied(obj, stack)
            copy.name, copy.data.name = names[obj], names[obj.data]
            scene.collection.objects.link(copy)
        for one in seen:
            _join(one, copies, seen)
            _key(one, copies, seen, frames, stack)
        yield _shown(context, scene, stack)


def _scene(context: Any, frames: F64, stack: contextlib.ExitStack) -> Any:
    """An empty scene of the same frame rate and scale, with a range that has all frames in it."""
    own, scene = context.scene, bpy.data.scenes.new("FlowFace export")
    stack.callback(bpy.data.scenes.remove, scene)
    scene.unit_settings.scale_length = own.unit_settings.scale_length
    scene.render.fps, scene.render.fps_base = own.render.fps, own.render.fps_base
    scene.frame_start, scene.frame_end = int(np.floor(frames[0])), int(np.ceil(frames[-1]))
    return scene


def _shown(context: Any, scene: Any, stack: contextlib.ExitStack) -> Any:
    window, own = context.window, context.scene
    layer, frame = window.view_layer, (own.frame_current, own.frame_subframe)

    def show_own() -> None:
        window.scene = own
        window.view_layer = layer
        own.frame_set(frame[0], subframe=frame[1])

    stack.callback(show_own)
    window.scene = scene
    scene.frame_set(scene.frame_start)
    return scene


def _copied(obj: Any, stack: contextlib.ExitStack) -> Any:
    """A copy of an object with data of its own that nothing moves."""
    copy, data, is_rig = obj.copy(), obj.data.copy(), obj.type == "ARMATURE"
    stack.callback((bpy.data.armatures if is_rig else bpy.data.meshes).remove, data)
    stack.callback(bpy.data.objects.remove, copy)
    copy.data = data
    for block in (copy, data, getattr(data, "shape_keys", None)):
        if block is not None:
            block.animation_data_clear()
    copy.constraints.clear()
    copy.parent = None
    copy.hide_viewport = copy.hide_render = copy.hide_select = False
    for block in getattr(getattr(data, "shape_keys", None), "key_blocks", ()):
        block.mute = False
    for bone in data.bones if is_rig else ():
        bone.use_inherit_rotation, bone.inherit_scale, bone.use_local_location = True, "FULL", True
    for bone in copy.pose.bones if is_rig else ():
        bone.rotation_mode = "QUATERNION"
        while len(bone.constraints):
            bone.constraints.remove(bone.constraints[0])
    return copy


def _join(one: Seen, copies: dict[Any, Any], seen: Sequence[Seen]) -> None:
    """Give a copy the copies of the armatures that deform it."""
    copy = copies[one.obj]
    for modifier in copy.modifiers:
        if modifier.type == "ARMATURE":
            modifier.object = copies.get(modifier.object)
    rig = _rig(one, seen)
    if rig is not None:
        copy.parent, copy.parent_type = copies[rig.obj], "OBJECT"
        copy.matrix_parent_inverse.identity()


def _rig(one: Seen, seen: Sequence[Seen]) -> Seen | None:
    """The armature of a mesh, within which it stays; one that a bone carries about is exported without a parent.

    Blender's FBX importer (4.5.15) reads no motion of an object that has an armature as its parent.
    """
    if one.obj.type != "MESH":
        return None
    rig = parts.rig_of(one.obj, (other.obj for other in seen if other.obj.type == "ARMATURE"))
    found = next((other for other in seen if other.obj == rig), None)
    stays = found is not None and np.ptp(np.linalg.inv(found.worlds) @ one.worlds, axis=0).max() < STILL
    return found if stays else None


def _key(one: Seen, copies: dict[Any, Any], seen: Sequence[Seen], frames: F64, stack: contextlib.ExitStack) -> None:
    """Key all that moves of a copy, and leave it as it is on the first frame where it does not."""
    copy, rig = copies[one.obj], _rig(one, seen)
    spaces = one.worlds if rig is None else np.linalg.inv(rig.worlds) @ one.worlds
    curves = _Curves(copy, frames, stack)
    curves.transform(copy, "", copy.name, spaces)
    for name, basis in _bases(one).items():
        bone = copy.pose.bones[name]
        curves.transform(bone, f"{bone.path_from_id()}.", name, basis)
    if one.keys:
        keys = copy.data.shape_keys
        values = _Curves(keys, frames, stack)
        for name, weights in one.keys.items():
            block = keys.key_blocks[name]
            block.value = weights[0]
            values.number(f'key_blocks["{escape_identifier(name)}"].value', 0, "Shape keys", weights)


class _Curves:
    """Curves of one data-block; it gets an Action with the first one that moves."""

    def __init__(self, block: Any, frames: F64, stack: contextlib.ExitStack) -> None:
        self._block, self._frames, self._stack = block, frames, stack
        self._writer: compat.ActionWriter | None = None

    def number(self, path: str, index: int, group: str, values: F64) -> None:
        """Key ``values (T,)`` where they change."""
        if np.ptp(values) > STILL:
            self._keyed(path, index, group, values)

    def transform(self, owner: Any, prefix: str, group: str, matrices: F64) -> None:
        """Give an object or pose bone transforms (T,4,4), keyed where they change."""
        owner.rotation_mode = "QUATERNION"
        places, turns, sizes = _parts(matrices)
        for path, values in (("location", places), ("rotation_quaternion", turns), ("scale", sizes)):
            setattr(owner, path, values[0])
            if np.ptp(values, axis=0).max() > STILL:
                for index, column in enumerate(values.T):
                    self._keyed(f"{prefix}{path}", index, group, column)

    def _keyed(self, path: str, index: int, group: str, values: F64) -> None:
        if self._writer is None:
            self._writer = compat.ActionWriter(self._block, self._block.name)
            self._stack.callback(compat.remove_action, self._writer.action)
        still = np.zeros(len(values), bool)
        self._writer.curve(path, index, group, self._frames, values, still)


def _bases(one: Seen) -> dict[str, F64]:
    """What each bone does by itself (T,4,4), in its own rest space."""
    out = {}
    for name, pose in one.bones.items():
        bone = one.obj.data.bones[name]
        rest = np.array(bone.matrix_local, np.float64)
        if bone.parent is not None:
            above = one.bones[bone.parent.name]
            rest = np.linalg.inv(np.array(bone.parent.matrix_local, np.float64)) @ rest
            pose = np.linalg.inv(above) @ pose
        out[name] = np.linalg.inv(rest) @ pose
    return out


def _parts(matrices: F64) -> tuple[F64, F64, F64]:
    """Locations (T,3), quaternions (T,4) and scales (T,3) of matrices."""
    sizes = np.linalg.norm(matrices[:, :3, :3], axis=1)
    sizes[np.linalg.det(matrices[:, :3, :3]) < 0] *= -1.0
    turns = matrices[:, :3, :3] / sizes[:, None, :]
    return matrices[:, :3, 3], axes.rotation_values(turns, "QUATERNION"), sizes


def _borrowed_names(seen: Sequence[Seen], stack: contextlib.ExitStack) -> dict[Any, str]:
    """What the user calls the objects and their data, which are called something else until the copies are gone."""
    names: dict[Any, str] = {}
    for owner in (block for one in seen for block in (one.obj, one.obj.data) if block not in names):
        names[owner] = owner.name
        if owner.library is None:
            stack.callback(setattr, owner, "name", owner.name)
            owner.name = f"{owner.name[:50]} (own)"
    return names
