"""Take a take's curves as they are seen: as a new version's keys, or as few keys; or take off all layers."""

from __future__ import annotations

from typing import Any

import bpy

from .. import action_slots, curve_properties
from ..scene import takes
from ..scene.curve_layers import apply, bake
from ..scene.curve_layers.settings import LayerSettings
from .waiting import waiting


class _OnCurves:
    bl_options = {"UNDO"}  # noqa: RUF012 - Blender reads it from the class

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be a take with curves, and no bone or mesh may be edited."""
        take = takes.shown_take(context)
        if take is None or not bake.count_keys(take):
            cls.poll_message_set("The take has no curves any more")  # type: ignore[attr-defined]
            return False
        if take.library is not None:
            cls.poll_message_set("The take is linked from another file")  # type: ignore[attr-defined]
            return False
        if context.mode not in ("OBJECT", "POSE"):
            cls.poll_message_set("Go to Object Mode first")  # type: ignore[attr-defined]
            return False
        return True


class FLOWFACE_OT_curves_reset(_OnCurves, bpy.types.Operator):  # type: ignore[misc]
    """Set all layers back: the curves are as they were tracked, and what you edited by hand stays"""

    bl_idname = "flowface.curves_reset"
    bl_label = "Reset Layers"

    def execute(self, context: Any) -> set[str]:
        """Take them off."""
        apply.change(takes.shown_take(context), LayerSettings())
        context.scene.frame_set(context.scene.frame_current)
        return {"FINISHED"}


class FLOWFACE_OT_curves_bake(_OnCurves, bpy.types.Operator):  # type: ignore[misc]
    """Make what is seen the keys of a new version without layers; this version stays as it is"""

    bl_idname = "flowface.curves_bake"
    bl_label = "Bake"

    def execute(self, context: Any) -> set[str]:
        """Bake."""
        return _made(self, context, takes.shown_take(context), bake.bake)


class FLOWFACE_OT_curves_thin_out(_OnCurves, bpy.types.Operator):  # type: ignore[misc]
    """Make what is seen a new version with as few Bézier keys as keep every point of the face within the millimetres \
beside this; this version stays as it is"""

    bl_idname = "flowface.curves_thin_out"
    bl_label = "Thin Out Keys"

    def execute(self, context: Any) -> set[str]:
        """Thin them out."""
        take = takes.shown_take(context)
        return _made(self, context, take, lambda found: bake.thin_out(found, getattr(take, curve_properties.ERROR)))


def _made(operator: Any, context: Any, take: Any, make: Any) -> set[str]:
    """Make a version, which objects of the user's with the take's Actions follow, and say what it is."""
    before = action_slots.actions_of(take)
    with waiting(context):  # a take of minutes takes seconds
        made = make(take)
    action_slots.follow(take, before)
    context.scene.frame_set(context.scene.frame_current)
    operator.report({"INFO"}, f"This is version {made.version.number}. {made.version.notes}")
    return {"FINISHED"}


CLASSES = (FLOWFACE_OT_curves_reset, FLOWFACE_OT_curves_bake, FLOWFACE_OT_curves_thin_out)
