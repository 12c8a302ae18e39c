"""The parts of the sidebar for seeing characters beside their footage."""

from __future__ import annotations

from typing import Any

import bpy

from .. import building
from ..retarget import properties
from ..retarget.preview import side_by_side
from .sidebar import InSidebar
from .text import draw_text

PARENT = "FLOWFACE_PT_retarget"


class FLOWFACE_PT_retarget_preview(InSidebar, bpy.types.Panel):  # type: ignore[misc]
    """From a scene to its preview."""

    bl_idname = "FLOWFACE_PT_retarget_preview"
    bl_label = "Preview"
    bl_parent_id = PARENT

    def draw(self, context: Any) -> None:
        """What opens and writes it."""
        _draw(self.layout, context.scene, side_by_side.preview_of(context.scene) is not None, context.region.width)


class FLOWFACE_PT_previewed(InSidebar, bpy.types.Panel):  # type: ignore[misc]
    """The same within a preview, where there is neither a take nor a character."""

    bl_idname = "FLOWFACE_PT_previewed"
    bl_label = "Preview"
    bl_order = -1

    @classmethod
    def poll(cls, context: Any) -> bool:
        """This scene is a preview."""
        return side_by_side.is_preview(context.scene)

    def draw(self, context: Any) -> None:
        """What makes it anew, writes it and leaves it."""
        home = side_by_side.shown_scene(context.scene)
        if home is None:
            draw_text(self.layout, "The scene that was previewed here was deleted.", context.region.width)
            self.layout.operator("flowface.retarget_preview_close", icon="X")
            return
        _draw(self.layout, home, True, context.region.width)


def _draw(layout: Any, home: Any, there: bool, width: int) -> None:
    settings = getattr(home, properties.NAME)
    column = layout.column()
    column.use_property_split, column.use_property_decorate = True, False
    column.prop(settings, "preview_still")
    column.prop(settings, "playblast_height")
    row = layout.row(align=True)
    row.operator("flowface.retarget_preview", text="Refresh" if there else "Preview", icon="VIEW_CAMERA")
    if there:
        row.operator("flowface.retarget_preview_close", text="", icon="X")
    layout.operator("flowface.retarget_playblast", icon="RENDER_ANIMATION")
    if building.rendering():
        draw_text(layout, "Blender is rendering: Esc or the cross in the status bar cancels.", width, "INFO")


CLASSES = (FLOWFACE_PT_retarget_preview, FLOWFACE_PT_previewed)
