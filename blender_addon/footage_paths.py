"""Footage that is in the file already, and paths that stay as they were chosen: relative to it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bpy

from . import settings

RELATIVE = "//"
CLIP, IMAGE = "clip", "image"


def footage_in_file() -> dict[str, tuple[str, str]]:
    """Path and name of the movie clips, movies and image sequences of this file, by what tells them apart.

    Paths are as Blender has them; those of linked data are made absolute.
    """
    found = {f"{CLIP}:{clip.name_full}": (_path(clip), clip.name) for clip in bpy.data.movieclips}
    for image in bpy.data.images:
        if image.source in ("MOVIE", "SEQUENCE"):
            found[f"{IMAGE}:{image.name_full}"] = (_path(image), image.name)
    return {key: (path, name) for key, (path, name) in found.items() if path}


def _path(block: Any) -> str:
    if block.library is None:
        return str(block.filepath)
    return str(bpy.path.abspath(block.filepath, library=block.library))


def keep_relative(scene: Any, pictures: Iterable[Any]) -> None:
    """Make the paths of these clips and images relative where the footage they show was chosen by a relative path."""
    if not bpy.data.is_saved:
        return
    chosen = settings.of(scene)
    wanted = [row.footage for row in (chosen, *chosen.views) if row.footage.startswith(RELATIVE)]
    places = {Path(bpy.path.abspath(path)) for path in wanted}
    for picture in pictures:
        if picture.filepath.startswith(RELATIVE):
            continue
        path = Path(bpy.path.abspath(picture.filepath))
        # A sequence is chosen by its folder, a pattern, or another of its images than the first.
        numbered = {place.parent for place in places} if picture.source == "SEQUENCE" else set()
        if path in places or path.parent in places | numbered:
            picture.filepath = bpy.path.relpath(str(path))


def move_relative(new_file: str) -> None:
    """Before the file is saved as ``new_file``: let relative footage be found from there, as Blender lets its own."""
    if not bpy.data.is_saved or not new_file:
        return
    old, new = Path(bpy.data.filepath).parent, Path(new_file).parent
    if old != new:
        _rebase(old, new)


def stay_relative(saved_file: str) -> None:
    """After saving: where it made a copy or failed, let relative footage be found from the open file again."""
    if bpy.data.is_saved and saved_file and Path(saved_file) != Path(bpy.data.filepath):
        old, new = Path(saved_file).parent, Path(bpy.data.filepath).parent
        if old != new:
            _rebase(old, new)


def _rebase(old: Path, new: Path) -> None:
    for scene in bpy.data.scenes:
        chosen = settings.of(scene)
        for row in (chosen, *chosen.views):
            _rebase_in(row, "footage", old, new)
        for name in ("neutral_from", "weights"):
            _rebase_in(chosen, name, old, new)


def _rebase_in(row: Any, name: str, old: Path, new: Path) -> None:
    path = getattr(row, name)
    if not path.startswith(RELATIVE):
        return
    absolute = bpy.path.abspath(path, start=str(old))
    try:
        setattr(row, name, bpy.path.relpath(absolute, start=str(new)))
    except ValueError:  # on another drive of Windows
        setattr(row, name, absolute)
