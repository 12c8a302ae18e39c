"""The performance as ordinary F-curves: expressions, head pose, gaze, cameras and how well each frame fits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import compat
from ..vendor import take as contract
from . import axes, camera
from .armature import EYES

ERROR_PROPERTY = "tracking_error"
NOT_TRACKED = -1.0
"""Value of the tracking error on frames that were bridged because no face was found; their keys are of type Jitter."""


class _Keys:
    """Writes the curves of one data-block over a take's frames."""

    def __init__(self, data_block: Any, name: str, take: contract.TakeResult) -> None:
        self._writer = compat.ActionWriter(data_block, name)
        self._frames = take.scene_frames
        self._uncertain = ~take.tracked

    def scalar(self, data_path: str, group: str, values: NDArray[Any], index: int = 0) -> None:
        self._writer.curve(data_path, index, group, self._frames, np.asarray(values, np.float64), self._uncertain)

    def vector(self, data_path: str, group: str, values: NDArray[Any]) -> None:
        for index in range(values.shape[1]):
            self.scalar(data_path, group, values[:, index], index)


def animate_expression(head: Any, name: str, take: contract.TakeResult) -> None:
    """Key every shape key, on the mesh's shape-key data-block."""
    keys = _Keys(head.data.shape_keys, name, take)
    for index, key in enumerate(head.data.shape_keys.key_blocks[1:]):
        keys.scalar(key.path_from_id("value"), "Expression", take.expression[:, index])


def animate_armature(armature: Any, name: str, take: contract.TakeResult) -> None:
    """Key head pose on the object, gaze on the eye bones and the tracking error (% of inter-ocular distance)."""
    keys = _Keys(armature, name, take)
    rotations, locations = axes.head_poses(take.head_rotation, take.head_translation)
    armature.rotation_mode = axes.HEAD_EULER_ORDER
    keys.vector("location", "Head pose", locations)
    keys.vector("rotation_euler", "Head pose", axes.continuous_eulers(rotations, axes.HEAD_EULER_ORDER))
    for side, eye in enumerate(EYES):
        path = armature.pose.bones[eye].path_from_id("rotation_euler")
        keys.vector(path, eye, axes.gaze_eulers(take.gaze[:, side]))
    errors = np.where(take.tracked, np.nan_to_num(take.reprojection_error_percent_iod), NOT_TRACKED)
    armature[ERROR_PROPERTY] = float(errors[0])
    armature.id_properties_ui(ERROR_PROPERTY).update(
        min=NOT_TRACKED,
        soft_max=5.0,
        description="Reprojection error in percent of the inter-ocular distance; -1 where no face was found",
    )
    keys.scalar(f'["{ERROR_PROPERTY}"]', "Tracking", errors)


def animate_camera(obj: Any, name: str, take: contract.TakeResult, view: contract.CameraGeometry) -> None:
    """Key the camera's place and lens, each only where it changes."""
    if camera.moves(view):
        keys = _Keys(obj, name, take)
        rotations, locations = axes.camera_poses(view.world_to_camera)
        keys.vector("location", "Camera", locations)
        keys.vector("rotation_euler", "Camera", axes.continuous_eulers(rotations, axes.CAMERA_EULER_ORDER))
    if camera.zooms(view):
        millimetres = view.focal_px * axes.lens(view.image_size, view.principal_point).mm_per_pixel
        _Keys(obj.data, f"{name} lens", take).scalar("lens", "Lens", millimetres)
