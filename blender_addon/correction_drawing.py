"""Draws a take's pins and masks over its picture, in viewports that look through one of its cameras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from . import gpu_lines
from .in_picture import Picture, picture_of
from .scene import carried, corrections, surface, takes
from .scene import ownership as replace

F64 = NDArray[np.float64]
Colour = tuple[float, float, float, float]

PIN, CHOSEN, MASK, SHADE = (1.0, 0.55, 0.1, 1.0), (1.0, 1.0, 1.0, 1.0), (0.2, 0.7, 1.0, 1.0), (0.0, 0.0, 0.0, 0.6)
DOT, RING, WIDTH = 3.5, 6.0, 1.5
"""Half the width of the dot where a point belongs, the radius of the ring about the point itself, and the width of
lines, in pixels at the interface's scale of 1."""
AROUND = np.stack([f(np.linspace(0, 2 * np.pi, 24, endpoint=False)) for f in (np.cos, np.sin)], axis=1)


@dataclass(frozen=True)
class Dragged:
    """A pin that is being dragged: a new one, or the take's with the number ``pin``."""

    take: str
    view: str
    number: int
    point: surface.SurfacePoint
    position: tuple[float, float]
    pin: int | None = None


@dataclass(frozen=True)
class Outlined:
    """A mask that is being drawn: corners in pixels of the picture, the last one under the mouse."""

    take: str
    view: str
    corners: tuple[tuple[float, float], ...]


dragged: Dragged | None = None
outlined: Outlined | None = None
_handle: Any = None


def watch() -> None:
    """Begin to draw."""
    global _handle
    if _handle is None and not bpy.app.background:
        _handle = bpy.types.SpaceView3D.draw_handler_add(draw, (), "WINDOW", "POST_PIXEL")


def forget() -> None:
    """Draw no more."""
    global _handle, dragged, outlined
    dragged = outlined = None
    if _handle is not None:
        bpy.types.SpaceView3D.draw_handler_remove(_handle, "WINDOW")
        _handle = None


def draw() -> None:
    """Draw what belongs to the picture that the viewport shows."""
    context = bpy.context
    take = takes.shown_take(context)
    if take is None or not context.space_data.overlay.show_overlays:
        return
    kept = corrections.corrections_of(take)
    if not (kept.show and (len(kept.pins) or len(kept.masks))) and dragged is None and outlined is None:
        return
    graph = context.view_layer.depsgraph
    picture = picture_of(context, take, graph)
    if picture is None:
        return
    scale = context.preferences.system.ui_scale
    for corners, chosen in masks_in(picture, graph):
        _line(np.concatenate([corners, corners[:1]]), CHOSEN if chosen else MASK, scale)
    for start, end, chosen in pins_in(picture, graph):
        colour = CHOSEN if chosen else PIN
        if start is not None:
            _line(np.stack([start, end]), colour, scale)
            _line(np.concatenate([AROUND, AROUND[:1]]) * RING * scale + start, colour, scale)
        _dot(end, colour, scale)


def pins_in(picture: Picture, depsgraph: Any) -> list[tuple[F64 | None, F64, bool]]:
    """Of each pin of a picture the places (2,) in the viewport of its point, where that is known, and of where it
    belongs, and whether it is the chosen one or being dragged."""
    kept = corrections.corrections_of(picture.take)
    found: list[tuple[surface.SurfacePoint, tuple[float, float], bool]] = []
    mine = dragged if dragged is not None and dragged.take == picture.take.name else None
    for index, pin in enumerate(kept.pins if kept.show else ()):
        here = (pin.view, pin.frame) == (picture.view, picture.number) and corrections.on_this_head(picture.take, pin)
        if here and (mine is None or mine.pin != index):
            point = surface.SurfacePoint(pin.triangle, tuple(pin.barycentric))
            found.append((point, tuple(pin.position), mine is None and index == kept.active_pin))
    if mine is not None and (mine.view, mine.number) == (picture.view, picture.number):
        found.append((mine.point, mine.position, True))
    if not found:
        return []
    head = replace.member(picture.take, replace.HEAD)
    places = surface.places_of(head, depsgraph, [point for point, _, _ in found]) if head is not None else None
    starts = picture.shown.to_region(picture.eye.pixels(places)) if places is not None else [None] * len(found)
    ends = picture.shown.to_region(np.array([position for _, position, _ in found]))
    return [(start, end, chosen) for start, end, (_, _, chosen) in zip(starts, ends, found, strict=True)]


def masks_in(picture: Picture, depsgraph: Any) -> list[tuple[F64, bool]]:
    """Of each mask of a picture the corners (n,2) in the viewport, and whether it is the chosen one or being drawn."""
    kept = corrections.corrections_of(picture.take)
    found = []
    for index, mask in enumerate(kept.masks if kept.show else ()):
        if mask.view == picture.view and corrections.hides(mask, picture.number):
            found.append((outline(mask, picture, depsgraph), index == kept.active_mask and outlined is None))
    if outlined is not None and (outlined.take, outlined.view) == (picture.take.name, picture.view):
        found.append((np.array(outlined.corners), True))
    return [(picture.shown.to_region(corners), chosen) for corners, chosen in found]


def outline(mask: Any, picture: Picture, depsgraph: Any) -> F64:
    """The corners (n,2) of a mask in pixels of a picture: the whole picture's of one that has none."""
    width, height = picture.size
    if not len(mask.polygon):
        return np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    if mask.follows and picture.number != mask.drawn_at:
        head = carried.head_matrix(picture.take, depsgraph)
        if head is not None:
            return carried.seen_with_head(picture.eye, head, np.array([tuple(c.place) for c in mask.polygon]))
    return np.array([tuple(corner.position) for corner in mask.polygon], np.float64)


def _line(points: F64, colour: Colour, scale: float) -> None:
    """Draw a line along places (n,2) of the region, dark at its edges."""
    ends = np.stack([points[:-1], points[1:]], axis=1)
    for width, shade in ((WIDTH + 2, SHADE), (WIDTH, colour)):
        gpu_lines.lines(ends, np.tile(shade, (len(ends), 1)), width * scale)


def _dot(place: F64, colour: Colour, scale: float) -> None:
    for half, shade in ((DOT + 1.5, SHADE), (DOT, colour)):
        gpu_lines.squares(place[None], np.array([shade]), half * scale)
