"""Mark the frames of the footage in which the face is neutral."""

from __future__ import annotations

from typing import Any

import bpy

from .. import settings
from ..scene import footage


class FLOWFACE_OT_mark_neutral(bpy.types.Operator):  # type: ignore[misc]
    """Mark the frame shown as one in which the face is neutral; marked once more, all frames between"""

    bl_idname = "flowface.mark_neutral"
    bl_label = "Mark as Neutral"
    bl_options = {"UNDO"}  # noqa: RUF012 - Blender reads it from the class

    def execute(self, context: Any) -> set[str]:
        """Mark the footage's own frame behind the scene's camera, or the scene's where none is."""
        scene = context.scene
        chosen, frame = settings.of(scene), scene.frame_current
        camera = scene.camera
        if camera is not None and camera.type == "CAMERA" and len(camera.data.background_images):
            frame = footage.shown_number(camera.data, frame)
        if frame < 0:
            self.report({"WARNING"}, "No frame of the footage is shown here: nothing was marked")
            return {"CANCELLED"}
        first, last = (chosen.neutral_first, chosen.neutral_last) if chosen.use_neutral_frames else (frame, frame)
        chosen.use_neutral_frames = True
        chosen.neutral_first, chosen.neutral_last = min(first, frame), max(last, frame)
        return {"FINISHED"}


class FLOWFACE_OT_clear_neutral(bpy.types.Operator):  # type: ignore[misc]
    """Forget the marked frames: the calmest of the take are found and used"""

    bl_idname = "flowface.clear_neutral"
    bl_label = "Clear Neutral"
    bl_options = {"UNDO"}  # noqa: RUF012 - Blender reads it from the class

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Some must be marked."""
        return bool(settings.of(context.scene).use_neutral_frames)

    def execute(self, context: Any) -> set[str]:
        """Forget them."""
        settings.of(context.scene).use_neutral_frames = False
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_mark_neutral, FLOWFACE_OT_clear_neutral)
