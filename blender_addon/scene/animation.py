"""What a run of a take says of expressions, head pose, gaze, cameras, and how well each frame fits, as motions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from bpy.utils import escape_identifier
from numpy.typing import NDArray

from ..vendor import arrays
from ..vendor import take as contract
from . import axes, camera, footage
from . import ownership as replace
from .armature import EYES
from .curves import Channel, Motion, Turn

F64 = NDArray[np.float64]


class _Keys:
    """Collects the motion of one data-block over a take's frames."""

    def __init__(self, take: contract.TakeResult) -> None:
        self.motion: list[Channel | Turn] = []
        self._frames = take.scene_frames
        self._uncertain = ~take.tracked

    def scalar(self, data_path: str, group: str, values: NDArray[Any], index: int = 0) -> None:
        """Key ``values (T,)``."""
        numbers = np.asarray(values, np.float64)
        self.motion.append(Channel(data_path, group, self._frames, numbers, self._uncertain, index))

    def measured(self, data_path: str, group: str, values: NDArray[Any], where: NDArray[np.bool_]) -> None:
        """Key those of ``values (T,)`` that are known, ``where (T,)``."""
        numbers = np.asarray(values, np.float64)[where]
        shown = self._frames[where], numbers, self._uncertain[where]
        self.motion.append(Channel(data_path, group, *shown, border="CUT"))

    def vector(self, data_path: str, group: str, values: NDArray[Any]) -> None:
        """Key ``values (T,n)``, one curve each."""
        for index in range(values.shape[1]):
            self.scalar(data_path, group, values[:, index], index)

    def turn(self, owner: Any, prefix: str, group: str, rotations: F64) -> None:
        """Key rotations (T,3,3) of an object or pose bone."""
        self.motion.append(Turn(prefix, owner.rotation_mode, group, self._frames, rotations, self._uncertain))


def expression(shapes: Mapping[str, Any], take: contract.TakeResult) -> Motion:
    """Shape keys (by the expression that each is), on the mesh's shape-key data-block."""
    keys = _Keys(take)
    for index, name in enumerate(take.head.expression_names):
        keys.scalar(shapes[name].path_from_id("value"), "Expression", take.expression[:, index])
    return keys.motion


def actions(head: Any, take: contract.TakeResult) -> Motion:
    """ARKit's face actions as custom properties of the head object, for drivers and retargeting tools to read.

    Actions that are shape keys of this head have their weights there and get no property.
    """
    keys = _Keys(take)
    for index, action in enumerate(take.action_names):
        if action in take.head.expression_names:
            continue
        values = take.actions[:, index]
        if action not in head:
            head[action] = float(values[0])
            head.id_properties_ui(action).update(
                default=0.0, soft_min=0.0, soft_max=1.0, description=f"Weight of ARKit's face action {action}, 0 to 1"
            )
        keys.scalar(custom_path(action), "ARKit", values)
    return keys.motion


def pose(armature: Any, eyes: Mapping[str, Any], take: contract.TakeResult, rotations: F64, locations: F64) -> Motion:
    """Head pose (T,3,3) and (T,3) on the object, gaze on its eye bones, and how well each frame is known."""
    keys = _Keys(take)
    keys.vector("location", "Head pose", locations)
    keys.turn(armature, "", "Head pose", rotations)
    for side, eye in enumerate(EYES):
        bone = eyes[eye]
        angles = axes.gaze_eulers(take.gaze[:, side])
        if bone.rotation_mode == axes.EYE_EULER_ORDER:
            keys.vector(bone.path_from_id("rotation_euler"), eye, angles)
        else:
            prefix = f"{bone.path_from_id()}."
            keys.turn(bone, prefix, eye, axes.rotations_from(angles, axes.EYE_EULER_ORDER))
    _key_properties(keys, armature, take)
    return keys.motion


def _key_properties(keys: _Keys, armature: Any, take: contract.TakeResult) -> None:
    """Key what the take declares to be shown as custom properties; that of each view where there are several.

    Frames that were bridged because no face was found have keys of type Jitter.
    """
    for field, shown in arrays.keyed(type(take)).items():
        _key_property(keys, armature, shown, getattr(take, field), take.tracked, _pictured(take))
    for view in take.cameras if len(take.cameras) > 1 else ():
        for field, shown in arrays.keyed(type(view)).items():
            shown_of_view = of_view(shown, view.name)
            _key_property(keys, armature, shown_of_view, getattr(view, field), take.tracked, view.footage_frames >= 0)


def _pictured(take: contract.TakeResult) -> NDArray[np.bool_]:
    """(T,) the frames of which there is a picture; all where nothing is known of any."""
    there = np.array([view.footage_frames >= 0 for view in take.cameras]).any(axis=0)
    return there if there.any() else np.ones(len(there), bool)


def _key_property(
    keys: _Keys,
    armature: Any,
    shown: arrays.Property,
    values: NDArray[Any],
    tracked: NDArray[np.bool_],
    pictured: NDArray[np.bool_],
) -> None:
    if shown.untracked is not None and np.isfinite(values).any():
        lost = shown.untracked if shown.no_picture is None else np.where(pictured, shown.untracked, shown.no_picture)
        values = np.where(tracked, np.nan_to_num(values), lost)
    elif shown.untracked is not None:  # nobody measured it, as in a live recording
        values = np.where(tracked, np.nan, shown.untracked)
    known = np.isfinite(values)
    if known.any():
        if shown.name not in armature:
            armature[shown.name] = float(values[known][0])
            armature.id_properties_ui(shown.name).update(min=shown.lowest, soft_max=5.0, description=shown.description)
        keys.measured(custom_path(shown.name), "Tracking", values, known)


def custom_path(name: str) -> str:
    """The data path of a custom property."""
    return f'["{escape_identifier(name)}"]'


def of_view(shown: arrays.Property, view: str) -> arrays.Property:
    """The property of one view's array, under a name that Blender takes."""
    name, description = shown.name.format(view=replace.short(view)), shown.description.format(view=view)
    return dataclasses.replace(shown, name=name, description=description)


def camera_pose(obj: Any, take: contract.TakeResult, view: contract.CameraTrack, placement: axes.Placement) -> Motion:
    """The camera's place where it moves."""
    keys = _Keys(take)
    if camera.moves(view):
        rotations, locations = axes.camera_poses(view.world_to_camera, placement)
        keys.vector("location", "Camera", locations)
        keys.turn(obj, "", "Camera", rotations)
    return keys.motion


def lens(take: contract.TakeResult, view: contract.CameraTrack) -> Motion:
    """The camera's lens where it zooms."""
    keys = _Keys(take)
    if camera.zooms(view):
        keys.scalar("lens", "Lens", axes.focal_mm(view.focal_px, view.image_size))
    return keys.motion


def background(data: Any, view: contract.CameraTrack, take: contract.TakeResult) -> Motion:
    """The footage behind a camera where it is not played picture by picture."""
    found = footage.retimed(data, view, take.scene_frames)
    if found is None:
        return []
    path, frames, offsets = found
    return [Channel(path, "Background", frames, offsets, np.zeros(len(frames), bool), border="CUT")]
