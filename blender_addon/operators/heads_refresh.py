"""Refresh: ask the backend again which heads it has."""

from __future__ import annotations

from typing import Any

import bpy

from .. import session
from ..client import Connection


class FLOWFACE_OT_heads_refresh(bpy.types.Operator):  # type: ignore[misc]
    """Ask the backend again, after a head was added with “flowface head add”"""

    bl_idname = "flowface.heads_refresh"
    bl_label = "Refresh Heads"
    bl_options = {"INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    @classmethod
    def poll(cls, _context: Any) -> bool:
        """Only a backend that answers can be asked."""
        if session.current().connection is not Connection.CONNECTED:
            cls.poll_message_set("The backend is not running")
            return False
        return True

    def execute(self, _context: Any) -> set[str]:
        """Ask; the answer comes in its own time."""
        session.current().ask_heads()
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_heads_refresh,)
