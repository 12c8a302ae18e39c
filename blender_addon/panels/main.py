"""The FlowFace panel in the 3D viewport's sidebar."""

from __future__ import annotations

from typing import Any

import bpy

from .. import building, live, session, settings
from ..active_job import time_left
from ..backend_process import short_lines
from ..client import Connection
from . import retarget_transfer
from .sidebar import InMainPanel, InSidebar
from .text import draw_text, fits
from .views import draw_footage, draw_options, draw_views

LOG_LINES_SHOWN = 8


class FLOWFACE_PT_main(InSidebar, bpy.types.Panel):  # type: ignore[misc]
    """Footage in, an animated head out."""

    bl_idname = "FLOWFACE_PT_main"
    bl_label = "FlowFace"

    def draw(self, context: Any) -> None:
        """Backend, footage, Track or progress, and the last thing worth telling."""
        now, chosen = session.current(), settings.of(context.scene)
        _draw_backend(self.layout, now)
        column = self.layout.column()
        row = column.row(align=True)
        row.prop(chosen, "head", text="")
        row.operator("flowface.heads_refresh", text="", icon="FILE_REFRESH")
        column.label(text="Footage")
        draw_footage(column, chosen)
        _draw_range(column, chosen)
        draw_views(column, chosen)
        draw_options(column, chosen)
        _draw_track(self.layout, chosen, context.region.width, queue=now.job is not None)
        if now.job is not None:
            _draw_progress(self.layout, now, context)
            _draw_waiting(self.layout, now)
        retarget_transfer.draw_progress(self.layout, context)
        if now.notice is not None and building.still_true(now.notice):
            _draw_notice(self.layout.box(), now.notice, context.region.width)


class FLOWFACE_PT_log(InMainPanel, bpy.types.Panel):  # type: ignore[misc]
    """The log of the add-on's own backend."""

    bl_idname = "FLOWFACE_PT_log"
    bl_label = "Backend Log"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012 - Blender reads it from the class

    @classmethod
    def poll(cls, _context: Any) -> bool:
        """Only a backend of one's own has a log here."""
        now = session.current()
        return now.process is not None or now.last_process is not None

    def draw(self, context: Any) -> None:
        """The last lines, and where all of them are; of one that has ended until another is started."""
        process = session.current().process or session.current().last_process
        if process is None:
            return
        column = self.layout.column()
        for line in short_lines(list(process.log))[-LOG_LINES_SHOWN:]:
            draw_text(column, line, context.region.width)
        if process.log_file is not None:
            self.layout.operator("wm.path_open", text="Open Log", icon="TEXT").filepath = str(process.log_file)


def _draw_backend(layout: Any, now: session.Session) -> None:
    if now.connection is Connection.CONNECTED and not now.owns_backend:
        draw_text(
            layout,
            "Backend on another machine" if now.remote else "Backend started elsewhere",
            bpy.context.region.width,
            "LINKED",
        )
        _draw_problem(layout, now)
        return
    row = layout.row()
    if now.connection is Connection.CONNECTED:
        row.label(text="Backend running", icon="LINKED")
    elif now.connection is Connection.REFUSED:
        row.label(text="Backend cannot be used", icon="ERROR")
    elif now.remote:
        row.label(text="Backend not reached", icon="UNLINKED")
    elif now.coming_back:
        row.label(text="Backend starting…", icon="SORTTIME")
    else:
        row.label(text="Backend not running", icon="UNLINKED")
    button = row.row()
    button.ui_units_x = 2.8
    if now.owns_backend or now.restart_at is not None:
        button.operator("flowface.backend_stop", text="Stop")
    elif now.connection is not Connection.CONNECTED:
        button.operator("flowface.backend_start", text="Start")  # off, with a sentence, where it is another machine's
        _preferences_button(row, "")
    _draw_problem(layout, now)


def _draw_problem(layout: Any, now: session.Session) -> None:
    """What is wrong with the backend that answers."""
    if now.version_warning:
        draw_text(layout, now.version_warning, bpy.context.region.width, "ERROR")
    if now.connection is Connection.REFUSED and (now.notice is None or now.notice.text != now.connection_sentence):
        draw_text(layout, now.connection_sentence, bpy.context.region.width)


def _draw_track(layout: Any, chosen: Any, width: int, *, queue: bool) -> None:
    row = layout.row()
    row.scale_y = 1.0 if queue else 1.5
    row.operator("flowface.track", text="Track Next" if queue else "Track", icon="PLAY")
    if not chosen.footage and not queue:  # said of Track: photographs are chosen by their own button
        draw_text(layout, "Choose the footage first: a video, a photograph or a sequence.", width, "INFO")
    layout.operator("flowface.head_from_photographs", icon="USER")


def _draw_notice(layout: Any, notice: session.Notice, width: int) -> None:
    draw_text(layout, notice.text, width, "ERROR" if notice.is_error else "CHECKMARK")
    if notice.preferences:
        _preferences_button(layout, "Open Preferences")


def _preferences_button(layout: Any, text: str) -> None:
    layout.operator("flowface.preferences", text=text, icon="PREFERENCES")


def _draw_range(layout: Any, chosen: Any) -> None:
    row = layout.row(heading="Frames")
    row.prop(chosen, "use_range", text="")
    numbers = row.row(align=True)
    numbers.enabled = chosen.use_range
    numbers.prop(chosen, "frame_first", text="")
    numbers.prop(chosen, "frame_last", text="")


def _draw_progress(layout: Any, now: session.Session, context: Any) -> None:
    job = now.job
    if job is None:
        return
    text = _progress_text(now, job, context)
    width = context.region.width
    shown = fits(text, width)
    layout.progress(factor=job.fraction, type="BAR", text=text if shown else f"{job.fraction:.0%}")
    if not shown:
        draw_text(layout, text, width)
    if job.status is not None and job.status.problem is not None and not job.status.finished:
        draw_text(layout, str(job.status.problem), width, "PAUSE")
    preview = live.sentence(job, context)
    if preview:
        draw_text(layout, preview, width, "HIDE_OFF")
    if job.question:
        draw_text(layout.box(), job.question, width, "QUESTION")
        row = layout.row(align=True)
        row.operator("flowface.build_take", text="Replace Head").answer = "REPLACE"
        row.operator("flowface.build_take", text="Second Take").answer = "SECOND"
    elif job.take is not None and job.elsewhere:
        layout.operator("flowface.build_take", text="Build Here", icon="IMPORT")
    lost = now.connection is not Connection.CONNECTED and job.submitted
    words = "Keep for Later" if job.done else ("Stop Waiting" if lost else "Cancel")
    layout.operator("flowface.cancel", text=words, icon="TIME" if job.done else "CANCEL")


def _draw_waiting(layout: Any, now: session.Session) -> None:
    """The takes that are tracked after this one, in their order."""
    column = layout.column(align=True)
    for index, job in enumerate(now.waiting):
        row = column.row(align=True)
        row.label(text=f"{index + 2}. {job.name}", icon="SORTTIME")
        words = row.row()
        words.alignment = "RIGHT"
        words.label(text=job.stage)
        row.operator("flowface.waiting_cancel", text="", icon="X").index = index


def _progress_text(now: session.Session, job: session.ActiveJob, context: Any) -> str:
    """What happens to the job, and how long it will take, in one line or sentence."""
    if job.take is not None:
        return job.stage if job.elsewhere or job.question else (building.waits_for(context) or job.stage)
    if now.connection is not Connection.CONNECTED and job.submitted:
        return now.away
    left = time_left(job.status.seconds_remaining) if job.status is not None and not job.cancelling else ""
    return f"{job.stage}, {left}" if left else job.stage


CLASSES = (FLOWFACE_PT_main, FLOWFACE_PT_log)
