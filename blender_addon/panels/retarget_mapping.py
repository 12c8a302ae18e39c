"""The part of the panel where a mapping is made at once: matched, or taken from a file."""

from __future__ import annotations

from typing import Any

import bpy

from ..retarget import targets
from .retarget import PARENT
from .sidebar import InSidebar


class FLOWFACE_PT_retarget_mapping(InSidebar, bpy.types.Panel):  # type: ignore[misc]
    """What the character's mapping is called, other ways to match it, and files."""

    bl_idname = "FLOWFACE_PT_retarget_mapping"
    bl_label = "Mapping"
    bl_parent_id = PARENT

    @classmethod
    def poll(cls, context: Any) -> bool:
        """A character must be chosen."""
        target = targets.chosen(context.scene)
        return target is not None and target.object is not None

    def draw(self, context: Any) -> None:
        """The name, the ways to match, load and save."""
        target = targets.chosen(context.scene)
        self.layout.prop(target, "mapping_name", text="")
        if getattr(target.object.data, "shape_keys", None) is not None:
            self.layout.operator_menu_enum("flowface.retarget_match", "way", text="Match By", icon="VIEWZOOM")
        row = self.layout.row(align=True)
        row.operator("flowface.retarget_mapping_load", text="Load", icon="IMPORT")
        row.operator("flowface.retarget_mapping_save", text="Save", icon="EXPORT")


CLASSES = (FLOWFACE_PT_retarget_mapping,)
