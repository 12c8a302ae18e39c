"""Show one take only, or all of them again."""

from __future__ import annotations

from typing import Any

import bpy

from ..scene import ownership, takes


class FLOWFACE_OT_take_show_only(bpy.types.Operator):  # type: ignore[misc]
    """Hide all other takes, in viewports and renders; pressed once more, show all"""

    bl_idname = "flowface.take_show_only"
    bl_label = "Show Only This"
    bl_options = {"UNDO"}  # noqa: RUF012 - Blender reads it from the class

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be another take to be hidden."""
        if len(ownership.takes_of(context.scene)) < 2:
            cls.poll_message_set("There is no other take in this scene")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        """Hide them, or show all."""
        takes.show_only(context.scene, takes.shown_take(context))
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_take_show_only,)
