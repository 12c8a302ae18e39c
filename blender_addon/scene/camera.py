"""One camera per view, and the footage behind it."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from .. import compat
from ..vendor import take as contract
from . import axes

CLIP_START = 0.01
"""Metres: a face may be nearer to a phone than Blender's default of 10 cm."""
DISPLAY_SIZE = 0.15
"""Metres: Blender's default of 1 m draws a pyramid that a head fits into."""


def build_camera(name: str, view: contract.CameraGeometry) -> Any:
    """A camera object with the view's lens and, where the footage can be read, the footage as its background."""
    data = bpy.data.cameras.new(name)
    lens = axes.lens(view.image_size, view.principal_point)
    data.sensor_fit = lens.sensor_fit
    data.sensor_width, data.sensor_height = lens.sensor_width, lens.sensor_height
    data.shift_x, data.shift_y = lens.shift_x, lens.shift_y
    data.lens = float(view.focal_px[0]) * lens.mm_per_pixel
    data.clip_start = CLIP_START
    data.passepartout_alpha = 0.9
    data.display_size = DISPLAY_SIZE
    obj = bpy.data.objects.new(name, data)
    obj.rotation_mode = axes.CAMERA_EULER_ORDER
    rotations, locations = axes.camera_poses(view.world_to_camera[:1])
    obj.location = locations[0]
    obj.rotation_euler = axes.continuous_eulers(rotations, axes.CAMERA_EULER_ORDER)[0]
    _add_background(data, view)
    return obj


def missing_footage(take: contract.TakeResult) -> list[str]:
    """Footage that a take names but that cannot be read from here (as with a backend on another machine)."""
    return [view.footage for view in take.cameras if first_file(view) is None]


def first_file(view: contract.CameraGeometry) -> Path | None:
    """The file that holds the footage's first image, None where there is none.

    A sequence may be named by its folder, by a pattern (``####`` or ``%04d``) or by any of its files.
    """
    path = Path(view.footage)
    if view.footage_kind != "sequence":
        return path if path.is_file() else None
    folder = path if path.is_dir() else path.parent
    if not folder.is_dir():
        return None
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    if path.is_dir():
        numbered = [name for name in names if re.search(r"\d+\D*$", name)]
        if not numbered:
            return None
        stem = _number_pattern(numbered[0])
    else:
        stem = _number_pattern(path.name)
    matches = [(int(found.group(1)), name) for name in names if (found := stem.fullmatch(name))]
    return folder / min(matches)[1] if matches else None


def _number_pattern(name: str) -> re.Pattern[str]:
    """What the names of a sequence look like, given one of them or a pattern; group 1 is the frame number."""
    placeholder = re.search(r"#+|%0?\d*d", name) or re.search(r"\d+(?=\D*$)", name)
    if placeholder is None:
        return re.compile(f"()(?!){re.escape(name)}")
    return re.compile(re.escape(name[: placeholder.start()]) + r"(\d+)" + re.escape(name[placeholder.end() :]))


def _add_background(data: Any, view: contract.CameraGeometry) -> None:
    path = first_file(view)
    if path is None:
        return
    background = data.background_images.new()
    background.frame_method = "FIT"
    background.display_depth = "BACK"
    background.alpha = 1.0
    if view.footage_kind == "still":
        background.source = "IMAGE"
        picture = background.image = bpy.data.images.load(str(path), check_existing=True)
    else:
        picture = bpy.data.movieclips.load(str(path))
        picture.frame_start = view.footage_first_frame
        background.source = "MOVIE_CLIP"
        background.clip = picture
    turned_already = view.footage_kind == "video" and compat.CLIPS_OBEY_ROTATION
    if not turned_already:
        _turn_upright(background, view)
    _apply_pixel_aspect(picture, view, sideways=not turned_already and view.footage_rotation % 180 != 0)
    data.show_background_images = True


def _apply_pixel_aspect(picture: Any, view: contract.CameraGeometry, *, sideways: bool) -> None:
    """Stretch anamorphic footage to the size that was tracked; Blender itself takes every pixel for square."""
    width, height = view.image_size[::-1] if sideways else view.image_size
    stored_width, stored_height = picture.size
    if not stored_width or not stored_height:
        return
    ratio = width / height * stored_height / stored_width
    if abs(ratio - 1) > 0.01:
        picture.display_aspect = (ratio, 1.0) if ratio > 1 else (1.0, 1 / ratio)


def _turn_upright(background: Any, view: contract.CameraGeometry) -> None:
    """Turn stored pixels clockwise; FIT fits them before the turn, so a quarter turn is also scaled to the frame."""
    background.rotation = math.radians(view.footage_rotation)
    if view.footage_rotation % 180:
        background.scale = max(view.image_size) / min(view.image_size)


def moves(view: contract.CameraGeometry) -> bool:
    """Whether the camera itself moves during the take."""
    return bool(np.ptp(view.world_to_camera, axis=0).max() > 1e-9)


def zooms(view: contract.CameraGeometry) -> bool:
    """Whether the focal length changes during the take."""
    return bool(np.ptp(view.focal_px) > 1e-6 * view.focal_px.max())
