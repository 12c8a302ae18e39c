"""The part of the panel for correcting a take: pins, masks, held keys, and Refine."""

from __future__ import annotations

from typing import Any

import bpy

from .. import refining, session
from ..on_take import OnTake
from ..scene import corrections, held, takes
from ..scene.footage_frames import footage_frames
from ..scene.ownership import shown_views
from .sidebar import InSidebar
from .text import draw_text

ROWS = 2


class _List:
    """A list whose rows say what they are, and on which of the footage's frames."""

    def draw_item(
        self,
        context: Any,
        layout: Any,
        _data: Any,
        item: Any,
        _icon: int,
        _active_data: Any,
        _active_property: str,
        _index: int = 0,
        _flags: int = 0,
    ) -> None:
        """A row of the list."""
        row = layout.row(align=True)
        self.draw_name(row, item)
        words = row.row()
        words.alignment, words.active = "RIGHT", False
        words.label(text=self.where(item, len(_views(context)) > 1))

    def draw_name(self, row: Any, item: Any) -> None:
        """What it is."""
        row.prop(item, "name", text="", emboss=False, icon=self.icon)  # type: ignore[attr-defined]

    def where(self, item: Any, several_views: bool) -> str:
        """Frame, and view where there are several."""
        raise NotImplementedError


def _views(context: Any) -> list[Any]:
    """The views of the take that is meant."""
    take = takes.shown_take(context)
    return shown_views(take) if take is not None else []


class FLOWFACE_UL_pins(_List, bpy.types.UIList):  # type: ignore[misc]
    """Pins."""

    icon = "PINNED"

    def where(self, item: Any, several_views: bool) -> str:
        """Its frame and view."""
        return f"{item.frame}, {item.view}" if several_views else str(item.frame)


class FLOWFACE_UL_masks(_List, bpy.types.UIList):  # type: ignore[misc]
    """Masks."""

    icon = "MOD_MASK"

    def where(self, item: Any, several_views: bool) -> str:
        """Its frames and view."""
        frames = str(item.first) if item.first == item.last else f"{item.first}–{item.last}"
        frames = "all" if item.all_frames else frames
        return f"{frames}, {item.view}" if several_views else frames


class FLOWFACE_UL_held_keys(_List, bpy.types.UIList):  # type: ignore[misc]
    """Held keys."""

    def draw_name(self, row: Any, item: Any) -> None:
        """The channel and its value."""
        row.label(text=held.title(item.channel, item.value), icon="KEYFRAME_HLT")

    def where(self, item: Any, several_views: bool) -> str:  # noqa: ARG002
        """Its frame."""
        return str(item.frame)


class FLOWFACE_PT_correct(OnTake, InSidebar, bpy.types.Panel):  # type: ignore[misc]
    """What the user knows better than the track."""

    bl_idname = "FLOWFACE_PT_correct"
    bl_label = "Correct"
    bl_parent_id = "FLOWFACE_PT_take"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012 - Blender reads it from the class

    def draw_header_preset(self, context: Any) -> None:
        """Whether they are drawn in viewports."""
        kept = corrections.corrections_of(takes.shown_take(context))
        icon = "HIDE_OFF" if kept.show else "HIDE_ON"
        self.layout.prop(kept, "show", text="", icon=icon, emboss=False)

    def draw(self, context: Any) -> None:
        """The lists, and Refine."""
        take = takes.shown_take(context)
        kept, frames = corrections.corrections_of(take), footage_frames(take)
        number = frames.number_at(context.scene.frame_current) if frames is not None else None
        shown = f"Frame {number} of the footage" if number is not None else "No frame of the take is shown"
        self.layout.label(text=shown, icon="TIME")
        _draw_pins(self.layout, kept)
        _draw_masks(self.layout, kept)
        _draw_keys(self.layout, kept)
        row = self.layout.row()
        row.scale_y = 1.3
        row.operator("flowface.refine", icon="FILE_REFRESH")
        reason = refining.missing(take) or session.current().cannot_refine
        if reason:
            draw_text(self.layout, f"{reason}.", context.region.width, "INFO")


def _draw_pins(layout: Any, kept: Any) -> None:
    layout.operator("flowface.pin_add", icon="PINNED")
    if not len(kept.pins):
        return
    row = layout.row()
    row.template_list("FLOWFACE_UL_pins", "", kept, "pins", kept, "active_pin", rows=ROWS)
    buttons = row.column(align=True)
    buttons.operator("flowface.pin_go", text="", icon="VIEWZOOM")
    buttons.operator("flowface.pin_move", text="", icon="ARROW_LEFTRIGHT")
    buttons.operator("flowface.pin_remove", text="", icon="X")
    if 0 <= kept.active_pin < len(kept.pins):
        pin = kept.pins[kept.active_pin]
        row = layout.row(align=True)
        row.prop(pin, "position", index=0, text="X")
        row.prop(pin, "position", index=1, text="Y")
        row.prop(pin, "sigma_px", text="±")


def _draw_masks(layout: Any, kept: Any) -> None:
    row = layout.row(align=True)
    row.operator("flowface.mask_draw", icon="MOD_MASK")
    row.operator("flowface.mask_add")
    if not len(kept.masks):
        return
    row = layout.row()
    row.template_list("FLOWFACE_UL_masks", "", kept, "masks", kept, "active_mask", rows=ROWS)
    buttons = row.column(align=True)
    buttons.operator("flowface.mask_go", text="", icon="VIEWZOOM")
    buttons.operator("flowface.mask_remove", text="", icon="X")
    if 0 <= kept.active_mask < len(kept.masks):
        mask = kept.masks[kept.active_mask]
        row = layout.row(align=True)
        frames = row.row(align=True)
        frames.enabled = not mask.all_frames
        frames.prop(mask, "first", text="")
        frames.prop(mask, "last", text="")
        row.prop(mask, "all_frames", toggle=True, text="All")
        if len(mask.polygon):
            layout.prop(mask, "follows")


def _draw_keys(layout: Any, kept: Any) -> None:
    layout.operator("flowface.hold_frame", icon="KEYFRAME_HLT")
    if not len(kept.held_keys):
        return
    row = layout.row()
    row.template_list("FLOWFACE_UL_held_keys", "", kept, "held_keys", kept, "active_key", rows=ROWS)
    buttons = row.column(align=True)
    buttons.operator("flowface.held_key_go", text="", icon="VIEWZOOM")
    buttons.operator("flowface.held_key_remove", text="", icon="X")


CLASSES = (FLOWFACE_UL_pins, FLOWFACE_UL_masks, FLOWFACE_UL_held_keys, FLOWFACE_PT_correct)
