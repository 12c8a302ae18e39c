"""The part of the panel for a head that moves as a face does at this moment."""

from __future__ import annotations

from typing import Any

import bpy

from .. import session
from ..live_capture import cameras, drivers, properties, running, takes_live
from ..live_process import PHASES, Capture
from ..scene import takes
from ..vendor import live
from .sidebar import InMainPanel
from .text import draw_text

DRIVEN = (
    "For the person whom it was learnt from, in light like that take's. It trembles more than a solve does, so its "
    "poses are filtered. For anyone else, or for better poses, empty the field: then the face is calibrated and solved."
)
LEARNS = (
    "Optional: from “{}”, a driver for this one person that needs no calibrating. Minutes of work. To adapt one to "
    "another light gains little: that is in the command line only (flowface driver adapt)."
)
ICONS = {live.LivePhase.RECORDING: "RADIOBUT_ON", live.LivePhase.WAITING: "SORTTIME", live.LivePhase.RUNNING: "PLAY"}


class FLOWFACE_PT_live_capture(InMainPanel, bpy.types.Panel):  # type: ignore[misc]
    """What drives a head live, and the recordings of it."""

    bl_idname = "FLOWFACE_PT_live_capture"
    bl_label = "Live Capture"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012 - Blender reads it from the class

    def draw(self, context: Any) -> None:
        """The source and Start, or how the session is doing, Record and Stop; Solve Recording."""
        capture, width = session.current().capture, context.region.width
        if capture is None or capture.over:
            _draw_source(self.layout, properties.of(context.scene), width)
            row = self.layout.row()
            row.scale_y = 1.5
            row.operator("flowface.live_capture_start", icon="PLAY")
        else:
            _draw_session(self.layout, capture, width)
        notice = running.now.notice
        if notice is not None:
            draw_text(self.layout.box(), notice.text, width, "ERROR" if notice.is_error else "CHECKMARK")
        _draw_unplaced(self.layout, width)
        _draw_solve(self.layout, takes.shown_take(context), width)
        if properties.of(context.scene).source != properties.LIVE_LINK:
            live_now = capture is not None and not capture.over
            _draw_learn(self.layout, takes.shown_take(context), width, live_now=live_now)


def _draw_source(layout: Any, chosen: Any, width: int) -> None:
    column = layout.column()
    column.use_property_split, column.use_property_decorate = True, False
    column.prop(chosen, "source")
    if chosen.source == properties.CAMERA:
        row = column.row(align=True)
        row.prop(chosen, "camera")
        row.operator("flowface.live_capture_cameras", text="", icon="FILE_REFRESH")
        if cameras.looking():
            draw_text(layout, "Looking for cameras…", width, "SORTTIME")
        elif cameras.problem():
            draw_text(layout, cameras.problem(), width, "ERROR")
    elif chosen.source == properties.VIDEO:
        column.prop(chosen, "video")
    if chosen.source != properties.LIVE_LINK:
        column.prop(chosen, "driver")
        if chosen.driver:
            draw_text(layout, DRIVEN, width, "INFO")
    else:
        column.prop(chosen, "port")
        column.prop(chosen, "subject")
        column.prop(chosen, "network")
        if not chosen.network:
            draw_text(layout, "A phone is another machine: Let Phones In listens to it.", width, "INFO")


def _draw_session(layout: Any, capture: Capture, width: int) -> None:
    state = capture.state
    title = PHASES.get(state.phase, str(state.phase)) if not capture.ending else "Stopping"
    layout.label(text=f"{title}: {state.source or capture.source.name}", icon=ICONS.get(state.phase, "TIME"))
    if state.phase is live.LivePhase.CALIBRATING:
        layout.progress(factor=min(max(state.fraction, 0.0), 1.0), type="BAR", text=f"{state.fraction:.0%}")
    words = f"{state.sentence} {state.hint}".strip()
    if words:
        draw_text(layout, words, width)
    if state.phase in (live.LivePhase.RUNNING, live.LivePhase.RECORDING):
        draw_text(layout, figures(state, "picture" if capture.source.pictures else "packet"), width)
    if capture.recording and capture.client is not None:
        draw_text(layout, f"{capture.client.kept} poses recorded", width, "REC")
    row = layout.row(align=True)
    row.scale_y = 1.5
    words = "End Recording" if capture.recording else "Record"
    row.operator("flowface.live_capture_record", text=words, icon="REC", depress=capture.recording)
    row.operator("flowface.live_capture_stop", icon="SNAP_FACE")
    if capture.source.calibrates:
        layout.operator("flowface.live_capture_calibrate", icon="PIVOT_CURSOR")


def figures(state: live.LiveState, seen: str) -> str:
    """How fast poses come, how old they are, and how many pictures or packets, as ``seen`` says, were left out."""
    dropped = f", {state.dropped} dropped" if state.dropped else ""
    return f"{state.frames_per_second:.0f} a second, {state.milliseconds:.0f} ms from {seen} to pose{dropped}"


def _draw_unplaced(layout: Any, width: int) -> None:
    """The recordings that no scene has taken in."""
    for recording in running.recordings.waiting() if running.recordings is not None else ():
        box = layout.box()
        draw_text(box, recording.words, width, "REC")
        row = box.row(align=True)
        row.operator("flowface.live_recording_add", icon="ADD").path = str(recording.path)
        row.operator("flowface.live_recording_discard", text="", icon="TRASH").path = str(recording.path)


def _draw_solve(layout: Any, take: Any, width: int) -> None:
    if take is None or not takes_live.shows_recording(take):
        return
    layout.operator("flowface.live_capture_solve", icon="SHADERFX")
    why = takes_live.cannot_solve(take)
    if why:
        draw_text(layout, f"{why}.", width, "INFO")


def _draw_learn(layout: Any, take: Any, width: int, *, live_now: bool) -> None:
    """Learn Driver, or how far that is."""
    learning = drivers.current()
    if learning is not None:
        layout.progress(factor=learning.fraction, type="BAR", text=f"{learning.stage}: {learning.fraction:.0%}")
        layout.operator("flowface.cancel_driver", icon="CANCEL")
        return
    if take is None or live_now:
        return
    layout.operator("flowface.learn_driver", icon="MOD_ARMATURE")
    why = drivers.why_not(take)
    draw_text(layout, f"{why}." if why else LEARNS.format(take.name), width, "INFO")


CLASSES = (FLOWFACE_PT_live_capture,)
