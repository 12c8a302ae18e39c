"""Bake what a character plays to keys of its own, and take them off again."""

from __future__ import annotations

from typing import Any

import bpy

from ..retarget import bake, targets
from ..retarget.drive import CannotDrive
from .on_target import OnTarget, OnTargets
from .waiting import waiting


class FLOWFACE_OT_retarget_bake(OnTargets, bpy.types.Operator):  # type: ignore[misc]
    """Key what the character's source plays on each frame, into an Action of its own; the one that it has stays as it \
is. It no longer follows live"""

    bl_idname = "flowface.retarget_bake"
    bl_label = "Bake"

    first: bpy.props.IntProperty(name="First Frame", options={"SKIP_SAVE"})  # type: ignore[valid-type]
    last: bpy.props.IntProperty(name="Last Frame", options={"SKIP_SAVE"})  # type: ignore[valid-type]
    error: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Thin Out",
        description="How far a value may be off for fewer keys; 0 for a key on each frame",
        min=0.0,
        max=1.0,
        soft_max=0.05,
        precision=3,
        step=0.1,
        options={"SKIP_SAVE"},
    )

    def invoke(self, context: Any, _event: Any) -> set[str]:
        """Ask for the frames; all that the source plays are suggested. Of several characters each has its own."""
        if not self.every:
            self.first, self.last = bake.frames_of(targets.chosen(context.scene), context.scene)
        return set(context.window_manager.invoke_props_dialog(self, confirm_text="Bake"))

    def draw(self, _context: Any) -> None:
        """What is asked."""
        self.layout.use_property_split = True
        for name in ("error",) if self.every else ("first", "last", "error"):
            self.layout.prop(self, name)

    def execute(self, context: Any) -> set[str]:
        """Bake."""
        done, said, problem = 0, "", ""
        for target in self.meant(context):
            first, last = bake.frames_of(target, context.scene)
            first = self.first if self.properties.is_property_set("first") else first
            last = self.last if self.properties.is_property_set("last") else last
            try:
                with waiting(context):
                    made = bake.bake(target, first, last, self.error)
            except CannotDrive as reason:
                problem = str(reason)
                continue
            done += 1
            said = f"“{target.object.name}” has {made.keys:,} keys on frames {first} to {last}"
        if done:
            self.report({"INFO"}, said if done == 1 else f"{done} characters were baked")
        return self.told(done, problem)


class FLOWFACE_OT_retarget_unbake(OnTarget, bpy.types.Operator):  # type: ignore[misc]
    """Take the baked keys off; the character has the Action that it had before"""

    bl_idname = "flowface.retarget_unbake"
    bl_label = "Remove Bake"

    def execute(self, context: Any) -> set[str]:
        """Take them off."""
        target = targets.chosen(context.scene)
        if target.baked is None and target.before is None:
            self.report({"ERROR"}, "Nothing was baked for this character")
            return {"CANCELLED"}
        bake.unbake(target)
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_retarget_bake, FLOWFACE_OT_retarget_unbake)
