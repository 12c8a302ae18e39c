"""Add and remove the bones that a character's eyes look with."""

from __future__ import annotations

from typing import Any

import bpy

from ..retarget import properties, targets
from .on_target import OnTarget


class FLOWFACE_OT_retarget_eyes(OnTarget, bpy.types.Operator):  # type: ignore[misc]
    """Add a bone that an eye looks with: one that turns it, or an aim that it looks at"""

    bl_idname = "flowface.retarget_eyes"
    bl_label = "Add Eye"

    def execute(self, context: Any) -> set[str]:
        """Add one, for the side that has none yet."""
        target = targets.chosen(context.scene)
        taken = {eye.side for eye in target.eyes}
        with properties.as_one_edit(context.scene):
            target.eyes.add().side = "right" if "left" in taken else "left"
        return {"FINISHED"}


class FLOWFACE_OT_retarget_eye_remove(OnTarget, bpy.types.Operator):  # type: ignore[misc]
    """Remove the eye from the list"""

    bl_idname = "flowface.retarget_eye_remove"
    bl_label = "Remove Eye"

    index: bpy.props.IntProperty(options={"HIDDEN"})  # type: ignore[valid-type]

    def execute(self, context: Any) -> set[str]:
        """Remove it."""
        target = targets.chosen(context.scene)
        if not 0 <= self.index < len(target.eyes):
            return {"CANCELLED"}
        with properties.as_one_edit(context.scene):
            target.eyes.remove(self.index)
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_retarget_eyes, FLOWFACE_OT_retarget_eye_remove)
