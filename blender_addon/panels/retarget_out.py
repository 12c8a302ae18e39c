"""The part of the sidebar for bringing performances in and characters out."""

from __future__ import annotations

from typing import Any

import bpy

from ..retarget import targets
from ..retarget.exchange import exporters
from .sidebar import InSidebar

PARENT = "FLOWFACE_PT_retarget"


class FLOWFACE_PT_retarget_out(InSidebar, bpy.types.Panel):  # type: ignore[misc]
    """Other programs' recordings, and characters as files."""

    bl_idname = "FLOWFACE_PT_retarget_out"
    bl_label = "Import and Export"
    bl_parent_id = PARENT
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012 - Blender reads it from the class

    def draw(self, context: Any) -> None:
        """Live Link Face both ways, and the chosen character by Blender's exporters."""
        target = targets.chosen(context.scene)
        row = self.layout.row(align=True)
        row.operator("flowface.import_live_link", text="Live Link Face", icon="IMPORT")
        row.operator("flowface.export_live_link", text="Live Link Face", icon="EXPORT")
        if target is not None and target.object is not None:
            draw_formats(self.layout, f"Export “{target.object.name}”, Animated", target.object)


def draw_formats(layout: Any, text: str, obj: Any) -> None:
    """The formats in which an object leaves Blender with its animation."""
    column = layout.column(align=True)
    column.label(text=text)
    row = column.row(align=True)
    for one in exporters.FORMATS:
        button = row.operator("flowface.export_character", text=one.title)
        button.format, button.character = one.name, obj.name


CLASSES = (FLOWFACE_PT_retarget_out,)
