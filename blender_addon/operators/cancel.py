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

    def execute(self, _context: Any) -> set[str]:
        """Ask the backend to stop."""
        session.current().cancel()
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_cancel,)
