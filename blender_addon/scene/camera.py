"""One camera per view."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from ..vendor import take as contract
from . import axes

CLIP_START = 0.01
"""Metres: a face may be nearer to a phone than Blender's default of 10 cm."""
DISPLAY_SIZE = 0.15
"""Metres: Blender's default of 1 m draws a pyramid that a head fits into."""


def build_camera(name: str, scale: float) -> Any:
    """A camera object for a take in whose space a metre is ``scale`` long; it stands nowhere yet."""
    data = bpy.data.cameras.new(name)
    data.clip_start = CLIP_START * scale
    data.passepartout_alpha = 0.9
    data.display_size = DISPLAY_SIZE * scale
    obj = bpy.data.objects.new(name, data)
    obj.rotation_mode = axes.CAMERA_EULER_ORDER
    return obj


def set_up(obj: Any, view: contract.CameraTrack, placement: axes.Placement) -> None:
    """Give a camera the view's lens, and its place in the first frame."""
    data, lens = obj.data, axes.lens(view.image_size, view.principal_point)
    data.sensor_fit = lens.sensor_fit
    data.sensor_width, data.sensor_height = lens.sensor_width, lens.sensor_height
    data.shift_x, data.shift_y = lens.shift_x, lens.shift_y
    data.lens = axes.focal_mm(float(view.focal_px[0]), view.image_size)
    rotations, locations = axes.camera_poses(view.world_to_camera[:1], placement)
    obj.location = locations[0]
    values = axes.rotation_values(rotations, obj.rotation_mode)[0]
    setattr(obj, axes.rotation_property(obj.rotation_mode), values)


def moves(view: contract.CameraTrack) -> bool:
    """True where the camera itself moves during the take."""
    return bool(np.ptp(view.world_to_camera, axis=0).max() > 1e-9)


def zooms(view: contract.CameraTrack) -> bool:
    """True where the focal length changes during the take."""
    return bool(np.ptp(view.focal_px) > 1e-6 * view.focal_px.max())
