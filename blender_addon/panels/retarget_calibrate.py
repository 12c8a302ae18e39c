"""The part of the panel that tells how a character follows its actor, and fits the mapping to it."""

from __future__ import annotations

from typing import Any

import bpy

from ..retarget import kept, score_properties, targets
from .retarget import PARENT
from .sidebar import InSidebar


class FLOWFACE_PT_retarget_calibrate(InSidebar, bpy.types.Panel):  # type: ignore[misc]
    """Measures of the character beside the actor's."""

    bl_idname = "FLOWFACE_PT_retarget_calibrate"
    bl_label = "Fit to Character"
    bl_parent_id = PARENT
    bl_options = {"DEFAULT_CLOSED"}  # noqa: RUF012 - Blender reads it from the class

    @classmethod
    def poll(cls, context: Any) -> bool:
        """The chosen character must have shape keys."""
        target = targets.chosen(context.scene)
        return target is not None and kept.keys_of(target) is not None

    def draw(self, context: Any) -> None:
        """Two buttons, and a row for each measure that was taken."""
        row = self.layout.row(align=True)
        row.operator("flowface.retarget_measure", icon="DRIVER_DISTANCE")
        row.operator("flowface.retarget_calibrate", icon="CON_SIZELIKE")
        scores = score_properties.scores_of(targets.chosen(context.scene))
        if not scores:
            return
        column = self.layout.column(align=True)
        _draw_row(column, ("", "Size", "Alike", "Closed"), good=True, active=False)
        for score in scores:
            closes = "" if score.contact is None else f"{100 * score.contact:.0f} %"
            numbers = (f"{100 * score.slope:.0f} %", f"{score.correlation:.2f}") if score.moves else ("still", "")
            _draw_row(column, (_short(score.name), *numbers, closes), score.good, score.moves)


def _short(name: str) -> str:
    """A measure's name as a narrow sidebar has room for."""
    short = name.replace(" height", "").replace(" left", " L").replace(" right", " R")
    return short[0].upper() + short[1:]


def _draw_row(layout: Any, cells: tuple[str, ...], good: bool, active: bool) -> None:
    split = layout.split(factor=0.52, align=True)
    split.label(text=cells[0])
    row = split.row(align=True)
    row.alert, row.active = not good, active
    for cell in cells[1:]:
        row.label(text=cell)


CLASSES = (FLOWFACE_PT_retarget_calibrate,)
