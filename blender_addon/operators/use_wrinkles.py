"""Let a take's head wear the wrinkles that another take of the same person has."""

from __future__ import annotations

from typing import Any

import bpy

from ..choices import kept_text
from ..scene import ownership, takes, wrinkles


def _items(_operator: Any, context: Any) -> list[tuple[str, str, str]]:
    take = takes.shown_take(context) if context is not None else None
    found = wrinkles.sources(context.scene, take) if take is not None else []
    about = "Use the wrinkles of this take"
    return [(kept_text(other.name), kept_text(other.name), about) for other in found]


class FLOWFACE_OT_use_wrinkles(bpy.types.Operator):  # type: ignore[misc]
    """Wear the wrinkles of another take of this person, in place of those that the head has"""

    bl_idname = "flowface.use_wrinkles"
    bl_label = "Use Wrinkles Of"
    bl_options = {"UNDO"}  # noqa: RUF012 - Blender reads it from the class

    source: bpy.props.EnumProperty(name="Take", items=_items)  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be another take with wrinkles, on a head of the same model."""
        take = takes.shown_take(context)
        if take is None or not wrinkles.sources(context.scene, take):
            cls.poll_message_set("No other take in this scene has wrinkles on a head of this model")
            return False
        if take.library is not None:
            cls.poll_message_set("The take is linked from another file")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        """Wear them."""
        take = takes.shown_take(context)
        source = next((one for one in wrinkles.sources(context.scene, take) if one.name == self.source), None)
        if source is None:
            self.report({"ERROR"}, f"“{self.source}” has no wrinkles any more.")
            return {"CANCELLED"}
        image = wrinkles.image_on(ownership.member(source, ownership.HEAD))
        wrinkles.wear(ownership.member(take, ownership.HEAD), image, ownership.worn_key(take))
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_use_wrinkles,)
