"""Cancel: stop tracking."""

from __future__ import annotations

from typing import Any

import bpy

from .. import session


class FLOWFACE_OT_cancel(bpy.types.Operator):  # type: ignore[misc]
    """Stop tracking; nothing in the scene has changed"""

    bl_idname = "flowface.cancel"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, _context: Any) -> bool:
        """Something must be in progress."""
        return session.current().job is not None

    @classmethod
    def description(cls, _context: Any, _properties: Any) -> str:
        """The tooltip, of a take that is there already another."""
        job = session.current().job
        return "Build it later, from the list of jobs" if job is not None and job.done else cls.__doc__ or ""

    def execute(self, _context: Any) -> set[str]:
        """Ask the backend to stop."""
        session.current().cancel()
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_cancel,)
