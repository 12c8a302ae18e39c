"""Jump to where the error is largest."""

from __future__ import annotations

from typing import Any

import bpy

from .. import grades
from ..on_take import OnTake
from ..scene import confidence, takes


class FLOWFACE_OT_worst_frame(OnTake, bpy.types.Operator):  # type: ignore[misc]
    """Go to the frame with the largest error of the take; pressed there, to the next worst one that is at least half \
a second away from those before"""

    bl_idname = "flowface.worst_frame"
    bl_label = "Worst Frame"

    def execute(self, context: Any) -> set[str]:
        """Go to the one after that under the playhead, else to the worst; after the last one comes the worst again."""
        known, scene = confidence.confidence_of(takes.shown_take(context)), context.scene
        frame_rate = scene.render.fps / scene.render.fps_base
        worst = known.worst_frames(frame_rate) if known is not None else []
        if known is None or not worst:
            self.report({"INFO"}, "No frame of this take has an error: no face was found, or its curve was deleted")
            return {"CANCELLED"}
        rounded = [round(frame) for frame in worst]
        now = rounded.index(scene.frame_current) if scene.frame_current in rounded else -1
        place = (now + 1) % len(rounded)
        scene.frame_set(rounded[place])
        error = float(known.error.at(worst[place]) or 0.0)
        grade = grades.of_error(error, with_skin=known.has_skin)
        self.report({"INFO"}, f"Error {error:.1f} % ({grade}), {place + 1} of {len(rounded)} worst frames")
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_worst_frame,)
