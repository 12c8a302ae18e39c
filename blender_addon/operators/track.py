"""Track: hand the footage to the backend."""

from __future__ import annotations

from typing import Any

import bpy

from .. import building, preferences, session, settings
from ..backend_places import CannotStart
from ..client import Connection
from ..job import CannotTrack, job_of
from . import backend_start


class FLOWFACE_OT_track(bpy.types.Operator):  # type: ignore[misc]
    """Track the face in the footage and build an animated head and camera from it"""

    bl_idname = "flowface.track"
    bl_label = "Track"

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be footage to work on."""
        if not settings.of(context.scene).footage:
            cls.poll_message_set("Choose the footage first")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        """Submit the job, after those that are there; everything else happens while Blender goes on."""
        chosen, wanted, now = settings.of(context.scene), preferences.get(context), session.current()
        try:
            spec, known_cameras = job_of(context)
        except CannotTrack as problem:
            return self._refuse(str(problem))
        if now.is_tracking(spec):
            return self._refuse(f"“{spec.name}” is being tracked already.")
        now.connect(wanted.endpoint)
        if now.connection is not Connection.CONNECTED and wanted.autostart:
            now.poll()
        if now.connection not in (Connection.CONNECTED, Connection.REFUSED) and wanted.autostart:
            try:
                backend_start.start(context)
            except CannotStart as problem:
                return self._refuse(str(problem), preferences=True)
        now.track(spec, building.home_of(context.scene), match_scene=chosen.match_scene, known_cameras=known_cameras)
        if now.notice is not None and now.notice.is_error:
            return self._refuse(now.notice.text)
        return {"FINISHED"}

    def _refuse(self, sentence: str, *, preferences: bool = False) -> set[str]:
        session.current().notice = session.Notice(sentence, is_error=True, preferences=preferences)
        self.report({"WARNING"}, sentence)  # an error report would raise in scripts and pop up over the panel
        return {"CANCELLED"}


CLASSES = (FLOWFACE_OT_track,)
