"""Pick footage that is in the file already."""

from __future__ import annotations

from typing import Any

import bpy

from .. import choices, footage_paths, settings


def _items(_operator: Any, _context: Any) -> list[choices.Item]:
    found = footage_paths.footage_in_file().items()
    return [choices.item(key, name, path) for key, (path, name) in found]


class FLOWFACE_OT_footage_pick(bpy.types.Operator):  # type: ignore[misc]
    """Take a movie clip, a movie or an image sequence of this file as the footage"""

    bl_idname = "flowface.footage_pick"
    bl_label = "Footage of This File"
    bl_options = {"UNDO", "INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    source: bpy.props.EnumProperty(name="Footage", items=_items)  # type: ignore[valid-type]
    view: bpy.props.StringProperty(  # type: ignore[valid-type]
        name="View",
        description="A further view's name; empty for the main footage",
        options={"SKIP_SAVE"},
    )

    def execute(self, context: Any) -> set[str]:
        """Take over its path as it is, relative ones as relative."""
        chosen = settings.of(context.scene)
        row = chosen.views.get(self.view) if self.view else chosen
        found = footage_paths.footage_in_file().get(self.source)
        if row is None or found is None:
            self.report({"WARNING"}, "This footage is no longer in the file")
            return {"CANCELLED"}
        row.footage = found[0]
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_footage_pick,)
