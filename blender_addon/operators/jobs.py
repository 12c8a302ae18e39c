"""The list of jobs: take a result from it, follow what runs, stop it, read why one failed, delete it."""

from __future__ import annotations

from typing import Any

import bpy

from .. import building, job_log, session, settings
from ..client import Connection
from ..vendor import messages as m


class _OnJob:
    bl_options = {"INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    job_id: bpy.props.StringProperty(options={"SKIP_SAVE"})  # type: ignore[valid-type]

    @classmethod
    def poll(cls, _context: Any) -> bool:
        """Only a backend that answers can be asked."""
        if session.current().connection is not Connection.CONNECTED:
            cls.poll_message_set("The backend is not running")  # type: ignore[attr-defined]
            return False
        return True


class FLOWFACE_OT_job_take_up(_OnJob, bpy.types.Operator):  # type: ignore[misc]
    """Build this take in this scene, as soon as it is done"""

    bl_idname = "flowface.job_take_up"
    bl_label = "Build"

    @classmethod
    def poll(cls, context: Any) -> bool:
        """One job at a time is waited for."""
        if session.current().job is not None:
            cls.poll_message_set("Another take is waited for")
            return False
        return super().poll(context)

    def execute(self, context: Any) -> set[str]:
        """Ask for it; it is built when it comes."""
        now = session.current()
        status = now.jobs.find(self.job_id)
        if status is None:
            self.report({"WARNING"}, "This job is no longer in the list")
            return {"CANCELLED"}
        home, match_scene = building.home_of(context.scene), settings.of(context.scene).match_scene
        now.take_up(status, home, match_scene=match_scene)
        return {"FINISHED"}


class FLOWFACE_OT_job_cancel(_OnJob, bpy.types.Operator):  # type: ignore[misc]
    """Stop this job"""

    bl_idname = "flowface.job_cancel"
    bl_label = "Cancel Job"

    def execute(self, _context: Any) -> set[str]:
        """Ask the backend to stop it; the list tells when it has."""
        session.current().cancel_listed(self.job_id)
        return {"FINISHED"}


class FLOWFACE_OT_waiting_cancel(bpy.types.Operator):  # type: ignore[misc]
    """Do not track this take"""

    bl_idname = "flowface.waiting_cancel"
    bl_label = "Cancel Waiting Job"
    bl_options = {"INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    index: bpy.props.IntProperty(min=0, options={"SKIP_SAVE"})  # type: ignore[valid-type]

    def execute(self, _context: Any) -> set[str]:
        """Take it from those that wait; the backend drops it, too."""
        now = session.current()
        if self.index >= len(now.waiting):
            return {"CANCELLED"}
        now.cancel_waiting(self.index)
        return {"FINISHED"}


class FLOWFACE_OT_job_unfold(_OnJob, bpy.types.Operator):  # type: ignore[misc]
    """Show where this job stands, whose it is, and what can be done with it"""

    bl_idname = "flowface.job_unfold"
    bl_label = "Details"

    def execute(self, _context: Any) -> set[str]:
        """Show its details, or no longer."""
        jobs = session.current().jobs
        jobs.unfolded = "" if jobs.unfolded == self.job_id else self.job_id
        return {"FINISHED"}


class FLOWFACE_OT_job_remove(_OnJob, bpy.types.Operator):  # type: ignore[misc]
    """Delete this job from the backend's disk, with its result; takes that were built of it stay"""

    bl_idname = "flowface.job_remove"
    bl_label = "Remove Job"

    @classmethod
    def poll(cls, context: Any) -> bool:
        """An older backend cannot."""
        if m.Remove.TYPE not in session.current().verbs:
            cls.poll_message_set("This backend removes no jobs: install the add-on's version of it")
            return False
        return super().poll(context)

    def invoke(self, context: Any, event: Any) -> Any:
        """Ask first: it cannot be undone."""
        return context.window_manager.invoke_confirm(self, event)

    def execute(self, _context: Any) -> set[str]:
        """Ask the backend to delete it; it leaves the list when that is done."""
        session.current().remove_listed(self.job_id)
        return {"FINISHED"}


class FLOWFACE_OT_job_text(_OnJob, bpy.types.Operator):  # type: ignore[misc]
    """Put what went wrong with this job, and its log, into a text of this file"""

    bl_idname = "flowface.job_text"
    bl_label = "Problem and Log"

    def execute(self, context: Any) -> set[str]:
        """Make the text, show it in a Text Editor that is open, and say what it is called."""
        now = session.current()
        status = now.jobs.find(self.job_id)
        if status is None:
            self.report({"WARNING"}, "This job is no longer in the list")
            return {"CANCELLED"}
        folder = now.storage.folder if now.storage is not None and not now.remote else ""
        name = f"{status.name} log"
        text = bpy.data.texts.get(name) or bpy.data.texts.new(name)
        text.from_string(job_log.text_of(status, folder))
        for area in context.screen.areas if context.screen else ():
            if area.type == "TEXT_EDITOR":
                area.spaces[0].text = text
        now.notice = session.Notice(f"The log of “{status.name}” is “{text.name}” in the Text Editor.")
        return {"FINISHED"}


class FLOWFACE_OT_jobs_refresh(bpy.types.Operator):  # type: ignore[misc]
    """Ask the backend again which jobs it has"""

    bl_idname = "flowface.jobs_refresh"
    bl_label = "Refresh Jobs"
    bl_options = {"INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    @classmethod
    def poll(cls, _context: Any) -> bool:
        """Only a backend that answers can be asked."""
        return session.current().connection is Connection.CONNECTED

    def execute(self, _context: Any) -> set[str]:
        """Ask; the answer comes in its own time."""
        session.current().ask_jobs()
        return {"FINISHED"}


CLASSES = (
    FLOWFACE_OT_job_take_up,
    FLOWFACE_OT_job_cancel,
    FLOWFACE_OT_waiting_cancel,
    FLOWFACE_OT_job_unfold,
    FLOWFACE_OT_job_remove,
    FLOWFACE_OT_job_text,
    FLOWFACE_OT_jobs_refresh,
)
