"""The part of the panel for judging a take: what is seen and heard of its footage."""

from __future__ import annotations

from typing import Any

import bpy

from ..scene import takes


class FLOWFACE_PT_see(bpy.types.Panel):  # type: ignore[misc]
    """The footage beside the take."""

    bl_idname = "FLOWFACE_PT_see"
    bl_label = "See"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "FlowFace"
    bl_parent_id = "FLOWFACE_PT_main"

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be a take."""
        return takes.shown_take(context) is not None

    def draw(self, _context: Any) -> None:
        """What can be set."""
        self.layout.operator("flowface.add_sound", icon="SOUND")


CLASSES = (FLOWFACE_PT_see,)
