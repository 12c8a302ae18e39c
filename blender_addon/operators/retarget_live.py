"""Let a character follow its source live, or no longer; make one of another file editable."""

from __future__ import annotations

from typing import Any

import bpy

from ..retarget import drive, targets
from ..retarget.drive import CannotDrive
from .on_target import OnTarget, OnTargets


class FLOWFACE_OT_retarget_live(OnTargets, bpy.types.Operator):  # type: ignore[misc]
    """Let the character follow its source live, by drivers; or no longer, and it has what it had before"""

    bl_idname = "flowface.retarget_live"
    bl_label = "Live"

    def execute(self, context: Any) -> set[str]:
        """Switch it; all are switched off only where all are live."""
        meant, done, problem = self.meant(context), 0, ""
        off = all(target.live for target in meant)
        for target in meant:
            try:
                if off:
                    drive.go_off(target)
                else:
                    drive.go_live(target)
                    if not len(target.kept):
                        problem = f"Nothing of “{target.object.name}” is mapped to an action that its source has."
                done += 1
            except CannotDrive as reason:
                problem = str(reason)
        return self.told(done, problem)


class FLOWFACE_OT_retarget_override(OnTarget, bpy.types.Operator):  # type: ignore[misc]
    """Make a library override of the linked character and of its mesh, so that it can be driven and baked here"""

    bl_idname = "flowface.retarget_override"
    bl_label = "Make Override"

    def execute(self, context: Any) -> set[str]:
        """Make it."""
        try:
            targets.make_override(context, targets.chosen(context.scene))
        except CannotDrive as problem:
            self.report({"ERROR"}, str(problem))
            return {"CANCELLED"}
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_retarget_live, FLOWFACE_OT_retarget_override)
