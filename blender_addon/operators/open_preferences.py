"""Open the add-on's preferences: where the backend is, and a check of it."""

from __future__ import annotations

from typing import Any

import bpy

from .. import preferences


class FLOWFACE_OT_preferences(bpy.types.Operator):  # type: ignore[misc]
    """Open the preferences of FlowFace: where the backend is, and a check that says what works"""

    bl_idname = "flowface.preferences"
    bl_label = "FlowFace Preferences"
    bl_options = {"INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    @classmethod
    def poll(cls, context: Any) -> bool:
        """The add-on must have been enabled there."""
        if preferences.name() not in context.preferences.addons:
            cls.poll_message_set("The add-on is not enabled in Blender's preferences")
            return False
        return True

    def execute(self, _context: Any) -> set[str]:
        """Show them in their window."""
        bpy.ops.preferences.addon_show(module=preferences.name())
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_preferences,)
