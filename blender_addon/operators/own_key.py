"""Hand over this client's key to whoever runs a backend on another machine."""

from __future__ import annotations

from typing import Any

import bpy

from .. import own_key
from ..vendor import keys


class FLOWFACE_OT_own_key_copy(bpy.types.Operator):  # type: ignore[misc]
    """Copy this client's public key, for “flowface keys trust NAME KEY” on the backend's machine; it is no secret"""

    bl_idname = "flowface.own_key_copy"
    bl_label = "Copy Own Key"
    bl_options = {"INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    def execute(self, context: Any) -> set[str]:
        """Put it on the clipboard."""
        try:
            context.window_manager.clipboard = keys.public_text(own_key.own_pair().public)
        except own_key.CannotKeep as problem:
            self.report({"WARNING"}, str(problem))
            return {"CANCELLED"}
        self.report({"INFO"}, "The public key is on the clipboard; run “flowface keys trust NAME KEY” with it there.")
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_own_key_copy,)
