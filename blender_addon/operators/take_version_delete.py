"""Delete the version of a take that is shown."""

from __future__ import annotations

from typing import Any

import bpy

from ..scene import retime, takes
from ..scene import versions_of_take as versions


class FLOWFACE_OT_take_version_delete(bpy.types.Operator):  # type: ignore[misc]
    """Delete the version that is shown, with its Actions, and show the newest of the others"""

    bl_idname = "flowface.take_version_delete"
    bl_label = "Delete Version"
    bl_options = {"UNDO"}  # noqa: RUF012 - Blender reads it from the class

    @classmethod
    def poll(cls, context: Any) -> bool:
        """One version stays, and nothing may be edited."""
        take = takes.shown_take(context)
        if take is None or len(versions.all_of(take)) < 2:
            cls.poll_message_set("It is the take's only version: delete the take")
            return False
        if context.mode != "OBJECT":
            cls.poll_message_set("Go to Object Mode first")
            return False
        return True

    def invoke(self, context: Any, event: Any) -> set[str]:
        """Ask first."""
        shown = versions.current(takes.shown_take(context))
        name = shown.name if shown is not None else ""
        return set(
            context.window_manager.invoke_confirm(
                self, event, title="Delete Version", message=f"“{name}” and its Actions", confirm_text="Delete"
            )
        )

    def execute(self, context: Any) -> set[str]:
        """Delete it."""
        take = takes.shown_take(context)
        shown = versions.current(take)
        if shown is None:
            return {"CANCELLED"}
        takes.delete_version(context, take, shown.number)
        retime.refresh_footage(take)
        context.scene.frame_set(context.scene.frame_current)
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_take_version_delete,)
