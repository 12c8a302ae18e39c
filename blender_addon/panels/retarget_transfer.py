"""The part of the panel that makes shape keys for a mesh that has none."""

from __future__ import annotations

from typing import Any

import bpy

from .. import building, transferring
from ..retarget import face_mesh
from ..vendor import messages as m
from .retarget import PARENT
from .sidebar import InSidebar
from .text import draw_text


class FLOWFACE_PT_retarget_transfer(InSidebar, bpy.types.Panel):  # type: ignore[misc]
    """Shape keys for the active mesh."""

    bl_idname = "FLOWFACE_PT_retarget_transfer"
    bl_label = "Make Shape Keys"
    bl_parent_id = PARENT
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012 - Blender reads it from the class

    def draw(self, context: Any) -> None:
        """The button or the progress, and the sheet."""
        obj, width = context.active_object, context.region.width
        if transferring.current() is not None:
            draw_progress(self.layout, context)
            return
        reason = face_mesh.why_not(obj)
        if reason:
            draw_text(self.layout, f"{reason}.", width, "INFO")
        else:
            lacking = len(face_mesh.missing(obj))
            words = "the 52 actions" if lacking == 52 else f"{lacking} of the 52 actions"
            draw_text(self.layout, f"“{obj.name}” has no shape keys for {words}.", width)
            self.layout.operator("flowface.make_shape_keys", icon="SHAPEKEY_DATA")
        if obj is not None and bpy.data.images.get(face_mesh.sheet_name(obj)) is not None:
            self.layout.operator("flowface.show_sheet", icon="IMAGE_DATA")


def draw_progress(layout: Any, context: Any) -> None:
    """How far the shape keys are that are being made; nothing where none are."""
    transfer = transferring.current()
    if transfer is None:
        return
    ready = transfer.deltas is not None
    text = (building.waits_for(context) or transfer.stage) if ready else transfer.stage
    layout.progress(factor=transfer.fraction, type="BAR", text=f"{transfer.fraction:.0%}")
    draw_text(layout, f"Shape keys of “{transfer.object}”: {text}", context.region.width)
    layout.operator("flowface.cancel_shape_keys", icon="CANCEL")


class FLOWFACE_PT_face_points(InSidebar, bpy.types.Panel):  # type: ignore[misc]
    """Points of the face that a user marks where it is not recognised."""

    bl_idname = "FLOWFACE_PT_face_points"
    bl_label = "Face Points by Hand"
    bl_parent_id = "FLOWFACE_PT_retarget_transfer"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012 - Blender reads it from the class

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Of a mesh that can get shape keys."""
        return not face_mesh.why_not(context.active_object)

    def draw(self, context: Any) -> None:
        """A row for each point."""
        marked = face_mesh.points_of(context.active_object)
        words = "Only where no face is found: select a vertex in Edit Mode and mark it. Left is the character's left."
        draw_text(self.layout, words, context.region.width, "INFO")
        column = self.layout.column(align=True)
        for name in m.FACE_POINTS:
            row = column.row(align=True)
            icon = "CHECKMARK" if name in marked else "DOT"
            row.operator("flowface.mark_face_point", text=name.capitalize(), icon=icon).name = name
            if name in marked:
                clear = row.operator("flowface.mark_face_point", text="", icon="X")
                clear.name, clear.clear = name, True


def in_shape_key_menu(menu: Any, _context: Any) -> None:
    """The button also where Blender's own commands for shape keys are: no take is needed for it."""
    menu.layout.separator()
    menu.layout.operator("flowface.make_shape_keys", text="Make the 52 ARKit Shape Keys", icon="SHAPEKEY_DATA")


def show_in_menus() -> None:
    """Add to Blender's menus."""
    bpy.types.MESH_MT_shape_key_context_menu.append(in_shape_key_menu)


def hide_in_menus() -> None:
    """Take it back."""
    bpy.types.MESH_MT_shape_key_context_menu.remove(in_shape_key_menu)


CLASSES = (FLOWFACE_PT_retarget_transfer, FLOWFACE_PT_face_points)
