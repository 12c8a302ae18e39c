"""Stop the backend."""

from __future__ import annotations

from typing import Any

import bpy

from .. import session
from ..backend_link import ELSEWHERE


class FLOWFACE_OT_backend_stop(bpy.types.Operator):  # type: ignore[misc]
    """Stop the backend that this Blender started; a job in progress goes on when it is started again"""

    bl_idname = "flowface.backend_stop"
    bl_label = "Stop Backend"

    @classmethod
    def poll(cls, _context: Any) -> bool:
        """Only one's own."""
        now = session.current()
        if not now.owns_backend and now.restart_at is None:
            cls.poll_message_set(ELSEWHERE if now.remote else "The backend was not started by this Blender")
            return False
        return True

    def execute(self, _context: Any) -> set[str]:
        """Stop it without waiting."""
        session.current().stop_backend()
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_backend_stop,)
