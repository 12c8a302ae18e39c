"""Build the scene of the take that has just been tracked, or its next version, as one undo step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import bpy

from .. import action_slots, footage_paths, grades, live, refining, session, settings
from ..live_capture import running, takes_live
from ..scene import actors, ownership, takes
from ..scene import versions_of_take as versions
from ..scene.build import build_take, look_at_head, look_through_camera
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
            parent = actors.key_of(job.spec.parent, job.spec.face) if isinstance(job.spec, m.RefineJob) else ""
            asked = bpy.data.collections.get(job.into) or takes.shown_take(context)
            refined = refining.fitted(context.scene, asked, parent, job.take)
        take = refined.take if refined is not None else job.take
        takes_live.meet(context.scene, take)
        plan = refined.plan if refined is not None else plan_for(context.scene, take, takes.shown_take(context))
        if plan.lost and self.answer == "ASK" and not bpy.app.background:
            job.question = plan.question()
            return {"CANCELLED"}
        live.give_way()
        running.step_aside()
        again = [part.collection for part in (plan, *plan.others) if part.collection is not None]
        before = {head: action_slots.actions_of(head) for head in again}
        first = not ownership.takes_of(context.scene)
        there = ownership.takes_of(context.scene)
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
        for head in ownership.family_of(built):
            if before.get(head):
                action_slots.follow(head, before[head])
        footage_paths.keep_relative(context.scene, pictures_of(_cameras(built)))
        if job.match_scene and first:
            look_through_camera([context.screen])  # of other workspaces the user decides
        elif first and take.report.get("photographs") and context.screen is not None:
            look_at_head([context.screen], built[ownership.HEAD])  # no camera sees it as it is at rest
        unmatched = job.match_scene and not first and plan.collection is None
        if refined is not None:
            now.take_built(_about_refined(refined, built))
            return {"FINISHED"}
        results = [(job.take, *job.take.others)[part.index] for part in (plan, *plan.others)]
        joins = plan.joins if plan.joins is not None and built not in there else None
        key = job.status.job_id if job.status is not None else ""
        names = [_name_of(result, built, key) for result in results]
        text = summary(results, names, built, plan.collection, unmatched=unmatched and joins is None)
        now.take_built(text if joins is None else f"{text} It is a further head of “{joins.name}”.")
        return {"FINISHED"}


def _about_refined(refined: refining.Refined, built: Any) -> str:
    version = versions.current(built)
    number = f"This is {version.name.lower()} of “{built.name}”." if version is not None else ""
    return " ".join([refined.plan.about, number, *(str(said) for said in refined.take.report.get("warnings", ()))])


def _cameras(built: Any) -> list[Any]:
    return [view.camera for view in ownership.shown_views(built) if view.camera is not None]


def _name_of(result: contract.TakeResult, built: Any, job: str) -> str:
    """What the head is called that a run's result was set into."""
    wanted = actors.job_key(result, job)
    for head in ownership.family_of(built):
        version = versions.current(head)
        if version is not None and version.job == wanted:
            return str(head.name)
    return result.name


def summary(
    results: Sequence[contract.TakeResult], names: Sequence[str], built: Any, before: Any, *, unmatched: bool
) -> str:
    """What a user is told of a run: of each of its results, by name where there are several, that of ``built`` first.

    ``before`` is the collection that was to be tracked again.
    """
    take = results[0]
    several = len(results) > 1
    text = ". ".join(
        _tracked(result, f"“{name}”: " if several else "") for result, name in zip(results, names, strict=True)
    )
    faces = int(take.report.get("faces_seen", 1))
    if faces > 1 and len(results) == 1:
        chosen = "largest was" if take.report.get("face_chosen_by", "largest") == "largest" else "one you picked was"
        text += f". {faces} faces were seen: the {chosen} tracked; All Faces tracks every one"
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


def _tracked(take: contract.TakeResult, name: str) -> str:
    frames, tracked = len(take.tracked), int(take.tracked.sum())
    stills = int(take.report.get("photographs", 0))
    text = f"Tracked {name}{tracked} of {frames} frame{'s' if frames > 1 else ''}"
    if stills:
        text = f"Made a head of {stills} photograph{'s' if stills > 1 else ''}"
    if tracked:
        error = take.reprojection_error_percent_iod[take.tracked].mean()
        skin = take.report.get("matching_in_time")
        grade = grades.of_error(error, with_skin=skin is not None)
        text += f", mean error {error:.2f} % of the inter-ocular distance ({grade})"
        text += "" if skin is None else _skin(skin)
    return text


def _skin(matching: Mapping[str, Any]) -> str:
    """What is said of skin that was followed from frame to frame."""
    after, before = (matching[when]["mean_percent_iod"] for when in ("after", "before"))
    return f", of matched skin {after:.2f} % ({before:.2f} % by the face's points alone)"


CLASSES = (FLOWFACE_OT_build_take,)
