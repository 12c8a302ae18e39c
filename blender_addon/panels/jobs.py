"""The list of jobs: what the backend works on, and results that wait to be built."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import bpy

from .. import building, retention, session
from ..active_job import stage_of, time_left
from ..backend_link import STOPPED
from ..client import Connection
from ..vendor import messages as m
from .sidebar import InMainPanel
from .text import draw_text

ROWS = 8
"""Jobs that are shown: the newest."""
START = "Start the backend to see its jobs."
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
            why = STOPPED if now.starts_again else (now.connection_sentence if now.remote else START)
            draw_text(self.layout, why, context.region.width)
            return
        built = building.built_jobs()
        column = self.layout.column(align=True)
        for status in now.jobs.jobs[:ROWS]:
            _draw_job(column, now, status, built=status.job_id in built)
            if status.job_id == now.jobs.unfolded:
                _draw_details(column.box().column(align=True), now, status, context.region.width)
        if not now.jobs.jobs:
            column.label(text="No jobs yet")
        row = self.layout.row()
        older = len(now.jobs.jobs) - ROWS
        row.label(text=f"and {older} older" if older > 0 else "")
        row.operator("flowface.jobs_refresh", text="", icon="FILE_REFRESH")
        if now.storage is not None:
            text = f"{retention.storage_in_words(now.storage)} {now.limits}".strip()
            draw_text(self.layout, text, context.region.width, "DISK_DRIVE")


def _draw_job(layout: Any, now: session.Session, status: m.JobStatus, *, built: bool) -> None:
    row = layout.row(align=True)
    icon = BUILT if built else (NEW if status in now.jobs.waiting else icon_of(status))
    name = row.row(align=True)
    name.alignment = "LEFT"
    name.operator("flowface.job_unfold", text=status.name, icon=icon, emboss=False).job_id = status.job_id
    words = row.row()
    words.alignment = "RIGHT"
    words.label(text=words_of(status))
    if _is_followed(now, status):
        row.label(text="", icon="TRIA_UP")
        return
    if status.state is m.JobState.DONE:
        row.operator("flowface.job_take_up", text="", icon="IMPORT").job_id = status.job_id
    elif not status.finished:
        row.operator("flowface.job_take_up", text="", icon="IMPORT").job_id = status.job_id
        row.operator("flowface.job_cancel", text="", icon="CANCEL").job_id = status.job_id
    else:
        row.operator("flowface.job_unfold", text="", icon="QUESTION").job_id = status.job_id


def _draw_details(layout: Any, now: session.Session, status: m.JobStatus, width: int) -> None:
    draw_text(layout, sentence_of(status), width, icon_of(status))
    draw_text(layout, facts_of(status), width)
    row = layout.row(align=True)
    if status.problem is not None or not now.remote:
        row.operator("flowface.job_text", text="Log", icon="TEXT").job_id = status.job_id
    if status.finished and not _is_followed(now, status):
        row.operator("flowface.job_remove", text="Remove", icon="TRASH").job_id = status.job_id


def _is_followed(now: session.Session, status: m.JobStatus) -> bool:
    return any(job.job_id == status.job_id for job in now.followed)


def icon_of(status: m.JobStatus) -> str:
    """The icon of a job's state; one that waits for something that a user can mend is paused."""
    return "PAUSE" if status.problem is not None and not status.finished else ICONS[status.state]


def sentence_of(status: m.JobStatus) -> str:
    """Where a job stands, and why."""
    if status.problem is not None:
        return f"{'' if status.finished else 'Paused: '}{status.problem}"
    if not status.finished:
        left = time_left(status.seconds_remaining)
        return f"{stage_of(status)}{f', {left}' if left else ''}."
    if status.state is m.JobState.DONE:
        return "Done, and its result was fetched." if status.fetched else "Done; nobody has fetched its result yet."
    return f"It was {status.state}."


def facts_of(status: m.JobStatus) -> str:
    """Whose job it is, from when, how large, and how often it was started."""
    facts = [f"Submitted {local_time(status.created)}" if status.created else "Submitted"]
    facts[0] += f" by {status.owner}" if status.owner else ""
    if status.bytes:
        facts.append(f"{status.bytes / 1e9:.1f} GB" if status.bytes >= 1e8 else f"{status.bytes / 1e6:.1f} MB")
    if status.attempts > 1:
        facts.append(f"started {status.attempts} times")
    return f"{', '.join(facts)}."


def words_of(status: m.JobStatus) -> str:
    """A job's state in a few words: what is left of one that runs, the local time of one that has ended."""
    if status.state is m.JobState.RUNNING:
        return time_left(status.seconds_remaining) or stage_of(status)
    if status.state is m.JobState.QUEUED:
        return "paused" if status.problem is not None else stage_of(status)
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
