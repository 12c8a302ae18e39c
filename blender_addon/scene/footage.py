"""The footage behind a camera: upright, in its proportions and at the right frames."""

from __future__ import annotations

import dataclasses
import fnmatch
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from .. import compat
from ..vendor import shown
from ..vendor import take as contract

ENDLESS = 1_000_000
"""Frames: longer than any take, and about the most that Blender accepts."""
PICTURES = "flowface_pictures"
"""The camera data's property: the footage's frame of its background's first picture, and the number of each picture."""
NUMBERS = "flowface_numbers"
"""Of a proxy's clip: the number of the footage's frame in each of its pictures."""
_LAST_NUMBER = re.compile(r"\d+(?=\D*$)")


def missing_footage(take: contract.TakeResult) -> list[str]:
    """What should be shown of a take but cannot be read from here (as with a backend on another machine)."""
    return [view.proxy or view.footage for view in take.cameras if shown_file(view) is None]


def shown_file(view: contract.CameraTrack) -> Path | None:
    """The file that is shown behind a view's camera, of a sequence the first one; None where it cannot be read."""
    path = Path(view.proxy or view.footage)
    return path if path.is_file() else None


def picture_size(path: Path) -> tuple[int, int] | None:
    """Width and height as Blender reads the pictures of a file, folder or pattern; None where it cannot read any."""
    picture = path if path.is_file() else _any_picture(path)
    if picture is None:
        return None
    try:
        clip = bpy.data.movieclips.load(str(picture))
    except RuntimeError:
        return None
    width, height = clip.size
    bpy.data.movieclips.remove(clip)
    return (width, height) if width and height else None


def _any_picture(path: Path) -> Path | None:
    """A numbered file in a folder, or one of a pattern's (``####``, ``%04d``, ``*``)."""
    folder, pattern = (path, "*") if path.is_dir() else (path.parent, re.sub(r"#+|%0?\d*d", "*", path.name))
    if not folder.is_dir():
        return None
    files = (file for file in folder.iterdir() if fnmatch.fnmatch(file.name, pattern.replace("[", "[[]")))
    return min((file for file in files if file.is_file() and _LAST_NUMBER.search(file.stem)), default=None)


def follows_the_scene(view: contract.CameraTrack, scene_frames: NDArray[np.float64]) -> bool:
    """True where a clip that starts at the view's first frame shows each of its pictures on the frame it belongs to."""
    known = view.footage_frames >= 0
    expected = np.round(scene_frames[known]) - view.footage_first_frame + _first_number(view)
    return bool((view.footage_frames[known] == expected).all())


def _first_number(view: contract.CameraTrack) -> int:
    named = _LAST_NUMBER.search(Path(view.footage).stem) if view.footage_kind == "sequence" else None
    return int(named.group()) if named else 1


def show(data: Any, view: contract.CameraTrack, scene_frames: NDArray[np.float64]) -> None:
    """Have a take's camera (its data) show the view's footage, in the background image that it has where it has one.

    What a user set there (its strength, its depth) stays.
    """
    path = shown_file(view)
    if path is None:
        return
    if not len(data.background_images):
        add_background(data, view, scene_frames)
        return
    background = data.background_images[0]
    picture = background.clip if _wanted(view, scene_frames) == "CLIP" else background.image
    if picture is not None and bpy.path.abspath(picture.filepath) != str(path):
        picture = None
    if PICTURES in data:
        del data[PICTURES]
    _play(background, view, scene_frames, path, picture)


def add_background(data: Any, view: contract.CameraTrack, scene_frames: NDArray[np.float64]) -> None:
    """Show the footage, or its proxy, behind a camera (its data), where it can be read from here.

    A clip plays one picture a frame. Footage that is to be shown otherwise becomes an image whose frame offset
    ``retimed`` says.
    """
    path = shown_file(view)
    if path is None:
        return
    background = data.background_images.new()
    background.frame_method = "FIT"
    background.display_depth = "BACK"
    background.alpha = 1.0
    data.show_background_images = True
    _play(background, view, scene_frames, path, None)


def _wanted(view: contract.CameraTrack, scene_frames: NDArray[np.float64]) -> str:
    """How a background shows a view's footage: as a clip, a still, or an image whose offset is keyed."""
    if view.footage_kind == "still":
        return "STILL"
    return "CLIP" if view.proxy or follows_the_scene(view, scene_frames) else "RETIMED"


def _play(
    background: Any, view: contract.CameraTrack, scene_frames: NDArray[np.float64], path: Path, picture: Any
) -> None:
    """Let a background play the footage at ``path``; ``picture`` is the clip or image that has it already."""
    wanted = _wanted(view, scene_frames)
    if wanted == "CLIP":
        picture = picture or bpy.data.movieclips.load(str(path))
        picture.frame_start = view.proxy_first_frame if view.proxy else view.footage_first_frame
        background.source, background.clip = "MOVIE_CLIP", picture
    else:
        still = wanted == "STILL"
        picture = picture or bpy.data.images.load(str(path), check_existing=still)
        background.source, background.image = "IMAGE", picture
        if not still:
            picture.source = "MOVIE" if view.footage_kind == "video" else "SEQUENCE"
            background.image_user.frame_duration = ENDLESS
            background.image_user.frame_start = math.floor(scene_frames[0])
            background.image_user.use_auto_refresh = True
    if view.proxy:
        _remember_numbers(picture, view, scene_frames)
    else:
        turned_already = view.footage_kind == "video" and compat.CLIPS_OBEY_ROTATION
        if not turned_already:
            _turn_upright(background, view)
        _apply_pixel_aspect(picture, view, sideways=not turned_already and view.footage_rotation % 180 != 0)


def _remember_numbers(picture: Any, view: contract.CameraTrack, scene_frames: NDArray[np.float64]) -> None:
    if view.footage_kind != "still" and (view.footage_frames >= 0).any():
        picture[NUMBERS] = shown.hold(scene_frames, view.footage_frames).numbers.tolist()


def retimed(
    data: Any, view: contract.CameraTrack, scene_frames: NDArray[np.float64]
) -> tuple[str, NDArray[np.float64], NDArray[np.float64]] | None:
    """Data path of the background's frame offset, the scene frames (F,) on which to key it, and the offsets there.

    None where the background is a clip or a still, which need none.
    """
    for background in data.background_images:
        user = background.image_user
        if background.source == "IMAGE" and user.frame_duration == ENDLESS:
            pictures = shown.hold(scene_frames, view.footage_frames)
            frames = pictures.first + np.arange(len(pictures.numbers), dtype=np.float64)
            return user.path_from_id("frame_offset"), frames, pictures.numbers - (frames - user.frame_start + 1)
    return None


def shown_number(data: Any, frame: int) -> int:
    """The number of the footage's frame that is behind a camera (its data) on a frame of the scene.

    A video's frames count from 1, an image sequence's as in its file names, a still is frame 1.
    """
    background = data.background_images[0]
    if background.source == "IMAGE":
        user = background.image_user
        if background.image is None or background.image.source == "FILE":
            return 1
        number = int(frame - user.frame_start + 1 + user.frame_offset)
        numbers = background.image.get(NUMBERS)
        return number if numbers is None else int(numbers[min(max(number - 1, 0), len(numbers) - 1)])
    clip = background.clip
    if clip is None:
        return frame
    numbers = clip.get(NUMBERS)
    if numbers is not None:
        return int(numbers[min(max(frame - clip.frame_start, 0), len(numbers) - 1)])
    return int(frame - clip.frame_start + first_number(clip))


def first_number(clip: Any) -> int:
    """The number of a movie clip's first picture: 1, of an image sequence as in its file's name."""
    named = _LAST_NUMBER.search(Path(clip.filepath).stem) if clip.source == "SEQUENCE" else None
    return int(named.group()) if named else 1


def with_proxies_beside(take: contract.TakeResult, folder: Path) -> contract.TakeResult:
    """The take with the copies of its proxies that lie in the folder of the results, where there are any."""

    def beside(camera: contract.CameraTrack) -> contract.CameraTrack:
        proxy = Path(camera.proxy)
        copy = folder / proxy.parent.name / proxy.name
        return dataclasses.replace(camera, proxy=str(copy)) if camera.proxy and copy.is_file() else camera

    return dataclasses.replace(take, cameras=tuple(beside(camera) for camera in take.cameras))


def name_from_file(take: contract.TakeResult) -> bool:
    """Name the take's proxies by paths from the open file, so that they can be moved with it; True where it has any."""
    proxies = {camera.proxy for camera in take.cameras if camera.proxy}
    found = [item for item in (*bpy.data.movieclips, *bpy.data.images) if item.filepath in proxies]
    for item in found:
        item.filepath = bpy.path.relpath(item.filepath)
    return bool(found)


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


def pictures_of(objects: Iterable[Any]) -> list[Any]:
    """The clips and images behind those of these objects that are cameras."""
    backgrounds = [background for obj in objects for background in getattr(obj.data, "background_images", ())]
    shown = [picture for background in backgrounds for picture in (background.clip, background.image)]
    return [picture for picture in shown if picture is not None]
