"""Delete a take with all its versions."""

from __future__ import annotations

from typing import Any

import bpy

from ..scene import ownership, takes


class FLOWFACE_OT_take_delete(bpy.types.Operator):  # type: ignore[misc]
    """Delete the take with all its versions; objects of your own in its collection stay where they are"""

    bl_idname = "flowface.take_delete"
    bl_label = "Delete Take"
    bl_options = {"UNDO"}  # noqa: RUF012 - Blender reads it from the class

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be one, of this file, and nothing in it may be edited."""
        take = takes.shown_take(context)
        if take is None or take.library is not None:
            cls.poll_message_set("There is no take of this file" if take is None else "The take is linked from a file")
            return False
        if context.mode != "OBJECT":
            cls.poll_message_set("Go to Object Mode first")
            return False
        return True

    def invoke(self, context: Any, event: Any) -> set[str]:
        """Ask first."""
        take = takes.shown_take(context)
        heads = len(ownership.family_of(take)) if ownership.main_of(take) == take else 1
        what = f"“{take.name}” and all its versions" if heads == 1 else f"“{take.name}” with all its {heads} heads"
        return set(
            context.window_manager.invoke_confirm(self, event, title="Delete Take", message=what, confirm_text="Delete")
        )

    def execute(self, context: Any) -> set[str]:
        """Delete it."""
        takes.delete(takes.shown_take(context))
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_take_delete,)
