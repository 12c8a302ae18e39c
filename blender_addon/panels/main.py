"""The FlowFace panel in the 3D viewport's sidebar."""

from __future__ import annotations

from typing import Any

import bpy

from .. import session, settings
from ..backend_process import short_lines
from ..client import Connection
from .text import draw_text
from .views import draw_options, draw_views

CATEGORY = "FlowFace"
LOG_LINES_SHOWN = 8


class _InSidebar:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = CATEGORY


class FLOWFACE_PT_main(_InSidebar, bpy.types.Panel):  # type: ignore[misc]
    """Footage in, an animated head out."""

    bl_idname = "FLOWFACE_PT_main"
    bl_label = "FlowFace"

    def draw(self, context: Any) -> None:
        """Backend, footage, Track or progress, and the last thing worth telling."""
        now, chosen = session.current(), settings.of(context.scene)
        _draw_backend(self.layout, now)
        column = self.layout.column()
        column.enabled = now.job is None
        row = column.row(align=True)
        row.prop(chosen, "head", text="")
        row.operator("flowface.heads_refresh", text="", icon="FILE_REFRESH")
        column.prop(chosen, "footage", text="")
        _draw_range(column, chosen)
        draw_views(column, chosen)
        draw_options(column, chosen)
        if now.job is None:
            row = self.layout.row()
            row.scale_y = 1.5
            row.operator("flowface.track", icon="PLAY")
        else:
            _draw_progress(self.layout, now, context.mode)
        if now.notice is not None:
            icon = "ERROR" if now.notice.is_error else "CHECKMARK"
            draw_text(self.layout.box(), now.notice.text, context.region.width, icon)


class FLOWFACE_PT_log(_InSidebar, bpy.types.Panel):  # type: ignore[misc]
    """The log of the add-on's own backend."""

    bl_idname = "FLOWFACE_PT_log"
    bl_label = "Backend Log"
    bl_parent_id = "FLOWFACE_PT_main"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012 - Blender reads it from the class

    @classmethod
    def poll(cls, _context: Any) -> bool:
        """Only a backend of one's own has a log here."""
        return session.current().process is not None

    def draw(self, context: Any) -> None:
        """The last lines, and where all of them are."""
        process = session.current().process
        if process is None:
            return
        column = self.layout.column()
        for line in short_lines(list(process.log))[-LOG_LINES_SHOWN:]:
            draw_text(column, line, context.region.width)
        if process.log_file is not None:
            self.layout.operator("wm.path_open", text="Open Log", icon="TEXT").filepath = str(process.log_file)


def _draw_backend(layout: Any, now: session.Session) -> None:
    row = layout.row()
    if now.connection is Connection.CONNECTED:
        where = "" if now.owns_backend else " (started elsewhere)"
        row.label(text=f"Backend running{where}", icon="LINKED")
    elif now.connection is Connection.REFUSED:
        row.label(text="Backend cannot be used", icon="ERROR")
    elif now.backend_starting:
        row.label(text="Backend starting…", icon="SORTTIME")
    else:
        row.label(text="Backend not running", icon="UNLINKED")
    button = row.row()
    button.ui_units_x = 2.8
    if now.owns_backend:
        button.operator("flowface.backend_stop", text="Stop")
    elif now.connection is not Connection.CONNECTED:
        button.operator("flowface.backend_start", text="Start")
    if now.version_warning:
        draw_text(layout, now.version_warning, bpy.context.region.width, "ERROR")
    if now.connection is Connection.REFUSED and (now.notice is None or now.notice.text != now.connection_sentence):
        draw_text(layout, now.connection_sentence, bpy.context.region.width)


def _draw_range(layout: Any, chosen: Any) -> None:
    row = layout.row(heading="Frames")
    row.prop(chosen, "use_range", text="")
    numbers = row.row(align=True)
    numbers.enabled = chosen.use_range
    numbers.prop(chosen, "frame_first", text="")
    numbers.prop(chosen, "frame_last", text="")


def _draw_progress(layout: Any, now: session.Session, mode: str) -> None:
    job = now.job
    if job is None:
        return
    text = job.stage
    if now.connection is not Connection.CONNECTED and job.status is not None:
        text = "Connection lost, trying again"
    elif job.take is not None and not job.elsewhere and mode != "OBJECT":
        text = "Ready: leave this mode to build it"
    elif job.status is not None and job.status.seconds_remaining is not None and not job.cancelling:
        text += f", {_duration(job.status.seconds_remaining)} left"
    layout.progress(factor=job.fraction, type="BAR", text=text)
    if job.question:
        draw_text(layout.box(), job.question, bpy.context.region.width, "QUESTION")
        row = layout.row(align=True)
        row.operator("flowface.build_take", text="Replace Head").answer = "REPLACE"
        row.operator("flowface.build_take", text="Second Take").answer = "SECOND"
    elif job.take is not None and job.elsewhere:
        layout.operator("flowface.build_take", text="Build Here", icon="IMPORT")
    layout.operator("flowface.cancel", icon="CANCEL")


def _duration(seconds: float) -> str:
    return f"{max(1, round(seconds))} s" if seconds < 100 else f"{round(seconds / 60)} min"


CLASSES = (FLOWFACE_PT_main, FLOWFACE_PT_log)
