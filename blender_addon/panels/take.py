"""The part of the panel that speaks of a take that is built: how well it is known, and its views."""

from __future__ import annotations

from typing import Any

import bpy

from .. import iris, session
from ..live_capture import holding, takes_live
from ..on_take import OnTake
from ..scene import confidence, materials, takes
from ..scene import versions_of_take as versions
from ..scene.ownership import HEAD
from .retarget_out import draw_formats
from .sidebar import InMainPanel
from .text import draw_text


class FLOWFACE_PT_take(OnTake, InMainPanel, bpy.types.Panel):  # type: ignore[misc]
    """Error and uncertainty of the take where the playhead stands."""

    bl_idname = "FLOWFACE_PT_take"
    bl_label = "Take"

    def draw(self, context: Any) -> None:
        """The frame in words, the views, and the way to low-confidence ranges."""
        take, frame = takes.shown_take(context), context.scene.frame_current
        known = confidence.confidence_of(take)
        self.layout.label(text=take.name, icon="OUTLINER_COLLECTION")
        text = known.sentence(frame) if known is not None else _why_unknown(take)
        draw_text(self.layout, text, context.region.width)
        if known is not None:
            if len(known.views) > 1:
                _draw_views(self.layout, context, known, frame)
            row = self.layout.row(align=True)
            row.label(text="Low Confidence")
            row.operator("flowface.next_low_confidence", text="", icon="TRIA_LEFT").backwards = True
            row.operator("flowface.next_low_confidence", text="", icon="TRIA_RIGHT")
            self.layout.operator("flowface.worst_frame", icon="ERROR")
        _draw_iris(self.layout, take.get(HEAD))
        draw_export(self.layout)
        if take.get(HEAD) is not None:
            draw_formats(self.layout, "Export Head, Animated", take[HEAD])


def _why_unknown(take: Any) -> str:
    version = versions.current(take)
    if holding.HELD in take:
        return "It is live: its keys are back when the live session is stopped."
    if version is not None and takes_live.recording_of(take, version.number) is not None:
        return "It was recorded live, and nobody measured its error."
    return "Its armature, or the armature's Action, was deleted."


def draw_export(layout: Any) -> None:
    """The formats that the backend lists, in a menu; what happens while a take is being exported."""
    now = session.current()
    if now.exporting is not None:
        layout.label(text=f"Exporting: {now.exporting.stage}", icon="SORTTIME")
    elif now.exports:
        layout.operator_menu_enum("flowface.export", "format", text="Export", icon="EXPORT")


def _draw_iris(layout: Any, head: Any) -> None:
    material = materials.iris_of(head) if head is not None else None
    if material is not None:
        layout.prop(material, iris.NAME, text="Iris")


def _draw_views(layout: Any, context: Any, known: confidence.Confidence, frame: int) -> None:
    column = layout.column(align=True)
    for view, curve in known.views:
        row = column.row(align=True)
        row.label(text=f"{view.name}: {_error(curve, frame)}" if known.is_pictured(frame) else view.name)
        button = row.row(align=True)
        button.enabled = view.camera is not None
        shown = view.camera is not None and view.camera == context.scene.camera
        icon = "OUTLINER_OB_CAMERA" if shown else "CAMERA_DATA"
        button.operator("flowface.look_through", text="", icon=icon, depress=shown).view = view.name


def _error(curve: confidence.Curve | None, frame: int) -> str:
    error = curve.at(frame) if curve is not None else None
    return f"{error:.1f} %" if error is not None else "not seen"


CLASSES = (FLOWFACE_PT_take,)
