"""Show another version of a take beside the one that is shown."""

from __future__ import annotations

from typing import Any

import bpy

from ..choices import kept_text
from ..scene import ghost, takes
from ..scene import versions_of_take as versions

NONE = "0"


def _items(_operator: Any, context: Any) -> list[tuple[str, str, str, int]]:
    take = takes.shown_take(context) if context is not None else None
    shown = versions.current(take) if take is not None else None
    others = [v for v in versions.all_of(take) if shown is None or v.number != shown.number] if take is not None else []
    found = [
        (kept_text(str(version.number)), kept_text(version.name), "Show this version beside", version.number)
        for version in reversed(others)
    ]
    return [(NONE, "Nothing", "Show the present version alone", 0), *found]


class FLOWFACE_OT_take_compare(bpy.types.Operator):  # type: ignore[misc]
    """Show another version of the take as a wire beside the one that is shown, before or after a change; it is seen \
through the cameras of the version that is shown, and is not rendered"""

    bl_idname = "flowface.take_compare"
    bl_label = "Compare With"
    bl_options = {"UNDO"}  # noqa: RUF012 - Blender reads it from the class

    version: bpy.props.EnumProperty(name="Version", items=_items)  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be another version, and nothing may be edited."""
        take = takes.shown_take(context)
        if take is None or len(versions.all_of(take)) < 2:
            cls.poll_message_set("The take has only one version: each time it is tracked makes another")
            return False
        if context.mode != "OBJECT":
            cls.poll_message_set("Go to Object Mode first")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        """Show it, or say why not."""
        take = takes.shown_take(context)
        try:
            if self.version == NONE:
                ghost.remove(take)
            else:
                ghost.show(context, take, int(self.version))
        except ghost.CannotCompare as problem:
            self.report({"WARNING"}, str(problem))
            return {"CANCELLED"}
        context.scene.frame_set(context.scene.frame_current)
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_take_compare,)
