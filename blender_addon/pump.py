"""The regular work on Blender's main thread: take events, build a finished take, redraw the panel."""

from __future__ import annotations

import contextlib
import dataclasses
import traceback
from typing import Any

import bpy
from bpy.app.handlers import persistent

from . import action_slots, building, footage_paths, live, preferences, retention, session, transferring
from .active_job import Home
from .live_capture import drivers
from .operators.build_take import FLOWFACE_OT_build_take
from .operators.retarget_transfer import FLOWFACE_OT_add_shape_keys
from .sent_files import SentFiles

BUSY_INTERVAL = 0.05  # seconds
IDLE_INTERVAL = 0.25
SENDING_INTERVAL = 0.01  # four chunks of 1 MiB at most leave in one


def tick() -> float:
    """One round; returns the seconds until the next, as Blender's timers want it. Never raises, or the timer ends."""
    now = session.current()
    try:
        changed = _round(bpy.context, now)
    except Exception as error:
        traceback.print_exc()
        kept = f" The result of “{now.job.name}” is kept in the list of jobs." if now.job and now.job.done else ""
        now.job = now.exporting = None
        transferring.forget()
        now.notice = session.Notice(f"FlowFace failed because of an error of its own: {error}.{kept}", is_error=True)
        changed = True
    if changed:
        redraw()
    checking = now.check is not None and now.check.running
    if checking:
        redraw("PREFERENCES", "WINDOW")
    if now.sending:
        return SENDING_INTERVAL
    if live.busy():
        return live.STEP_INTERVAL
    on_its_way = now.job is not None or now.exporting is not None or transferring.current() is not None
    busy = on_its_way or now.coming_back
    return BUSY_INTERVAL if busy else IDLE_INTERVAL


def _round(context: Any, now: session.Session) -> bool:
    wanted = preferences.get(context)
    now.live_preview = wanted.live_preview
    now.transferring = transferring.current() is not None
    now.keep_bytes = preferences.keep_bytes(wanted)
    now.limits = "" if now.remote else retention.limits_in_words(wanted.keep_gb, wanted.keep_days)
    if not now.sent.kept:
        now.sent = SentFiles(preferences.user_folder() / "sent_files.json")
    now.connect(wanted.endpoint, wanted.access_key)
    changed = now.poll()
    changed = transferring.step(now) or changed
    changed = drivers.step() or changed
    changed = live.show(context, now) or changed
    if now.job is not None and now.job.take is not None and not (now.job.elsewhere or now.job.question):
        return build_when_possible(context, now.job.home) or changed
    transfer = transferring.current()
    if transfer is not None and transfer.deltas is not None:
        return run_when_possible(context, transfer.home, FLOWFACE_OT_add_shape_keys) or changed
    action_slots.pick_where_chosen()
    return now.tell_news() or changed


def build_when_possible(context: Any, home: Home) -> bool:
    """Build the fetched take into the scene that it was tracked for; False where the user must finish first."""
    return run_when_possible(context, home, FLOWFACE_OT_build_take)


def run_when_possible(context: Any, home: Home, operator: Any) -> bool:
    """Run an operator that changes the scene of ``home``, as an undo step; False where the user must finish first.

    An undo step in the middle of a drag or a render would hurt, and bones can only be made in Object Mode: Pose Mode is
    left for that and entered again, other modes are the user's to leave.
    """
    windows = context.window_manager.windows
    window = context.window or (windows[0] if len(windows) else None)
    if window is None or building.rendering() or building.user_is_moving(windows):
        return False
    scene = building.scene_of(home) or window.scene
    window = next((shown for shown in windows if shown.scene == scene), window)
    visited = window.scene
    window.scene = scene  # operators work on what their window shows
    there = context.window == window
    try:
        within = contextlib.nullcontext() if there else context.temp_override(window=window)
        with session.current().quiet() as quiet, within:
            if not quiet:
                return False  # the client is just reading something: at the next tick
            posing = bpy.context.active_object if bpy.context.mode == "POSE" else None
            if posing is not None:
                posing = posing.name
                bpy.ops.object.mode_set(mode="OBJECT")
            try:
                run = getattr(bpy.ops.flowface, operator.bl_idname.partition(".")[2])
                if not run.poll():
                    return False
                done = run("EXEC_DEFAULT", there)  # there: with an undo step
            finally:
                _pose_again(posing)
        if not there and "FINISHED" in done:
            # Under an override Blender with Python 3.11 reads the overriding context without the interpreter's lock
            # while it pushes an undo step, and crashes where another thread is just letting go of it.
            bpy.ops.ed.undo_push(message=operator.bl_label)
    finally:
        window.scene = visited
    return True


def _pose_again(name: str | None) -> None:
    active = bpy.context.active_object
    if name is not None and active is not None and active.name == name and active.type == "ARMATURE":
        bpy.ops.object.mode_set(mode="POSE")


@persistent  # type: ignore[untyped-decorator]
def on_file_opened(*_: Any) -> None:
    """A take that was tracked for another file must not appear in this one unasked; in its own it must."""
    action_slots.watch()
    transferring.leave(bpy.data.filepath)
    for job in session.current().followed:
        job.home = dataclasses.replace(job.home, number=0)
        job.elsewhere = not bpy.data.filepath or bpy.data.filepath != job.home.file


@persistent  # type: ignore[untyped-decorator]
def on_file_saving(path: str, *_: Any) -> None:
    """Relative footage is found from the new place of the file, too."""
    footage_paths.move_relative(path)


@persistent  # type: ignore[untyped-decorator]
def on_file_not_saved(path: str, *_: Any) -> None:
    """Take back what was prepared for it."""
    footage_paths.stay_relative(path)


@persistent  # type: ignore[untyped-decorator]
def on_file_saved(path: str, *_: Any) -> None:
    """The file that a take belongs to may have another name now."""
    footage_paths.stay_relative(path)
    for job in session.current().followed:
        if not job.elsewhere:
            job.home = dataclasses.replace(job.home, file=bpy.data.filepath)


def redraw(area_type: str = "VIEW_3D", region_type: str = "UI") -> None:
    """Have the panels drawn anew."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == area_type:
                for region in area.regions:
                    if region.type == region_type:
                        region.tag_redraw()
