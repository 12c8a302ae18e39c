"""Start the backend."""

from __future__ import annotations

from typing import Any

import bpy

from .. import preferences, retention, session
from ..backend_link import ELSEWHERE
from ..backend_places import CannotStart
from ..client import Connection


def start(context: Any) -> None:
    """Start a backend as the preferences say.

    Raises:
        CannotStart: with a sentence for the user.
    """
    wanted = preferences.get(context)
    log_file = preferences.user_folder() / "backend.log"
    options = ["--device", wanted.device.lower(), *(["--finish-jobs"] if wanted.finish_jobs else [])]
    options += retention.options(wanted.keep_gb, wanted.keep_days)
    now = session.current()
    now.connect(wanted.endpoint, wanted.access_key)
    now.start_backend(bpy.path.abspath(wanted.environment), wanted.endpoint, log_file, options)


class FLOWFACE_OT_backend_start(bpy.types.Operator):  # type: ignore[misc]
    """Start the FlowFace backend; it ends with Blender"""

    bl_idname = "flowface.backend_start"
    bl_label = "Start Backend"

    @classmethod
    def poll(cls, _context: Any) -> bool:
        """Only where none runs."""
        now = session.current()
        if now.remote:
            cls.poll_message_set(ELSEWHERE)
            return False
        return not now.owns_backend and now.connection is not Connection.CONNECTED

    def execute(self, context: Any) -> set[str]:
        """Start it, or say why not."""
        try:
            start(context)
        except CannotStart as problem:
            session.current().notice = session.Notice(str(problem), is_error=True, preferences=True)
            self.report({"WARNING"}, str(problem))
            return {"CANCELLED"}
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_backend_start,)
