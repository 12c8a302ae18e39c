"""Take a character off the list of those that follow a take."""

from __future__ import annotations

from typing import Any

import bpy

from ..retarget import targets
from .on_target import OnTarget


class FLOWFACE_OT_retarget_remove(OnTarget, bpy.types.Operator):  # type: ignore[misc]
    """Take the character off the list. It gets back what it had: its Action, its drivers, its values"""

    bl_idname = "flowface.retarget_remove"
    bl_label = "Remove Character"

    keep_baked: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Keep Baked Keys",
        description="Leave it the Action that was baked; drivers of its own, which would hide the keys, stay off",
        options={"SKIP_SAVE"},
    )

    def invoke(self, context: Any, _event: Any) -> set[str]:
        """Ask where something was baked."""
        if targets.chosen(context.scene).baked is None:
            return self.execute(context)
        return set(context.window_manager.invoke_props_dialog(self, confirm_text="Remove"))

    def execute(self, context: Any) -> set[str]:
        """Remove it."""
        scene = context.scene
        targets.remove(scene, targets.settings_of(scene).active, keep_baked=self.keep_baked)
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_retarget_remove,)
