"""The part of the panel for a take's curves: layers over them, bakes, and fewer keys."""

from __future__ import annotations

from typing import Any

import bpy

from .. import curve_properties as curves
from ..on_take import OnTake
from ..scene import ownership, shape, takes
from ..scene.curve_layers import bake, regions
from .sidebar import InSidebar
from .text import draw_text


class FLOWFACE_PT_curves(OnTake, InSidebar, bpy.types.Panel):  # type: ignore[misc]
    """Layers over the curves of the take's version."""

    bl_idname = "FLOWFACE_PT_curves"
    bl_label = "Curves"
    bl_parent_id = "FLOWFACE_PT_take"
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012 - Blender reads it from the class

    def draw_header(self, context: Any) -> None:
        """All layers on or off, to compare."""
        self.layout.prop(takes.shown_take(context), curves.ON, text="")

    def draw(self, context: Any) -> None:
        """Regions, one action, the whole face, and what can be made of it."""
        take = takes.shown_take(context)
        head = ownership.member(take, ownership.HEAD)
        names = shape.built_names(head.data) if head is not None else []
        column = self.layout.column()
        column.active = getattr(take, curves.ON)
        _draw_regions(column, take, names)
        if head is not None and head.data.shape_keys is not None:
            _draw_action(column, take, head.data.shape_keys, context.region.width)
        _draw_face(column, take)
        self.layout.operator("flowface.curves_reset", icon="LOOP_BACK")
        _draw_bake(self.layout, take)


def _split(layout: Any) -> Any:
    column = layout.column()
    column.use_property_split, column.use_property_decorate = True, False
    return column


def _draw_regions(layout: Any, take: Any, names: list[str]) -> None:
    """A row for each region, with its sliders where it is open."""
    column = layout.column(align=True)
    there = {regions.region_of(name) for name in names} | {regions.POSE, regions.GAZE}
    for region, title in regions.REGIONS:
        if region not in there:
            continue
        row = column.row(align=True)
        is_open = getattr(take, curves.layer_property(region, curves.OPEN))
        icon = "DOWNARROW_HLT" if is_open else "RIGHTARROW"
        row.prop(take, curves.layer_property(region, curves.OPEN), text="", icon=icon, emboss=False)
        label = row.row()
        label.label(text=f"{title}{' *' if curves.has_layer(take, region) else ''}")
        _draw_mute(row, take, region)
        if is_open:
            _draw_layer(column, take, region)


def _draw_mute(row: Any, take: Any, region: str) -> None:
    name = curves.layer_property(region, curves.MUTE)
    row.prop(take, name, text="", icon="HIDE_ON" if getattr(take, name) else "HIDE_OFF", emboss=False)


def _draw_layer(layout: Any, take: Any, region: str) -> None:
    column = _split(layout.box())
    column.prop(take, curves.layer_property(region, curves.SMOOTHING))
    column.prop(take, curves.layer_property(region, curves.GAIN))
    if region == regions.GAZE:
        column.prop(take, curves.YAW)
        column.prop(take, curves.PITCH)
    elif region != regions.POSE:
        column.prop(take, curves.layer_property(region, curves.OFFSET))


def _draw_action(layout: Any, take: Any, keys: Any, width: int) -> None:
    """One action's own layer, and which actions have one."""
    layout.separator()
    row = _split(layout).row(align=True)
    row.prop_search(take, curves.ACTION, keys, "key_blocks", icon="SHAPEKEY_DATA")
    if getattr(take, curves.ACTION):
        _draw_mute(row, take, curves.ONE)
        _draw_layer(layout, take, curves.ONE)
    own = sorted(curves.of(take).by_action)
    if own:
        draw_text(layout, f"Own layers: {', '.join(own)}", width)


def _draw_face(layout: Any, take: Any) -> None:
    layout.separator()
    column = _split(layout)
    column.prop(take, curves.KEEP_FAST)
    column.prop(take, curves.SYMMETRY)
    row = column.row()
    row.active = getattr(take, curves.SYMMETRY) > 0
    row.prop(take, curves.SYMMETRY_FROM, expand=True)
    column.prop(take, curves.ZERO)
    if getattr(take, curves.ZERO):
        row = column.row(align=True)
        row.prop(take, curves.ZERO_FIRST, text="From, To")
        row.prop(take, curves.ZERO_LAST, text="")


def _draw_bake(layout: Any, take: Any) -> None:
    column = layout.column(align=True)
    column.operator("flowface.curves_bake", icon="ACTION")
    row = column.row(align=True)
    row.operator("flowface.curves_thin_out", icon="IPO_BEZIER")
    row.prop(take, curves.ERROR, text="mm")
    layout.label(text=f"{bake.count_keys(take):,} keys")


CLASSES = (FLOWFACE_PT_curves,)
