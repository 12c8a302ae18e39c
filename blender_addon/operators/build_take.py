"""Build the scene of the take that has just been tracked, or its next version, as one undo step."""

from __future__ import annotations

from typing import Any

import bpy

from .. import action_slots, footage_paths, grades, refining, session, settings
from ..scene import ownership, takes
from ..scene import versions_of_take as versions
from ..scene.build import build_take, look_through_camera
from ..scene.footage import missing_footage, pictures_of
from ..scene.plan import plan_for
from ..vendor import messages as m
from ..vendor import take as contract

ANSWERS = (
    ("ASK", "Ask", "Ask in the panel first; without a window, build a second take"),
    ("REPLACE", "Replace Head", "Give the take the other head; what does not fit stays with its last version"),
    ("SECOND", "Second Take", "Leave the take as it is and build a second one"),
)


class FLOWFACE_OT_build_take(bpy.types.Operator):  # type: ignore[misc]
    """Build head, armature and camera of the tracked take"""

    bl_idname = "flowface.build_take"
    bl_label = "FlowFace Take"
    bl_options = {"UNDO", "INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    answer: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Answer",
        description="What to do where the take that is there would lose something",
        items=ANSWERS,
        options={"SKIP_SAVE"},
    )

    @classmethod
    def description(cls, _context: Any, properties: Any) -> str:
        """The tooltip of an answer."""
        about = {name: text for name, _, text in ANSWERS}
        return about[properties.answer] if properties.answer != "ASK" else cls.__doc__ or ""

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be a take, and bones can only be made in Object Mode."""
        job = session.current().job
        return job is not None and job.take is not None and context.mode == "OBJECT"

    def execute(self, context: Any) -> set[str]:
        """Build it, or ask first."""
        now = session.current()
        job = now.job
        if job is None or job.take is None:
            return {"CANCELLED"}
        refined = None
        if refining.is_refinement(job.take):
            parent = job.spec.parent if isinstance(job.spec, m.RefineJob) else ""
            refined = refining.fitted(context.scene, takes.shown_take(context), parent, job.take)
        take = refined.take if refined is not None else job.take
        plan = refined.plan if refined is not None else plan_for(context.scene, take, takes.shown_take(context))
        if plan.lost and self.answer == "ASK" and not bpy.app.background:
            job.question = plan.question()
            return {"CANCELLED"}
        before = action_slots.actions_of(plan.collection) if plan.collection is not None else {}
        first = not ownership.takes_of(context.scene)
        built = build_take(
            context,
            take,
            match_scene=job.match_scene,
            known_cameras=job.known_cameras if not job.elsewhere else None,
            plan=plan.accept() if self.answer == "REPLACE" else plan,
            job=job.status.job_id if job.status is not None else "",
        )
        settings.of(context.scene).take = built
        if refined is not None:
            refining.remember(built, refined)
        if before and built == plan.collection:
            action_slots.follow(built, before)
        footage_paths.keep_relative(context.scene, pictures_of(_cameras(built)))
        if job.match_scene and first:
            look_through_camera([context.screen])  # of other workspaces the user decides
        unmatched = job.match_scene and not first and plan.collection is None
        words = _summary(take, built, plan.collection, unmatched=unmatched)
        now.take_built(_about_refined(refined, built) if refined is not None else words)
        return {"FINISHED"}


def _about_refined(refined: refining.Refined, built: Any) -> str:
    version = versions.current(built)
    number = f"This is {version.name.lower()} of “{built.name}”." if version is not None else ""
    return " ".join([refined.plan.about, number, *(str(said) for said in refined.take.report.get("warnings", ()))])


def _cameras(built: Any) -> list[Any]:
    return [view.camera for view in ownership.shown_views(built) if view.camera is not None]


def _summary(take: contract.TakeResult, built: Any, before: Any, *, unmatched: bool) -> str:
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
    version = versions.current(built)
    said = []
    if before is not None and built != before:
        said.append(f"“{before.name}” has another head and stays as it is; this is “{built.name}”.")
    elif version is not None and version.number > 1:
        said.append(f"This is {version.name.lower()} of “{built.name}”. {version.notes}".strip())
    if unmatched:
        said.append("The scene's settings are another take's; Match Scene changes them.")
    warnings = [str(warning) for warning in take.report.get("warnings", ())]  # whole sentences
    return " ".join([f"{text}.", *said, *warnings])


CLASSES = (FLOWFACE_OT_build_take,)
