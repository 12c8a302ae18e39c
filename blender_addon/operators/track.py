"""Track: hand the footage to the backend."""

from __future__ import annotations

from typing import Any

import bpy

from .. import settings
from ..job import CannotTrack, job_of
from .submitting import Submitting


class FLOWFACE_OT_track(Submitting, bpy.types.Operator):  # type: ignore[misc]
    """Track the face in the footage and build an animated head and camera from it"""

    bl_idname = "flowface.track"
    bl_label = "Track"

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be footage to work on."""
        if not settings.of(context.scene).footage:
            cls.poll_message_set("Choose the footage first")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        """Submit the job, after those that are there; everything else happens while Blender goes on."""
        try:
            spec, known_cameras = job_of(context)
        except CannotTrack as problem:
            return self.refuse(str(problem))
        match_scene = settings.of(context.scene).match_scene
        return self.submit(context, spec, "tracked", match_scene=match_scene, known_cameras=known_cameras)


CLASSES = (FLOWFACE_OT_track,)
