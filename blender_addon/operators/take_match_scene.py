"""Give the scene the size, rate, range and camera of a take."""

from __future__ import annotations

from typing import Any

import bpy

from ..on_take import OnTake
from ..scene import takes
from ..scene.build import look_through_camera, match_take


class FLOWFACE_OT_take_match_scene(OnTake, bpy.types.Operator):  # type: ignore[misc]
    """Set the scene's resolution, frame rate, frame range and camera to those of this take"""

    bl_idname = "flowface.take_match_scene"
    bl_label = "Match Scene"
    bl_options = {"UNDO"}  # noqa: RUF012 - Blender reads it from the class

    def execute(self, context: Any) -> set[str]:
        """Set them, and look through the camera."""
        match_take(context.scene, takes.shown_take(context))
        if context.screen is not None:
            look_through_camera([context.screen])
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_take_match_scene,)
