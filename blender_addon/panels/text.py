"""Text in panels."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import blf  # type: ignore[import-not-found]
import bpy

MARGINS = 60.0
"""Pixels of a sidebar that text cannot use: its tabs, the borders of a panel within a panel, and a scroll bar, at the
interface's usual scale."""
ICON = 36.0
"""Pixels that an icon takes and the box about both, where text has one."""
NARROWEST = 60.0
"""Pixels that a line has in any case, at the interface's usual scale."""
PIECES = re.compile(r"[^/\\]*[/\\]|[^/\\]+")
"""The folders of a path with their slash, and what follows the last one."""


def draw_text(layout: Any, text: str, width: int, icon: str = "NONE") -> None:
    """Text wrapped to the width (pixels) of the sidebar; Blender's labels do not wrap."""
    scale = bpy.context.preferences.system.ui_scale
    room = width - scale * (MARGINS + (ICON if icon != "NONE" else 0.0))
    column = layout.column(align=True)
    column.scale_y = 0.8
    for index, line in enumerate(wrapped(text, max(scale * NARROWEST, room), _measure(scale))):
        column.label(text=line, icon=icon if index == 0 else ("BLANK1" if icon != "NONE" else "NONE"))


def fits(text: str, width: int) -> bool:
    """True where a text, alone in its row, is no longer than a sidebar of this width (pixels) can show."""
    scale = bpy.context.preferences.system.ui_scale
    return _measure(scale)(text) <= width - scale * MARGINS


def wrapped(text: str, room: float, measure: Callable[[str], float]) -> list[str]:
    """Lines no longer than ``room`` (as ``measure`` says), broken at spaces, else after a slash, else anywhere."""
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".lstrip()
        if measure(joined) <= room:
            lines[-1] = joined
            continue
        if measure(word) <= room:
            lines.append(word)
            continue
        for index, piece in enumerate(_pieces(word, room, measure)):
            joined = f"{lines[-1]}{' ' if index == 0 and lines[-1] else ''}{piece}"
            if measure(joined) <= room:
                lines[-1] = joined
            else:
                lines.append(piece)
    return lines if lines[0] else (lines[1:] or [""])


def _pieces(word: str, room: float, measure: Callable[[str], float]) -> list[str]:
    """The parts of a path, and those that are too long themselves cut to single letters."""
    pieces = PIECES.findall(word)
    return [part for piece in pieces for part in ([piece] if measure(piece) <= room else list(piece))]


def _measure(scale: float) -> Callable[[str], float]:
    """The width in pixels of a text in the interface's font."""
    blf.size(0, bpy.context.preferences.ui_styles[0].widget.points * scale)
    return lambda text: float(blf.dimensions(0, text)[0])
