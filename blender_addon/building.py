"""Where a fetched take belongs, what its building waits for, and whether what was told of it still holds."""

from __future__ import annotations

from typing import Any

import bpy

from .active_job import Home, Notice
from .scene import actors
from .scene import versions_of_take as versions
from .scene.ownership import JOB_KEY, TAKE_KEY


def home_of(scene: Any) -> Home:
    """Where a take of this scene belongs."""
    return Home(bpy.data.filepath, scene.name, scene.session_uid)


def scene_of(home: Home) -> Any:
    """The scene of the open file that a take belongs to; None where it was deleted."""
    same = (scene for scene in bpy.data.scenes if scene.session_uid == home.number)
    return next(same, None) or bpy.data.scenes.get(home.scene)


def still_true(notice: Notice) -> bool:
    """False for what is told of a take that was undone, deleted or belongs to another file."""
    return not notice.built or notice.built in built_jobs()


def built_jobs() -> set[str]:
    """The jobs whose takes are in this file, as any of their versions."""
    takes = [item for item in bpy.data.collections if TAKE_KEY in item]
    keys = [str(take.get(JOB_KEY, "")) for take in takes]
    keys += [version.job for take in takes for version in versions.all_of(take)]
    return {actors.job_of(key)[0] for key in keys}


def waits_for(context: Any) -> str:
    """What a fetched take waits for, in a sentence; "" where it is built next."""
    mode = context.mode
    if mode not in ("OBJECT", "POSE"):
        return f"Ready: it is built when you leave {_mode_name(mode)}"
    if rendering():
        return "Ready: it is built when the render is over"
    return "Ready: it is built when you let go" if user_is_moving(context.window_manager.windows) else ""


def _mode_name(mode: str) -> str:
    """Such as “Edit Mode” of EDIT_MESH; the menu of modes calls them so."""
    words = "Edit" if mode.startswith("EDIT") else mode.replace("_", " ").title()
    return f"{words} Mode"


def rendering() -> bool:
    """True while a render is under way, into which nothing may be built."""
    return bool(bpy.app.is_job_running("RENDER"))


def user_is_moving(windows: Any) -> bool:
    """True in the middle of a drag, whose undo step must not be cut in two."""
    return any(
        operator.bl_idname.startswith(("TRANSFORM_OT_", "VIEW3D_OT_"))
        for window in windows
        for operator in getattr(window, "modal_operators", ())
    )
