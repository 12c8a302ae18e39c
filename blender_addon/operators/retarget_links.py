"""Add and remove links between actions and shape keys by hand."""

from __future__ import annotations

from typing import Any

import bpy

from ..retarget import properties, targets
from ..vendor import face_actions
from .on_target import OnTarget


class FLOWFACE_OT_retarget_link_add(OnTarget, bpy.types.Operator):  # type: ignore[misc]
    """Add a link from an action to a shape key; a key can have several, and so can an action"""

    bl_idname = "flowface.retarget_link_add"
    bl_label = "Add Link"

    action: bpy.props.StringProperty(name="Action", options={"SKIP_SAVE"})  # type: ignore[valid-type]

    def execute(self, context: Any) -> set[str]:
        """Add one from the first action that moves nothing, unless another was said."""
        target = targets.chosen(context.scene)
        unmapped = properties.mapping_of(target).unmapped()
        with properties.as_one_edit(context.scene):
            target.keys.add().action = self.action or next(iter(unmapped), face_actions.ARKIT_ACTIONS[0])
        target.active_key = len(target.keys) - 1
        return {"FINISHED"}


class FLOWFACE_OT_retarget_link_remove(OnTarget, bpy.types.Operator):  # type: ignore[misc]
    """Remove the link"""

    bl_idname = "flowface.retarget_link_remove"
    bl_label = "Remove Link"

    def execute(self, context: Any) -> set[str]:
        """Remove the one that is chosen in the table."""
        target = targets.chosen(context.scene)
        if targets.link_of(target) is None:
            return {"CANCELLED"}
        with properties.as_one_edit(context.scene):
            target.keys.remove(target.active_key)
        target.active_key = max(0, min(target.active_key, len(target.keys) - 1))
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_retarget_link_add, FLOWFACE_OT_retarget_link_remove)
