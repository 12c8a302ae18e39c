"""The parts of the panel above Track that fold away: further views and their cameras, and options."""

from __future__ import annotations

from typing import Any

import bpy

from .. import footage_paths, session, solve_options
from ..vendor import options


class FLOWFACE_UL_views(bpy.types.UIList):  # type: ignore[misc]
    """Further views: their names and what they filmed."""

    def draw_item(
        self,
        _context: Any,
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
        row.prop(item, "name", text="", emboss=False, icon="CAMERA_DATA")
        file = row.row()
        file.alignment = "RIGHT"
        file.enabled = False
        file.label(text=bpy.path.basename(item.footage) or "no footage")


def draw_footage(layout: Any, row_of: Any, view: str = "", text: str | None = "") -> None:
    """The field of a view's footage, and beside it what is in the file already. ``text`` None is the field's own."""
    row = layout.row(align=True)
    row.prop(row_of, "footage", **({} if text is None else {"text": text}))
    if footage_paths.footage_in_file():
        row.operator_menu_enum("flowface.footage_pick", "source", text="", icon="FILE_MOVIE").view = view


def draw_views(layout: Any, chosen: Any) -> None:
    """Further cameras, folded away until wanted."""
    header, body = layout.panel("flowface_views", default_closed=True)
    count = len(chosen.views)
    known = ", from the scene" if chosen.cameras == "SCENE" else ""
    header.label(text=f"Cameras: {count + 1}{known}")
    if body is None:
        return
    if count:
        _draw_list(body, chosen)
    else:
        body.operator("flowface.view_add", text="Add Footage of Further Cameras", icon="ADD")
    if 0 <= chosen.active_view < count:
        _draw_view(body, chosen.views[chosen.active_view])
    body.row().prop(chosen, "cameras", expand=True)
    if chosen.cameras == "SCENE":
        _draw_scene_cameras(body, chosen)


def _draw_list(layout: Any, chosen: Any) -> None:
    count = len(chosen.views)
    row = layout.row()
    row.template_list("FLOWFACE_UL_views", "", chosen, "views", chosen, "active_view", rows=2 if count < 3 else 4)
    buttons = row.column(align=True)
    buttons.operator("flowface.view_add", text="", icon="ADD")
    buttons.operator("flowface.view_remove", text="", icon="REMOVE")


def _draw_view(layout: Any, view: Any) -> None:
    column = layout.column()
    column.use_property_split, column.use_property_decorate = True, False
    draw_footage(column, view, view.name, text=None)
    column.prop(view, "offset")
    draw_frame_rate(column, view)
    draw_lens(column, view)
    _draw_face(column, view, view.name)


def _draw_face(column: Any, row_of: Any, name: str) -> None:
    column.prop(row_of, "face")
    if row_of.face == "POINT":
        row = column.row(align=True)
        row.prop(row_of, "face_point", text="Pixels")
        row.operator("flowface.pick_face", text="", icon="EYEDROPPER").view = name
        column.prop(row_of, "face_frame")


def _draw_further_faces(column: Any, chosen: Any) -> None:
    """All faces, or those picked besides the first; of footage of one camera only."""
    if len(chosen.views):
        return
    column.prop(chosen, "all_faces")
    if chosen.face != "POINT" or chosen.all_faces:
        return
    for index, face in enumerate(chosen.faces):
        row = column.row(align=True)
        row.prop(face, "face_point", text=f"Head {index + 2}")
        row.operator("flowface.face_remove", text="", icon="X").index = index
        column.prop(face, "face_frame")
    column.operator("flowface.pick_face", text="Pick a Further Face", icon="ADD").further = True


def draw_frame_rate(layout: Any, view: Any) -> None:
    """The rate at which a view was shot, where its file does not know."""
    solve_options.draw_open(layout, "Frame Rate", view, "frame_rate")


def draw_lens(layout: Any, view: Any) -> None:
    """The lens that filmed a view, in millimetres, where it is known."""
    solve_options.draw_open(layout, "Lens (mm)", view, "focal_mm")
    if view.use_focal_mm:
        layout.prop(view, "sensor_mm", text="Sensor (mm)")


def _draw_scene_cameras(layout: Any, chosen: Any) -> None:
    column = layout.column()
    column.use_property_split, column.use_property_decorate = True, False
    column.prop(chosen, "camera", text="Main Footage", icon="CAMERA_DATA")
    for view in chosen.views:
        column.prop(view, "camera", text=view.name, icon="CAMERA_DATA")
    known = sum(view.camera is not None for view in (chosen, *chosen.views))
    if known > 1:
        column.prop(chosen, "cameras_to_scale")


def draw_options(layout: Any, chosen: Any) -> None:
    """Draw the settings that are rarely changed."""
    header, body = layout.panel("flowface_options", default_closed=True)
    header.label(text="Options")
    if body is None:
        return
    column = body.column()
    column.use_property_split, column.use_property_decorate = True, False
    _draw_face(column, chosen, "")
    _draw_further_faces(column, chosen)
    if len(session.current().aligners) > 1:
        column.prop(chosen, "aligner")
    solve_options.draw(column, options.SolveOptions, chosen)
    column.prop(chosen, "neutral_head")
    if chosen.neutral_head is None:
        column.prop(chosen, "neutral_from")
    _draw_neutral_frames(column, chosen)
    draw_frame_rate(column, chosen)
    draw_lens(column, chosen)
    column.prop(chosen, "match_scene", text="Match Scene")


def _draw_neutral_frames(column: Any, chosen: Any) -> None:
    row = column.row(heading="Neutral Frames", align=True)
    row.prop(chosen, "use_neutral_frames", text="")
    numbers = row.row(align=True)
    numbers.enabled = chosen.use_neutral_frames
    numbers.prop(chosen, "neutral_first", text="")
    numbers.prop(chosen, "neutral_last", text="")
    row.operator("flowface.mark_neutral", text="", icon="MARKER_HLT")
    row.operator("flowface.clear_neutral", text="", icon="X")


CLASSES = (FLOWFACE_UL_views,)
