"""Remove a further view."""

from __future__ import annotations

from typing import Any

import bpy

from .. import settings


class FLOWFACE_OT_view_remove(bpy.types.Operator):  # type: ignore[misc]
    """Leave this view out of the take"""

    bl_idname = "flowface.view_remove"
    bl_label = "Remove View"
    bl_options = {"UNDO"}  # noqa: RUF012 - Blender reads it from the class

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be one."""
        return len(settings.of(context.scene).views) > 0

    def execute(self, context: Any) -> set[str]:
        """Remove the active one."""
        chosen = settings.of(context.scene)
        index = min(max(chosen.active_view, 0), len(chosen.views) - 1)
        chosen.views.remove(index)
        chosen.active_view = max(0, min(index, len(chosen.views) - 1))
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_view_remove,)
