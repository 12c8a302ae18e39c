"""The regular work on Blender's main thread: take events, build a finished take, redraw the panel."""

from __future__ import annotations

import traceback
from typing import Any

import bpy
from bpy.app.handlers import persistent

from . import preferences, session

BUSY_INTERVAL = 0.05  # seconds
IDLE_INTERVAL = 0.25


def tick() -> float:
    """One round; returns the seconds until the next, as Blender's timers want it. Never raises, or the timer ends."""
    now = session.current()
    try:
        changed = _round(bpy.context, now)
    except Exception as error:
        traceback.print_exc()
        now.job = now.exporting = None
        now.notice = session.Notice(f"FlowFace failed because of an error of its own: {error}", is_error=True)
        changed = True
    if changed:
        _redraw()
    busy = now.job is not None or now.exporting is not None or now.backend_starting
    return BUSY_INTERVAL if busy else IDLE_INTERVAL


def _round(context: Any, now: session.Session) -> bool:
    now.connect(preferences.get(context).endpoint)
    changed = now.poll()
    if now.job is not None and now.job.take is not None and not (now.job.elsewhere or now.job.question):
        return build_when_possible(context, now.job.scene) or changed
    return changed


def build_when_possible(context: Any, scene_name: str) -> bool:
    """Build the fetched take into the scene that it was tracked for; False where the user must finish first.

    Bones can only be made in Object Mode, and an undo step in the middle of a drag or a render would hurt.
    """
    windows = context.window_manager.windows
    window = context.window or (windows[0] if len(windows) else None)
    if window is None or _user_is_busy(windows):
        return False
    scene = bpy.data.scenes.get(scene_name) or window.scene
    window = next((shown for shown in windows if shown.scene == scene), window)
    visited = window.scene
    window.scene = scene  # operators work on what their window shows
    try:
        with context.temp_override(window=window):
            if not bpy.ops.flowface.build_take.poll():
                return False
            bpy.ops.flowface.build_take("EXEC_DEFAULT", True)  # True: with an undo step
    finally:
        window.scene = visited
    return True


@persistent  # type: ignore[untyped-decorator]
def on_file_opened(*_: Any) -> None:
    """A take that was tracked for another file must not appear in this one unasked."""
    job = session.current().job
    if job is not None:
        job.elsewhere = True


def _user_is_busy(windows: Any) -> bool:
    if bpy.app.is_job_running("RENDER"):
        return True
    return any(
        operator.bl_idname.startswith(("TRANSFORM_OT_", "VIEW3D_OT_"))
        for window in windows
        for operator in getattr(window, "modal_operators", ())
    )


def _redraw() -> None:
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()
