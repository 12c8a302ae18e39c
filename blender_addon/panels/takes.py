"""The list of the scene's takes, and what can be done to one as a whole."""

from __future__ import annotations

from typing import Any

import bpy

from .. import settings, take_properties
from ..scene import ghost, head_motion, ownership, takes
from ..scene import versions_of_take as versions
from .sidebar import InMainPanel
from .text import draw_text


class FLOWFACE_UL_takes(bpy.types.UIList):  # type: ignore[misc]
    """Takes: their names, versions, and whether they are hidden."""

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
        further = ownership.main_of(item) != item
        if further:
            row.separator(factor=2.0)
        icon = "USER" if further else "OUTLINER_COLLECTION"
        row.prop(item, take_properties.NAME, text="", emboss=False, icon=icon)
        version = versions.current(item)
        if version is not None and len(versions.all_of(item)) > 1:
            number = row.row()
            number.alignment, number.enabled = "RIGHT", False
            number.label(text=f"v{version.number}")
        row.prop(item, "hide_viewport", text="", emboss=False)
        row.prop(item, "hide_render", text="", emboss=False)

    def filter_items(self, context: Any, data: Any, name: str) -> tuple[list[int], list[int]]:
        """Of all collections of the file only this scene's takes."""
        found = set(ownership.takes_of(context.scene))
        return [self.bitflag_filter_item if item in found else 0 for item in getattr(data, name)], []


class FLOWFACE_PT_takes(InMainPanel, bpy.types.Panel):  # type: ignore[misc]
    """The scene's takes."""

    bl_idname = "FLOWFACE_PT_takes"
    bl_label = "Takes"

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be one."""
        return bool(ownership.takes_of(context.scene))

    def draw(self, context: Any) -> None:
        """The list, its buttons, and versions and timing of the take that is meant."""
        chosen, take = settings.of(context.scene), takes.shown_take(context)
        count = len(ownership.takes_of(context.scene))
        row = self.layout.row()
        rows = 3 if count < 4 else 5
        row.template_list("FLOWFACE_UL_takes", "", bpy.data, "collections", chosen, "active_take", rows=rows)
        buttons = row.column(align=True)
        buttons.operator("flowface.take_show_only", text="", icon="SOLO_ON")
        buttons.operator("flowface.take_duplicate", text="", icon="DUPLICATE")
        buttons.operator("flowface.take_delete", text="", icon="TRASH")
        if take is not None:
            self._draw_version(context, take)
            column = self.layout.column()
            column.use_property_split, column.use_property_decorate = True, False
            column.prop(take, take_properties.START)
            column.prop(take, take_properties.SPEED)
            row = self.layout.row()
            row.label(text="Head Motion")
            titles = {place: title for place, title, _ in head_motion.PLACES}
            row.operator_menu_enum("flowface.take_head_motion", "where", text=titles[head_motion.place_of(take)])
            self.layout.operator("flowface.take_match_scene", icon="SCENE_DATA")

    def _draw_version(self, context: Any, take: Any) -> None:
        version = versions.current(take)
        if version is None or len(versions.all_of(take)) < 2:
            return
        row = self.layout.row(align=True)
        row.operator_menu_enum("flowface.take_version", "version", text="", icon="RECOVER_LAST")
        row.prop(take, take_properties.VERSION, text="")
        row.operator("flowface.take_version_delete", text="", icon="X")
        row = self.layout.row()
        row.label(text="Compare With")
        other = next((v for v in versions.all_of(take) if v.number == ghost.shown_number(take)), None)
        row.operator_menu_enum("flowface.take_compare", "version", text=other.name if other is not None else "Nothing")
        if version.notes:
            draw_text(self.layout, version.notes, context.region.width)


CLASSES = (FLOWFACE_UL_takes, FLOWFACE_PT_takes)
