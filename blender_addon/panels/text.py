"""Text in panels."""

from __future__ import annotations

import textwrap
from typing import Any

import blf  # type: ignore[import-not-found]
import bpy

MARGINS = 48.0
"""Pixels of a sidebar that text cannot use: its tabs and the panel's borders, at the interface's usual scale."""
ICON = 25.0
FEWEST_LETTERS = 12


def draw_text(layout: Any, text: str, width: int, icon: str = "NONE") -> None:
    """Text wrapped to the width (pixels) of the sidebar; Blender's labels do not wrap."""
    scale = bpy.context.preferences.system.ui_scale
    room = width - scale * (MARGINS + (ICON if icon != "NONE" else 0.0))
    letters = max(FEWEST_LETTERS, int(room / _letter_width(text, scale)))
    column = layout.column(align=True)
    column.scale_y = 0.8
    for index, line in enumerate(textwrap.wrap(text, letters) or [""]):
        column.label(text=line, icon=icon if index == 0 else ("BLANK1" if icon != "NONE" else "NONE"))


def _letter_width(text: str, scale: float) -> float:
    """Mean width in pixels of a text's letters in the interface's font."""
    blf.size(0, bpy.context.preferences.ui_styles[0].widget.points * scale)
    return max(1.0, float(blf.dimensions(0, text)[0]) / max(1, len(text)))
