"""The list of jobs: what the backend works on, and results that wait to be built."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import bpy

from .. import building, session
from ..active_job import stage_of, time_left
from ..client import Connection
from ..vendor import messages as m
from .sidebar import InMainPanel
from .text import draw_text

ROWS = 8
"""Jobs that are shown: the newest."""
NEW, BUILT = "IMPORT", "CHECKMARK"
ICONS = {
    m.JobState.QUEUED: "SORTTIME",
    m.JobState.RUNNING: "PLAY",
    m.JobState.DONE: "BLANK1",
    m.JobState.FAILED: "ERROR",
    m.JobState.CANCELLED: "X",
    m.JobState.INTERRUPTED: "ERROR",
}


class FLOWFACE_PT_jobs(InMainPanel, bpy.types.Panel):  # type: ignore[misc]
    """What the backend works on, and takes that can be built."""

    bl_idname = "FLOWFACE_PT_jobs"
    bl_label = "Jobs"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012 - Blender reads it from the class

    def draw_header(self, _context: Any) -> None:
        """How many results wait."""
        waiting = len(session.current().jobs.waiting)
        if waiting:
            self.layout.label(text=f"{waiting} new", icon=NEW)

    def draw(self, context: Any) -> None:
        """A row for each of the newest jobs."""
        now = session.current()
        if now.connection is not Connection.CONNECTED:
            draw_text(self.layout, "Start the backend to see its jobs.", context.region.width)
            return
        built = building.built_jobs()
        column = self.layout.column(align=True)
        for status in now.jobs.jobs[:ROWS]:
            _draw_job(column, now, status, built=status.job_id in built)
        if not now.jobs.jobs:
            column.label(text="No jobs yet")
        row = self.layout.row()
        older = len(now.jobs.jobs) - ROWS
        row.label(text=f"and {older} older" if older > 0 else "")
        row.operator("flowface.jobs_refresh", text="", icon="FILE_REFRESH")


def _draw_job(layout: Any, now: session.Session, status: m.JobStatus, *, built: bool) -> None:
    row = layout.row(align=True)
    row.label(text=status.name, icon=BUILT if built else (NEW if status in now.jobs.waiting else ICONS[status.state]))
    words = row.row()
    words.alignment = "RIGHT"
    words.label(text=words_of(status))
    if any(job.status is not None and job.status.job_id == status.job_id for job in now.followed):
        row.label(text="", icon="TRIA_UP")
        return
    if status.state is m.JobState.DONE:
        row.operator("flowface.job_take_up", text="", icon="IMPORT").job_id = status.job_id
    elif not status.finished:
        row.operator("flowface.job_take_up", text="", icon="IMPORT").job_id = status.job_id
        row.operator("flowface.job_cancel", text="", icon="CANCEL").job_id = status.job_id
    elif status.problem is not None:
        row.operator("flowface.job_explain", text="", icon="QUESTION").job_id = status.job_id
    else:
        row.label(text="", icon="BLANK1")


def words_of(status: m.JobStatus) -> str:
    """A job's state in a few words: what is left of one that runs, the local time of one that has ended."""
    if status.state is m.JobState.RUNNING:
        return time_left(status.seconds_remaining) or stage_of(status)
    if status.state is m.JobState.QUEUED:
        return stage_of(status)
    when = local_time(status.created)
    return when if status.state is m.JobState.DONE else f"{status.state}, {when}"


def local_time(created: str) -> str:
    """ISO 8601 as the hour of today or the day of another time; "" for anything else."""
    try:
        then = datetime.fromisoformat(created).astimezone()
    except ValueError:
        return ""
    today = datetime.now(UTC).astimezone().date()
    return f"{then:%H:%M}" if then.date() == today else f"{then:%d %b %H:%M}"


CLASSES = (FLOWFACE_PT_jobs,)
