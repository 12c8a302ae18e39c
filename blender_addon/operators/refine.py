"""Refine: have the backend solve a take again so that it holds to what was corrected."""

from __future__ import annotations

from typing import Any

import bpy

from .. import building, preferences, refining, session
from ..backend_places import CannotStart
from ..client import Connection
from ..scene import takes
from . import backend_start


class FLOWFACE_OT_refine(bpy.types.Operator):  # type: ignore[misc]
    """Solve the take again so that it holds to its pins, masks and held keys, starting from the track. The result is \
a new version; frames out of the reach of all corrections stay as they are, but for those of a preview range"""

    bl_idname = "flowface.refine"
    bl_label = "Refine"

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be something to hold to."""
        reason = refining.missing(takes.shown_take(context)) or session.current().cannot_refine
        if reason:
            cls.poll_message_set(reason)
        return not reason

    def execute(self, context: Any) -> set[str]:
        """Submit the job, after those that are there; everything else happens while Blender goes on."""
        wanted, now, take = preferences.get(context), session.current(), takes.shown_take(context)
        try:
            spec = refining.job_of(context, take)
        except refining.CannotRefine as problem:
            return self._refuse(str(problem))
        if now.is_tracking(spec):
            return self._refuse(f"“{spec.name}” is being refined already.")
        now.connect(wanted.endpoint)
        if now.connection is not Connection.CONNECTED and wanted.autostart:
            now.poll()
        if now.connection not in (Connection.CONNECTED, Connection.REFUSED) and wanted.autostart:
            try:
                backend_start.start(context)
            except CannotStart as problem:
                return self._refuse(str(problem), preferences=True)
        now.track(spec, building.home_of(context.scene), match_scene=False, into=take.name)
        if now.notice is not None and now.notice.is_error:
            return self._refuse(now.notice.text)
        return {"FINISHED"}

    def _refuse(self, sentence: str, *, preferences: bool = False) -> set[str]:
        session.current().notice = session.Notice(sentence, is_error=True, preferences=preferences)
        self.report({"WARNING"}, sentence)
        return {"CANCELLED"}


CLASSES = (FLOWFACE_OT_refine,)
