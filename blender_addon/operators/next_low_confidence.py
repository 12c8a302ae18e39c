"""Jump to where the track is least certain."""

from __future__ import annotations

from typing import Any

import bpy

from ..on_take import OnTake
from ..scene import confidence, takes


class FLOWFACE_OT_next_low_confidence(OnTake, bpy.types.Operator):  # type: ignore[misc]
    """Go to the next range of frames of low confidence: no face was found, or uncertainty or error are more than \
twice the take's median"""

    bl_idname = "flowface.next_low_confidence"
    bl_label = "Go to Low Confidence"

    backwards: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Backwards",
        description="Go to the one before",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def description(cls, _context: Any, properties: Any) -> str:
        """The tooltip of either direction."""
        forwards = cls.__doc__ or ""
        return forwards.replace("the next", "the previous") if properties.backwards else forwards

    def execute(self, context: Any) -> set[str]:
        """Go to the first frame of the next range; after the last one comes the first again."""
        known = confidence.confidence_of(takes.shown_take(context))
        starts = [round(first) for first, _ in known.low_confidence_ranges()] if known is not None else []
        if not starts:
            self.report({"INFO"}, "No frame of this take is of low confidence")
            return {"CANCELLED"}
        now = context.scene.frame_current
        if self.backwards:
            wanted = max((start for start in starts if start < now), default=starts[-1])
        else:
            wanted = min((start for start in starts if start > now), default=starts[0])
        context.scene.frame_set(wanted)
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_next_low_confidence,)
