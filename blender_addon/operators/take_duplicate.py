"""Duplicate a take with all its versions."""

from __future__ import annotations

from typing import Any

import bpy

from ..scene import ownership, takes


class FLOWFACE_OT_take_duplicate(bpy.types.Operator):  # type: ignore[misc]
    """Duplicate the take with all its versions, beside it; nothing is shared. The copy is the one that is tracked \
again while it is chosen"""

    bl_idname = "flowface.take_duplicate"
    bl_label = "Duplicate Take"
    bl_options = {"UNDO"}  # noqa: RUF012 - Blender reads it from the class

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be one, and nothing in it may be edited."""
        if context.mode != "OBJECT":
            cls.poll_message_set("Go to Object Mode first")
            return False
        return takes.shown_take(context) is not None

    def execute(self, context: Any) -> set[str]:
        """Duplicate it and choose the copy."""
        copy = takes.duplicate(context.scene, takes.shown_take(context))
        context.scene.flowface.take = copy
        context.view_layer.update()  # else it does not have the new objects yet
        rig = ownership.member(copy, ownership.ARMATURE)
        if rig is not None and rig.name in context.view_layer.objects:
            context.view_layer.objects.active = rig
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_take_duplicate,)
