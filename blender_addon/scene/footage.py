"""The footage behind a camera: found, upright, in its proportions and at the right frames."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from .. import compat
from ..vendor import take as contract

SAME_RATE = 0.01
"""Relative: footage of 29.97 frames per second beside 30 keeps up for minutes."""
ENDLESS = 1_000_000
"""Frames: longer than any take, and about the most that Blender accepts."""


def missing_footage(take: contract.TakeResult) -> list[str]:
    """Footage that a take names but that cannot be read from here (as with a backend on another machine)."""
    return [view.footage for view in take.cameras if first_file(view) is None]


def first_file(view: contract.CameraTrack) -> Path | None:
    """The file that holds the footage's first image, None where there is none.

    A sequence may be named by its folder, by a pattern (``####`` or ``%04d``) or by any of its files.
    """
    path = Path(view.footage)
    if view.footage_kind != "sequence":
        return path if path.is_file() else None
    return _first_of_sequence(path)


def _first_of_sequence(path: Path) -> Path | None:
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
    """Pattern of a sequence's names, from one of them or a pattern; group 1 is the frame number."""
    placeholder = re.search(r"#+|%0?\d*d", name) or re.search(r"\d+(?=\D*$)", name)
    if placeholder is None:
        return re.compile(f"()(?!){re.escape(name)}")
    return re.compile(re.escape(name[: placeholder.start()]) + r"(\d+)" + re.escape(name[placeholder.end() :]))


def picture_size(path: Path) -> tuple[int, int] | None:
    """Width and height as Blender reads a footage's pictures; None where it cannot read any."""
    first = path if path.is_file() else _first_of_sequence(path)
    if first is None:
        return None
    try:
        clip = bpy.data.movieclips.load(str(first))
    except RuntimeError:
        return None
    width, height = clip.size
    bpy.data.movieclips.remove(clip)
    return (width, height) if width and height else None


def plays_at_another_rate(view: contract.CameraTrack, scene_frames: NDArray[np.float64]) -> bool:
    """True where the view's pictures do not follow each other as the scene's frames do (50 beside 25 a second)."""
    known = view.footage_frames >= 0
    passed = float(np.ptp(scene_frames[known])) if known.any() else 0.0
    if view.footage_kind == "still" or passed < 1:
        return False
    return abs(float(np.ptp(view.footage_frames[known])) / passed - 1) > max(SAME_RATE, 1.5 / passed)


def add_background(data: Any, view: contract.CameraTrack, scene_frames: NDArray[np.float64]) -> None:
    """Show the footage behind a camera (its data), where it can be read from here.

    Footage of the take's frame rate becomes a movie clip. A clip plays one picture a frame, so footage of another rate
    becomes an image whose frame offset ``retimed`` says.
    """
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
    elif plays_at_another_rate(view, scene_frames):
        background.source = "IMAGE"
        picture = background.image = bpy.data.images.load(str(path), check_existing=False)
        picture.source = "MOVIE" if view.footage_kind == "video" else "SEQUENCE"
        background.image_user.frame_duration = ENDLESS
        background.image_user.frame_start = math.floor(scene_frames[0])
        background.image_user.use_auto_refresh = True
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


def retimed(
    data: Any, view: contract.CameraTrack, scene_frames: NDArray[np.float64]
) -> tuple[str, NDArray[np.bool_], NDArray[np.float64]] | None:
    """Data path of the background's frame offset, which of the take's frames (T,) to key, and the offsets there.

    None where the background is a clip or a still, which need none.
    """
    for background in data.background_images:
        user = background.image_user
        if background.source == "IMAGE" and user.frame_duration == ENDLESS:
            known = view.footage_frames >= 0
            shown = np.round(scene_frames[known]) - user.frame_start + 1
            return user.path_from_id("frame_offset"), known, view.footage_frames[known] - shown
    return None


def shown_number(data: Any, frame: int) -> int:
    """The number of the footage's frame that is behind a camera (its data) on a frame of the scene.

    A video's frames count from 1, an image sequence's as in its file names, a still is frame 1.
    """
    background = data.background_images[0]
    if background.source == "IMAGE":
        user = background.image_user
        still = background.image is None or background.image.source == "FILE"
        return 1 if still else int(frame - user.frame_start + 1 + user.frame_offset)
    clip = background.clip
    if clip is None:
        return frame
    named = re.search(r"\d+(?=\D*$)", Path(clip.filepath).name) if clip.source == "SEQUENCE" else None
    return int(frame - clip.frame_start + (int(named.group()) if named else 1))


def _apply_pixel_aspect(picture: Any, view: contract.CameraTrack, *, sideways: bool) -> None:
    """Stretch anamorphic footage to the size that was tracked; Blender itself takes every pixel for square."""
    width, height = view.image_size[::-1] if sideways else view.image_size
    stored_width, stored_height = picture.size
    if not stored_width or not stored_height:
        return
    ratio = width / height * stored_height / stored_width
    if abs(ratio - 1) > 0.01:
        picture.display_aspect = (ratio, 1.0) if ratio > 1 else (1.0, 1 / ratio)


def _turn_upright(background: Any, view: contract.CameraTrack) -> None:
    """Turn stored pixels clockwise; FIT fits them before the turn, so a quarter turn is also scaled to the frame."""
    background.rotation = math.radians(view.footage_rotation)
    if view.footage_rotation % 180:
        background.scale = max(view.image_size) / min(view.image_size)
