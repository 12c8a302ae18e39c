"""Refine: have the backend solve a take again so that it holds to what was corrected."""

from __future__ import annotations

from typing import Any

import bpy

from .. import refining, session
from ..scene import takes
from .submitting import Submitting


class FLOWFACE_OT_refine(Submitting, bpy.types.Operator):  # type: ignore[misc]
    """Solve the take again so that it holds to its pins, masks and held keys, starting from the track. The result is \
a new version; frames out of the reach of all corrections stay as they are, but for those of a preview range"""

    bl_idname = "flowface.refine"
    bl_label = "Refine"

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be something to hold to."""
        reason = refining.missing(takes.shown_take(context)) or session.current().cannot_refine
        if reason:
            cls.poll_message_set(reason)
        return not reason

    def execute(self, context: Any) -> set[str]:
        """Submit the job, after those that are there; everything else happens while Blender goes on."""
        take = takes.shown_take(context)
        try:
            spec = refining.job_of(context, take)
        except refining.CannotRefine as problem:
            return self.refuse(str(problem))
        return self.submit(context, spec, "refined", match_scene=False, into=take.name)


CLASSES = (FLOWFACE_OT_refine,)
