"""One camera per view."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ..vendor import take as contract
from . import axes, footage

CLIP_START = 0.01
"""Metres: a face may be nearer to a phone than Blender's default of 10 cm."""
DISPLAY_SIZE = 0.15
"""Metres: Blender's default of 1 m draws a pyramid that a head fits into."""


def build_camera(
    name: str, view: contract.CameraTrack, placement: axes.Placement, scene_frames: NDArray[np.float64]
) -> Any:
    """A camera object with the view's lens and, where the footage can be read, the footage as its background."""
    data = bpy.data.cameras.new(name)
    lens = axes.lens(view.image_size, view.principal_point)
    data.sensor_fit = lens.sensor_fit
    data.sensor_width, data.sensor_height = lens.sensor_width, lens.sensor_height
    data.shift_x, data.shift_y = lens.shift_x, lens.shift_y
    data.lens = axes.focal_mm(float(view.focal_px[0]), view.image_size)
    data.clip_start = CLIP_START * placement.scale
    data.passepartout_alpha = 0.9
    data.display_size = DISPLAY_SIZE * placement.scale
    obj = bpy.data.objects.new(name, data)
    obj.rotation_mode = axes.CAMERA_EULER_ORDER
    rotations, locations = axes.camera_poses(view.world_to_camera[:1], placement)
    obj.location = locations[0]
    obj.rotation_euler = axes.continuous_eulers(rotations, axes.CAMERA_EULER_ORDER)[0]
    footage.add_background(data, view, scene_frames)
    return obj


def moves(view: contract.CameraTrack) -> bool:
    """True where the camera itself moves during the take."""
    return bool(np.ptp(view.world_to_camera, axis=0).max() > 1e-9)


def zooms(view: contract.CameraTrack) -> bool:
    """True where the focal length changes during the take."""
    return bool(np.ptp(view.focal_px) > 1e-6 * view.focal_px.max())
