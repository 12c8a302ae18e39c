"""Add characters that follow the take."""

from __future__ import annotations

from typing import Any

import bpy

from ..retarget import source, targets
from ..retarget.drive import CannotDrive
from ..scene import ownership, takes


class FLOWFACE_OT_retarget_add(bpy.types.Operator):  # type: ignore[misc]
    """Add the selected meshes and armatures to the characters that follow the take"""

    bl_idname = "flowface.retarget_add"
    bl_label = "Add Character"
    bl_options = {"UNDO"}  # noqa: RUF012 - Blender reads it from the class

    @classmethod
    def poll(cls, context: Any) -> bool:
        """A mesh or an armature must be selected that is no part of a take."""
        if not targets.candidates(context):
            cls.poll_message_set("Select the mesh whose shape keys, or the armature whose bones, are to follow")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        """Add them, as followers of the recording that is selected with them, else of the take that is shown."""
        take, recordings = takes.shown_take(context), source.recordings_of(context.scene)
        head = ownership.member(take, ownership.HEAD) if take is not None else next(iter(recordings), None)
        head = next((recording for recording in recordings if recording.select_get()), head)
        added, problem = 0, ""
        for obj in targets.candidates(context):
            try:
                targets.add(context.scene, obj, head)
                added += 1
            except CannotDrive as reason:
                problem = str(reason)
        if problem:
            self.report({"WARNING"}, problem)
        return {"FINISHED"} if added else {"CANCELLED"}


CLASSES = (FLOWFACE_OT_retarget_add,)
