"""The footage behind a take's cameras while the take starts elsewhere, or plays at another speed."""

from __future__ import annotations

import math
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from .. import compat
from . import curves, footage
from .timing import Timing

F64 = NDArray[np.float64]

GROUP = "Background"
SAME_FRAME = 1e-4


def retime(data: Any, name: str, old: Timing, new: Timing) -> None:
    """Have a camera's (its data's) first background image show each picture where a timing has it.

    A clip plays one picture on each frame of the scene, so at another speed an image takes its place whose frame
    offset is keyed; ``name`` is for its Action where there is none.
    """
    if not len(data.background_images):
        return
    background = data.background_images[0]
    found = _pictures(data, background, old)
    if found is None:
        return
    first, numbers = found
    data[footage.PICTURES] = [first, *numbers.tolist()]
    if background.clip is not None and new.speed == 1.0:
        background.source = "MOVIE_CLIP"
        if background.clip.users > 1:
            background.clip = background.clip.copy()  # it starts where this take does, for whoever else shows it too
        background.clip.frame_start = round(new.at(first))
        _key(data, name, background, np.zeros(0), np.zeros(0))
        return
    if background.source == "MOVIE_CLIP":
        _become_image(background)
    user = background.image_user
    ends = new.at(np.array([first, first + len(numbers) - 1], np.float64))
    frames = np.arange(math.ceil(ends[0] - SAME_FRAME), math.floor(ends[1] + SAME_FRAME) + 1, dtype=np.float64)
    index = np.clip(np.floor(new.home(frames) - first + SAME_FRAME), 0, len(numbers) - 1).astype(int)
    user.frame_start = int(frames[0]) if len(frames) else round(float(ends[0]))
    _key(data, name, background, frames, numbers[index] - (frames - user.frame_start + 1))


def pictures_of(data: Any, timing: Timing) -> tuple[float, F64] | None:
    """The footage's frame of the first picture behind a camera, and the numbers (n,) that Blender has of them.

    None where there is nothing behind it, or a still.
    """
    return _pictures(data, data.background_images[0], timing) if len(data.background_images) else None


def _pictures(data: Any, background: Any, old: Timing) -> tuple[float, F64] | None:
    """The footage's frame of the first picture, and the numbers (n,) that Blender has of the pictures from there on.

    None of a still, which is everywhere the same.
    """
    known = data.get(footage.PICTURES)
    if known is not None:
        return float(known[0]), np.array(known[1:], np.float64)
    if background.source == "MOVIE_CLIP" and background.clip is not None:
        clip = background.clip
        number = footage.first_number(clip)
        first = round(old.home(clip.frame_start))
        return first, number + np.arange(max(1, clip.frame_duration), dtype=np.float64)
    user = background.image_user
    if background.source != "IMAGE" or user.frame_duration != footage.ENDLESS:
        return None
    for curve in compat.action_curves(data):
        if curve.data_path == user.path_from_id("frame_offset") and len(curve.keyframe_points):
            frames, offsets = compat.read_numbers(curve, "co").astype(np.float64).T
            return float(old.home(frames[0])), offsets + frames - user.frame_start + 1
    return None


def _become_image(background: Any) -> None:
    """Let a background play the file of its clip as an image; the clip stays with it."""
    clip = background.clip
    image = background.image
    if image is None or image.filepath != clip.filepath:
        image = bpy.data.images.load(clip.filepath, check_existing=False)
        image.source = "MOVIE" if clip.source == "MOVIE" else "SEQUENCE"
        if footage.NUMBERS in clip:
            image[footage.NUMBERS] = clip[footage.NUMBERS]
    background.source, background.image = "IMAGE", image
    background.image_user.frame_duration = footage.ENDLESS
    background.image_user.use_auto_refresh = True


def _key(data: Any, name: str, background: Any, frames: F64, offsets: F64) -> None:
    """Key the frame offset of a background, or take its keys away."""
    path = background.image_user.path_from_id("frame_offset")
    writer = None
    if data.animation_data is not None and data.animation_data.action is not None:
        writer = compat.ActionWriter(data, data.animation_data.action.name, data.animation_data.action)
        old = writer.existing().get((path, 0))
        if old is not None:
            writer.remove(old)
        if not writer.existing() and not len(frames):
            compat.assign_action(data, None)
            if not writer.action.users:
                compat.remove_action(writer.action)
            return
    if len(frames):
        writer = writer or compat.ActionWriter(data, name)
        writer.curve(path, 0, GROUP, frames, offsets, np.zeros(len(frames), bool))
        lines = set(writer.action.get(curves.WRITTEN, "").splitlines())
        writer.action[curves.WRITTEN] = "\n".join(sorted(lines | {f"0 {path}"}))
