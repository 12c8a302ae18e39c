"""Draws over the footage, where a viewport looks through the camera of a take."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from . import gpu_lines, grades, take_properties
from .scene import error_on_head, picture_lines
from .scene import ownership as replace
from .scene.landmarks import landmarks_at

F64 = NDArray[np.float64]

WIRE_COLOUR = (1.0, 1.0, 1.0, 0.35)
WIRE_WIDTH, LINE_WIDTH, DOT = 1.0, 1.5, 2.5
"""Pixels at the interface's scale of 1; of a dot the half of its width."""
NEARER = 0.002
"""Of the way to the viewport's eye: by how much colours are before the surface that they are of."""

_handlers: list[Any] = []


def start() -> None:
    """Draw in all 3D viewports from now on."""
    for draw, when in ((_draw, "POST_PIXEL"), (_draw_errors, "POST_VIEW")):
        _handlers.append(bpy.types.SpaceView3D.draw_handler_add(draw, (), "WINDOW", when))


def stop() -> None:
    """Draw no more."""
    while _handlers:
        bpy.types.SpaceView3D.draw_handler_remove(_handlers.pop(), "WINDOW")


def _draw_errors() -> None:
    """The errors on the heads, seen from anywhere."""
    context = bpy.context
    if context.region_data is None or not context.space_data.overlay.show_overlays:
        return
    for take in replace.takes_of(context.scene):
        if not getattr(take, take_properties.ERROR) or take.hide_viewport:
            continue
        posed = picture_lines.posed_head(replace.member(take, replace.HEAD), context.evaluated_depsgraph_get())
        errors = error_on_head.errors_of(posed.mesh) if posed is not None else None
        if posed is None or errors is None:
            continue
        place = np.array(context.region_data.view_matrix.inverted().translation, np.float64)
        nearer = posed.points + NEARER * (place - posed.points)
        gpu_lines.surface(nearer, gpu_lines.error_colours(errors), picture_lines.known_triangles(posed.mesh, errors))


def _draw() -> None:
    context = bpy.context
    space, region = context.space_data, context.region_data
    if region is None or region.view_perspective != "CAMERA" or not space.overlay.show_overlays:
        return
    for take in replace.takes_of(context.scene):
        wire, dots = (getattr(take, name) for name in (take_properties.WIREFRAME, take_properties.LANDMARKS))
        view = next((view for view in replace.shown_views(take) if view.camera == space.camera), None)
        if (wire or dots) and not take.hide_viewport and view is not None and view.size is not None:
            _draw_take(context, take, view, wire=wire, dots=dots)


def _draw_take(context: Any, take: Any, view: replace.ShownView, *, wire: bool, dots: bool) -> None:
    depsgraph, size = context.evaluated_depsgraph_get(), (context.region.width, context.region.height)
    posed = picture_lines.posed_head(replace.member(take, replace.HEAD), depsgraph)
    if posed is None:
        return
    projection = np.array(context.region_data.perspective_matrix, np.float64)
    eye = picture_lines.eye_of(view.camera, view.size or size, depsgraph)
    scale = context.preferences.system.ui_scale
    if wire:
        places = gpu_lines.in_region(posed.points, projection, size)
        edges = places[picture_lines.visible_edges(posed, eye.place)]
        gpu_lines.lines(edges, np.tile(WIRE_COLOUR, (len(edges), 1)), WIRE_WIDTH * scale)
    known = landmarks_at(take, view.name, context.scene.frame_current_final) if dots else None
    found = picture_lines.seen_landmarks(known, posed, eye) if known is not None else None
    if found is not None:
        seen, on_head = (gpu_lines.in_region(points, projection, size) for points in (found.seen, found.on_head))
        colours = gpu_lines.GRADE_COLOURS[grades.levels(found.error, grades.ERROR_PERCENT)]
        gpu_lines.lines(np.stack([seen, on_head], axis=1), colours, LINE_WIDTH * scale)
        gpu_lines.squares(seen, colours, DOT * scale)
