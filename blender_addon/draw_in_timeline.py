"""Draws how well each frame is known along the Timeline and the Dope Sheet, for the take that is meant."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from . import gpu_lines, take_properties
from .scene import confidence, confidence_strip, takes

RULER, HEIGHT = 23.0, 4.0
"""Pixels at the interface's scale of 1: of the frame numbers at the top, which Blender draws over everything, and of
the strip below them."""

_handlers: list[Any] = []


def start() -> None:
    """Draw in all Timelines and Dope Sheets from now on."""
    _handlers.append(bpy.types.SpaceDopeSheetEditor.draw_handler_add(_draw, (), "WINDOW", "POST_PIXEL"))


def stop() -> None:
    """Draw no more."""
    while _handlers:
        bpy.types.SpaceDopeSheetEditor.draw_handler_remove(_handlers.pop(), "WINDOW")


def _draw() -> None:
    context = bpy.context
    take = takes.shown_take(context)
    if take is None or not getattr(take, take_properties.STRIP):
        return
    known = confidence.confidence_of(take)
    if known is None:
        return
    found, region, scale = confidence_strip.stretches(known), context.region, context.preferences.system.ui_scale
    zero, one = (region.view2d.view_to_region(frame, 0, clip=False)[0] for frame in (0, 1000))
    across = (one - zero) / 1000  # whole pixels come back; over many frames they tell fractions
    top = region.height - RULER * scale
    left, right = zero + across * found.first, zero + across * found.last
    lowest = np.column_stack([left, np.full(len(left), top - HEIGHT * scale)])
    highest = np.column_stack([np.maximum(right, left + 1), np.full(len(left), top)])
    gpu_lines.rectangles(lowest, highest, gpu_lines.GRADE_COLOURS[found.grade])
