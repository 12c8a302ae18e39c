"""The performance as ordinary F-curves: expressions, head pose, gaze, cameras and how well each frame fits."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from bpy.utils import escape_identifier
from numpy.typing import NDArray

from .. import compat
from ..vendor import arrays
from ..vendor import take as contract
from . import axes, camera, footage
from . import ownership as replace
from .armature import EYES


class _Keys:
    """Writes the curves of one data-block over a take's frames; its Action is made with the first of them."""

    def __init__(self, data_block: Any, name: str, take: contract.TakeResult) -> None:
        self._data_block, self._name = data_block, name
        self._writer: compat.ActionWriter | None = None
        self._frames = take.scene_frames
        self._uncertain = ~take.tracked

    def scalar(
        self,
        data_path: str,
        group: str,
        values: NDArray[Any],
        index: int = 0,
        where: NDArray[np.bool_] | None = None,
    ) -> None:
        """Key ``values (T,)``, or those of the frames ``where (T,)``."""
        self._writer = self._writer or compat.ActionWriter(self._data_block, self._name)
        keyed = np.ones(len(self._frames), bool) if where is None else where
        self._writer.curve(
            data_path,
            index,
            group,
            self._frames[keyed],
            np.asarray(values, np.float64)[keyed],
            self._uncertain[keyed],
        )

    def on_frames(self, data_path: str, group: str, frames: NDArray[Any], values: NDArray[Any]) -> None:
        """Key ``values (F,)`` on scene frames (F,) that are not the take's."""
        self._writer = self._writer or compat.ActionWriter(self._data_block, self._name)
        self._writer.curve(data_path, 0, group, frames, values, np.zeros(len(frames), bool))

    def vector(self, data_path: str, group: str, values: NDArray[Any]) -> None:
        for index in range(values.shape[1]):
            self.scalar(data_path, group, values[:, index], index)


def animate_expression(head: Any, name: str, take: contract.TakeResult) -> None:
    """Key every shape key, on the mesh's shape-key data-block."""
    keys = _Keys(head.data.shape_keys, name, take)
    for index, key in enumerate(head.data.shape_keys.key_blocks[1:]):
        keys.scalar(key.path_from_id("value"), "Expression", take.expression[:, index])


def animate_actions(head: Any, name: str, take: contract.TakeResult) -> None:
    """Key ARKit's face actions as custom properties of the head object, for drivers and retargeting tools to read.

    Actions that are shape keys of this head have their weights there and get no property.
    """
    keys = _Keys(head, name, take)
    for index, action in enumerate(take.action_names):
        if action in take.head.expression_names:
            continue
        values = take.actions[:, index]
        head[action] = float(values[0])
        head.id_properties_ui(action).update(
            default=0.0, soft_min=0.0, soft_max=1.0, description=f"Weight of ARKit's face action {action}, 0 to 1"
        )
        keys.scalar(custom_path(action), "ARKit", values)


def animate_armature(armature: Any, name: str, take: contract.TakeResult, placement: axes.Placement) -> None:
    """Key head pose on the object, gaze on the eye bones, and how well each frame is known."""
    keys = _Keys(armature, name, take)
    rotations, locations = axes.head_poses(take.head_rotation, take.head_translation, placement)
    armature.rotation_mode = axes.HEAD_EULER_ORDER
    armature.scale = (placement.scale,) * 3
    keys.vector("location", "Head pose", locations)
    keys.vector("rotation_euler", "Head pose", axes.continuous_eulers(rotations, axes.HEAD_EULER_ORDER))
    for side, eye in enumerate(EYES):
        path = armature.pose.bones[eye].path_from_id("rotation_euler")
        keys.vector(path, eye, axes.gaze_eulers(take.gaze[:, side]))
    _key_properties(keys, armature, take)


def _key_properties(keys: _Keys, armature: Any, take: contract.TakeResult) -> None:
    """Key what the take declares to be shown as custom properties; that of each view where there are several.

    Frames that were bridged because no face was found have keys of type Jitter.
    """
    for field, shown in arrays.keyed(type(take)).items():
        _key_property(keys, armature, shown, getattr(take, field), take.tracked)
    for view in take.cameras if len(take.cameras) > 1 else ():
        for field, shown in arrays.keyed(type(view)).items():
            _key_property(keys, armature, of_view(shown, view.name), getattr(view, field), take.tracked)


def _key_property(
    keys: _Keys, armature: Any, shown: arrays.Property, values: NDArray[Any], tracked: NDArray[np.bool_]
) -> None:
    if shown.untracked is not None:
        values = np.where(tracked, np.nan_to_num(values), shown.untracked)
    known = np.isfinite(values)
    if known.any():
        armature[shown.name] = float(values[known][0])
        armature.id_properties_ui(shown.name).update(min=shown.lowest, soft_max=5.0, description=shown.description)
        keys.scalar(custom_path(shown.name), "Tracking", values, where=known)


def custom_path(name: str) -> str:
    """The data path of a custom property."""
    return f'["{escape_identifier(name)}"]'


def of_view(shown: arrays.Property, view: str) -> arrays.Property:
    """The property of one view's array, under a name that Blender takes."""
    name, description = shown.name.format(view=replace.short(view)), shown.description.format(view=view)
    return dataclasses.replace(shown, name=name, description=description)


def animate_camera(
    obj: Any, name: str, take: contract.TakeResult, view: contract.CameraTrack, placement: axes.Placement
) -> None:
    """Key the camera's place and lens, each only where it changes, and the background where it needs it."""
    if camera.moves(view):
        keys = _Keys(obj, name, take)
        rotations, locations = axes.camera_poses(view.world_to_camera, placement)
        keys.vector("location", "Camera", locations)
        keys.vector("rotation_euler", "Camera", axes.continuous_eulers(rotations, axes.CAMERA_EULER_ORDER))
    keys = _Keys(obj.data, f"{name} lens", take)
    if camera.zooms(view):
        keys.scalar("lens", "Lens", axes.focal_mm(view.focal_px, view.image_size))
    _key_background(keys, obj.data, view, take)


def animate_known_camera(obj: Any, name: str, take: contract.TakeResult, view: contract.CameraTrack) -> None:
    """Key the background of a camera that is the user's own, unless it has an Action already."""
    if obj.data.animation_data is None or obj.data.animation_data.action is None:
        _key_background(_Keys(obj.data, f"{name} background", take), obj.data, view, take)


def _key_background(keys: _Keys, data: Any, view: contract.CameraTrack, take: contract.TakeResult) -> None:
    found = footage.retimed(data, view, take.scene_frames)
    if found is not None:
        path, frames, offsets = found
        keys.on_frames(path, "Background", frames, offsets)
