"""Where a take's head motion is: on the head, on its neck bone, or, turned about, on the cameras.

It is tracked on the head, as the armature object's location and rotation, and every run, version and change of timing
is made there (``on_the_head``). The other two are made of it and lead back to it: what was edited on the bone comes
along, all other keys stay what they were.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from .. import compat
from . import armature, axes, curves
from . import ownership as replace

F64 = NDArray[np.float64]

WHERE = "flowface_head_motion"
"""The collection's property: where the motion is, none while it is on the head."""
HEAD, NECK, CAMERA = "HEAD", "NECK", "CAMERA"
PLACES = (
    (HEAD, "On the Head", "The whole head moves, as it was tracked"),
    (NECK, "On the Neck Bone", "The armature stands still and the end of the neck stays with it"),
    (CAMERA, "On the Cameras", "The head stands still and the take's cameras move about it"),
)
"""Each place, its title and what it means."""
STAGE_ORDER = "YXZ"
EDITED = 1e-4
"""Metres and radians: what a bone's keys lose in single precision is less."""


class CannotMove(Exception):  # noqa: N818 - its text is a sentence for the user
    """The reason for which the motion cannot be there."""


def place_of(collection: Any) -> str:
    """Where a take's head motion is."""
    return str(collection.get(WHERE, HEAD))


def move(collection: Any, where: str) -> None:
    """Bring a take's head motion elsewhere; what is seen through its cameras stays the same.

    Raises:
        CannotMove: it cannot be there; says why.
    """
    now = place_of(collection)
    if where == now:
        return
    rig = replace.member(collection, replace.ARMATURE)
    main = replace.main_of(collection)
    root = replace.member(main, replace.ROOT)
    if where == CAMERA and main != collection:
        raise CannotMove(f"The cameras are those of “{main.name}”: they can have the motion of its first head only.")
    if rig is None or root is None or not len(_key_frames(rig)):
        raise CannotMove("The take's armature, its root or its head motion was deleted.")
    if now == CAMERA:
        _from_cameras(collection, root)
    elif now == NECK:
        _from_neck(rig)
    collection[WHERE] = HEAD
    if where == CAMERA:
        _to_cameras(collection, root, rig)
    elif where == NECK:
        _to_neck(rig)
    if where == HEAD:
        del collection[WHERE]
    else:
        collection[WHERE] = where


@contextlib.contextmanager
def on_the_head(collection: Any) -> Iterator[None]:
    """Have the motion on the head for a while, and then where it was."""
    where = place_of(collection)
    if where == HEAD:
        yield
        return
    move(collection, HEAD)
    try:
        yield
    finally:
        with contextlib.suppress(CannotMove):
            move(collection, where)


def _key_frames(rig: Any) -> F64:
    """The frames on which head motion is keyed, and all whole ones between where a key is not led from by a line."""
    curves = _motion_curves(rig)
    frames = np.concatenate([np.zeros(0), *(compat.read_numbers(curve, "co")[:, 0] for curve in curves)])
    if any(key.interpolation != "LINEAR" for curve in curves for key in curve.keyframe_points):
        frames = np.concatenate([frames, np.arange(np.ceil(frames.min()), frames.max())])
    return np.unique(frames)


def _motion_curves(rig: Any) -> list[Any]:
    paths = ("location", axes.rotation_property(rig.rotation_mode))
    return [curve for curve in compat.action_curves(rig) if curve.data_path in paths]


def _course(rig: Any, frames: F64) -> F64:
    """The head's matrices (T,4,4) in its parent's space by its keys."""
    path = axes.rotation_property(rig.rotation_mode)
    places = curves.course(rig, "location", list(rig.location), frames)
    turns = axes.rotations_from(curves.course(rig, path, list(getattr(rig, path)), frames), rig.rotation_mode)
    return _matrices(turns, places)


def _matrices(turns: F64, places: F64) -> F64:
    out = np.tile(np.eye(4), (len(places), 1, 1))
    out[:, :3, :3], out[:, :3, 3] = turns, places
    return out


def _keyed(frames: F64, group: str, path: str, values: F64) -> list[curves.Channel]:
    plain = np.zeros(len(frames), bool)
    return [curves.Channel(path, group, frames, values[:, index], plain, index) for index in range(values.shape[1])]


def _to_cameras(collection: Any, root: Any, rig: Any) -> None:
    cameras = [role for role in replace.built(collection) if replace.view_of(role) is not None]
    if not cameras or any(
        view.camera not in replace.built(collection).values() for view in replace.shown_views(collection)
    ):
        raise CannotMove("Its cameras are your own, or were deleted: only cameras that were solved can move instead.")
    frames = _key_frames(rig)
    poses = _course(rig, frames)
    poses = poses[0] @ np.linalg.inv(poses)
    stage = bpy.data.objects.new(f"{collection.name} head motion", None)
    stage.empty_display_size, stage.rotation_mode = 0.05, STAGE_ORDER
    replace.take_in(collection, replace.STAGE, stage)
    for obj in [obj for one in replace.family_of(collection) for obj in replace.built(one).values()]:
        if obj.parent == root and obj != stage:
            obj.parent = stage
    stage.parent = root
    turns = axes.rotation_values(poses[:, :3, :3], STAGE_ORDER)
    motion = [*_keyed(frames, "Head motion", "location", poses[:, :3, 3])]
    motion += _keyed(frames, "Head motion", "rotation_euler", turns)
    curves.write(stage, f"{collection.name} head motion", motion)


def _from_cameras(collection: Any, root: Any) -> None:
    stage = replace.member(collection, replace.STAGE)
    if replace.STAGE in collection:
        del collection[replace.STAGE]
    if stage is None:
        return
    for obj in bpy.data.objects:
        if obj.parent == stage:
            obj.parent = root
    action = stage.animation_data.action if stage.animation_data is not None else None
    bpy.data.objects.remove(stage)
    if action is not None and not action.users:
        bpy.data.actions.remove(action)


def _neck(rig: Any) -> tuple[Any, F64]:
    """The neck's pose bone, and its matrix (4,4) at rest."""
    bone = armature.bone_of(rig.data.bones, "neck")
    if bone is None:
        raise CannotMove("Its armature has no neck bone any more.")
    return rig.pose.bones[bone.name], np.array(bone.matrix_local, np.float64)


def _neck_paths(bone: Any) -> tuple[str, str]:
    prefix = bone.path_from_id()
    return f"{prefix}.location", f"{prefix}.{axes.rotation_property(bone.rotation_mode)}"


def _to_neck(rig: Any) -> None:
    bone, rest = _neck(rig)
    paths = _neck_paths(bone)
    if any(curve.data_path in paths for curve in compat.action_curves(rig)):
        raise CannotMove(f"The bone “{bone.name}” has keys of your own: bring them elsewhere first.")
    frames = _key_frames(rig)
    poses = _course(rig, frames)
    moved = np.linalg.inv(poses[0]) @ poses
    moved[:, :3, 3] /= rig.scale[0]
    basis = np.linalg.inv(rest) @ moved @ rest
    _stand(rig, poses[0])
    for curve in _motion_curves(rig):
        curve.mute = True
    action = rig.animation_data.action
    writer = compat.ActionWriter(rig, action.name, action)
    places, turns = basis[:, :3, 3], axes.rotation_values(basis[:, :3, :3], bone.rotation_mode)
    for path, values in zip(paths, (places, turns), strict=True):
        for channel in _keyed(frames, bone.name, path, values):
            curves.add(writer, channel)


def _from_neck(rig: Any) -> None:
    bone, rest = _neck(rig)
    paths = _neck_paths(bone)
    own = _motion_curves(rig)
    by_neck = [curve for curve in compat.action_curves(rig) if curve.data_path in paths]
    frames = np.unique(
        np.concatenate([_key_frames(rig), *(compat.read_numbers(c, "co")[:, 0].astype(np.float64) for c in by_neck)])
    )
    places = curves.course(rig, paths[0], list(bone.location), frames)
    now = list(getattr(bone, axes.rotation_property(bone.rotation_mode)))
    turns = axes.rotations_from(curves.course(rig, paths[1], now, frames), bone.rotation_mode)
    stands = _matrices(
        axes.rotations_from(np.array([getattr(rig, axes.rotation_property(rig.rotation_mode))]), rig.rotation_mode),
        np.array([rig.location], np.float64),
    )[0]
    moved = rest @ _matrices(turns, places) @ np.linalg.inv(rest)
    moved[:, :3, 3] *= rig.scale[0]
    poses = stands @ moved
    edited = np.abs(poses - _course(rig, frames)).max(axis=(1, 2)) > EDITED
    if edited.any():
        _rewrite(rig, own, frames, poses, edited)
    action = rig.animation_data.action
    writer = compat.ActionWriter(rig, action.name, action)
    for curve in by_neck:
        writer.remove(curve)
    bone.matrix_basis = Matrix.Identity(4)
    for curve in _motion_curves(rig):
        curve.mute = False


def _rewrite(rig: Any, own: list[Any], frames: F64, poses: F64, edited: NDArray[np.bool_]) -> None:
    """Give the head's curves the poses (T,4,4) on the frames that were ``edited`` on the bone."""
    path = axes.rotation_property(rig.rotation_mode)
    values = {"location": poses[:, :3, 3], path: axes.rotation_values(poses[:, :3, :3], rig.rotation_mode)}
    for curve in own:
        keyed = compat.read_numbers(curve, "co")[:, 0]
        for index in np.flatnonzero(edited):
            value = float(values[curve.data_path][index, curve.array_index])
            same = np.flatnonzero(keyed == np.float32(frames[index]))
            if len(same):
                curve.keyframe_points[int(same[0])].co.y = value
            else:
                curve.keyframe_points.insert(float(frames[index]), value)
                keyed = compat.read_numbers(curve, "co")[:, 0]
        curve.update()


def _stand(rig: Any, pose: F64) -> None:
    """Let the armature stand in a pose (4,4) while its own curves are muted."""
    rig.location = pose[:3, 3]
    values = axes.rotation_values(pose[None, :3, :3], rig.rotation_mode)[0]
    setattr(rig, axes.rotation_property(rig.rotation_mode), values)
