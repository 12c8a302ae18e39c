"""Build the scene of the take that has just been tracked, as one undo step."""

from __future__ import annotations

from typing import Any

import bpy

from .. import footage_paths, grades, session
from ..scene import ownership
from ..scene.build import build_take, look_through_camera
from ..scene.footage import missing_footage
from ..vendor import take as contract


class FLOWFACE_OT_build_take(bpy.types.Operator):  # type: ignore[misc]
    """Build head, armature and camera of the tracked take"""

    bl_idname = "flowface.build_take"
    bl_label = "FlowFace Take"
    bl_options = {"UNDO", "INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be a take, and bones can only be made in Object Mode."""
        job = session.current().job
        return job is not None and job.take is not None and context.mode == "OBJECT"

    def execute(self, context: Any) -> set[str]:
        """Build it."""
        now = session.current()
        job = now.job
        if job is None or job.take is None:
            return {"CANCELLED"}
        built = build_take(
            context,
            job.take,
            match_scene=job.match_scene,
            known_cameras=job.known_cameras if not job.elsewhere else None,
        )
        if job.status is not None:
            built[ownership.JOB_KEY] = job.status.job_id
        footage_paths.keep_relative(context.scene, footage_paths.pictures_of(_cameras(built)))
        if job.match_scene:
            look_through_camera([context.screen])  # of other workspaces the user decides
        now.take_built(_summary(job.take))
        return {"FINISHED"}


def _cameras(built: Any) -> list[Any]:
    return [view.camera for view in ownership.shown_views(built) if view.camera is not None]


def _summary(take: contract.TakeResult) -> str:
    frames, tracked = len(take.tracked), int(take.tracked.sum())
    text = f"Tracked {tracked} of {frames} frame{'s' if frames > 1 else ''}"
    if tracked:
        error = take.reprojection_error_percent_iod[take.tracked].mean()
        text += f", mean error {error:.2f} % of the inter-ocular distance ({grades.of_error(error)})"
    faces = int(take.report.get("faces_seen", 1))
    if faces > 1:
        text += f". {faces} faces were seen: the largest was tracked"
    for footage in missing_footage(take):
        text += f". The footage {footage} cannot be read from here, so its camera has no background"
    warnings = [str(warning) for warning in take.report.get("warnings", ())]  # whole sentences
    return " ".join([f"{text}.", *warnings])


CLASSES = (FLOWFACE_OT_build_take,)
