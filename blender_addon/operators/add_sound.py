"""Add the sound of a take's footage to the sequencer."""

from __future__ import annotations

from typing import Any

import bpy

from ..on_take import OnTake
from ..scene import sound, takes


class FLOWFACE_OT_add_sound(OnTake, bpy.types.Operator):  # type: ignore[misc]
    """Add the footage's sound to the sequencer of this scene, where the footage starts; it moves there again after \
the take was moved. To keep them together while playing, set Playback › Sync to Audio in the timeline"""

    bl_idname = "flowface.add_sound"
    bl_label = "Add Sound"
    bl_options = {"UNDO"}  # noqa: RUF012 - Blender reads it from the class

    def execute(self, context: Any) -> set[str]:
        """Add it, or say why not."""
        try:
            strip = sound.add_sound(context.scene, takes.shown_take(context))
        except sound.NoSound as problem:
            self.report({"WARNING"}, str(problem))
            return {"CANCELLED"}
        if strip is None:
            self.report({"INFO"}, "The sound is in the sequencer already, where the footage starts")
            return {"CANCELLED"}
        self.report(
            {"INFO"}, f"The sound is in the sequencer, channel {strip.channel}, frame {sound.start_of(strip):g}"
        )
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_add_sound,)
