"""Use Weights: put the name of adapted weights into the options of the solve."""

from __future__ import annotations

from typing import Any

import bpy

from .. import choices, settings


class FLOWFACE_OT_use_weights(bpy.types.Operator):  # type: ignore[misc]
    """Use weights that “flowface adapt” has made for an actor and a camera"""

    bl_idname = "flowface.use_weights"
    bl_label = "Adapted Weights"
    bl_options = {"REGISTER", "UNDO", "INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    weights: bpy.props.EnumProperty(name="Weights", items=choices.weights_items)  # type: ignore[valid-type]

    def execute(self, context: Any) -> set[str]:
        """Set the option."""
        settings.of(context.scene).weights = "" if self.weights == choices.OWN_WEIGHTS else self.weights
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_use_weights,)
