"""Bring a take's head motion to the head, its neck bone or its cameras."""

from __future__ import annotations

from typing import Any

import bpy

from ..scene import ghost, head_motion, ownership, takes


class FLOWFACE_OT_take_head_motion(bpy.types.Operator):  # type: ignore[misc]
    """Choose where the motion of the head is; what the take's cameras see stays the same"""

    bl_idname = "flowface.take_head_motion"
    bl_label = "Head Motion"
    bl_options = {"UNDO"}  # noqa: RUF012 - Blender reads it from the class

    where: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Head Motion",
        items=head_motion.PLACES,
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be a take, and no bone may be edited."""
        if context.mode not in ("OBJECT", "POSE"):
            cls.poll_message_set("Go to Object Mode first")
            return False
        take = takes.shown_take(context)
        if take is not None and take.library is not None:
            cls.poll_message_set("The take is linked from another file")
            return False
        return take is not None

    def execute(self, context: Any) -> set[str]:
        """Bring it there, or say why not."""
        take = takes.shown_take(context)
        try:
            head_motion.move(take, self.where)
        except head_motion.CannotMove as problem:
            self.report({"WARNING"}, str(problem))
            return {"CANCELLED"}
        if self.where != head_motion.HEAD:  # a ghost's motion is on its own head, under the take's root
            for one in ownership.family_of(take) if self.where == head_motion.CAMERA else [take]:
                ghost.remove(one)
        context.scene.frame_set(context.scene.frame_current)
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_take_head_motion,)
