"""Characters that are live keep following: where their mapping is edited, their source gets other keys, a file opens.

A library override whose character has animation of its own comes out of a file without the drivers that it got there:
Blender keeps none of them. They are made anew.
"""

from __future__ import annotations

from typing import Any

import bpy
from bpy.app.handlers import persistent

from . import drive, properties


def targets_of(scene: Any) -> list[Any]:
    """The characters that takes of a scene drive."""
    return list(getattr(scene, properties.NAME).targets)


def start() -> None:
    """Begin to keep characters up to date."""
    properties.on_edit.append(refresh)
    for name, handler in HANDLERS.items():
        getattr(bpy.app.handlers, name).append(handler)


def stop() -> None:
    """End it; drivers stay as they are."""
    for name, handler in HANDLERS.items():
        getattr(bpy.app.handlers, name).remove(handler)
    properties.on_edit.remove(refresh)


def refresh(scene: Any) -> None:
    """Bring all characters of a scene that are live up to date."""
    for target in targets_of(scene):
        drive.refresh(target)


@persistent  # type: ignore[untyped-decorator]
def on_file_opened(*_: Any) -> None:
    """Make drivers anew that the file could not keep."""
    for scene in bpy.data.scenes:
        if scene.library is None:
            refresh(scene)


@persistent  # type: ignore[untyped-decorator]
def on_update(scene: Any, *_: Any) -> None:
    """Point drivers at the keys that the source has now; not while a render, which has a thread of its own, reads them.

    Before a frame is worked out, too: a take that is built is followed on the very next one.
    """
    if scene.library is not None or bpy.app.is_job_running("RENDER"):
        return
    for target in targets_of(scene):
        if drive.is_stale(target):
            drive.refresh(target)


HANDLERS = {"load_post": on_file_opened, "depsgraph_update_post": on_update, "frame_change_pre": on_update}
