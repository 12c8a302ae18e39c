"""Measure how a character follows its actor, and fit the mapping to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import bpy
import numpy as np

from ..retarget import evaluate, faces, kept, properties, score_properties, targets
from ..retarget.calibration import compared, report
from ..retarget.calibration import solve as calibration
from ..retarget.calibration.character import follow
from ..retarget.calibration.measures import NoFace
from ..retarget.mapping import Mapping
from .on_target import OnTarget
from .waiting import waiting


class _OnFace(OnTarget):
    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be a character with links to shape keys, and its source."""
        if not super().poll(context):
            return False
        target = targets.chosen(context.scene)
        if kept.keys_of(target) is None or not len(target.keys) or target.source is None:
            cls.poll_message_set("Choose a character whose shape keys follow a source")  # type: ignore[attr-defined]
            return False
        return True


class FLOWFACE_OT_retarget_measure(_OnFace, bpy.types.Operator):  # type: ignore[misc]
    """Measure over the whole take how the character follows: lip aperture, smile width, lid closure, brow height and \
jaw drop beside the actor's. Nothing is changed"""

    bl_idname = "flowface.retarget_measure"
    bl_label = "Measure"

    def execute(self, context: Any) -> set[str]:
        """Measure."""
        target = targets.chosen(context.scene)
        try:
            actor, character = faces.read_performance(target.source), faces.read_character(target)
        except NoFace as problem:
            self.report({"ERROR"}, str(problem))
            return {"CANCELLED"}
        mapping = properties.mapping_of(target)
        scores = compared.compare(faces.seen_by(actor, mapping), follow(mapping, actor.weights, character))
        score_properties.write_scores(target, scores)
        self.report({"INFO"}, report.standing(scores))
        return {"FINISHED"}


class FLOWFACE_OT_retarget_calibrate(_OnFace, bpy.types.Operator):  # type: ignore[misc]
    """Fit the gains to the character, so that its lips, smile, lids, brows and jaw move as far as the actor's in \
proportion, and close when they close. Solved from the most extreme frames of the take"""

    bl_idname = "flowface.retarget_calibrate"
    bl_label = "Calibrate"

    neutral: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="At Rest",
        items=[
            ("TRACK", "As Tracked", "The character is at rest where all actions are 0"),
            ("FRAME", "On This Frame", "The character is at rest where the actor is as on the current frame"),
        ],
        options={"SKIP_SAVE"},
    )
    sliders: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Raise Sliders",
        description="Let shape keys go beyond their Max where the actor goes further than they do. It changes the "
        "character's mesh, which has to be of this file",
        options={"SKIP_SAVE"},
    )

    def invoke(self, context: Any, _event: Any) -> set[str]:
        """Ask what rest is, and whether sliders may be raised."""
        return set(context.window_manager.invoke_props_dialog(self, confirm_text="Calibrate"))

    def execute(self, context: Any) -> set[str]:
        """Calibrate."""
        scene = context.scene
        target = targets.chosen(scene)
        try:
            actor, character = faces.read_performance(target.source), faces.read_character(target)
        except NoFace as problem:
            self.report({"ERROR"}, str(problem))
            return {"CANCELLED"}
        rest = int(np.abs(actor.frames - scene.frame_current_final).argmin()) if self.neutral == "FRAME" else None
        mapping = properties.mapping_of(target)
        raising = self.sliders and target.object.data.is_editable
        if raising:
            character = faces.raised(character, mapping)
        with waiting(context):
            found = calibration.calibrate(mapping, actor.weights, faces.seen_by(actor, mapping), character, rest)
        properties.write_mapping(target, found.mapping)
        also = [one for one in targets.others_of_character(target) if _along(one, mapping, found.mapping)]
        for one in (target, *also) if raising else ():
            if one.object.data.is_editable:
                faces.raise_sliders(one, character, evaluate.key_values(actor.weights, found.mapping))
        score_properties.write_scores(target, found.after)
        for line in report.lines(found, actor.frames, character.face):
            self.report({"INFO"}, line)
        if also:
            names = ", ".join(f"“{one.object.name}”" for one in also)
            self.report({"INFO"}, f"{names} has the same gains now where it had the same links")
        for one in (target, *also):
            if one.baked is not None:
                self.report({"WARNING"}, f"“{one.object.name}” was baked before: bake it again")
        return {"FINISHED"}


def _along(other: Any, before: Mapping, after: Mapping) -> bool:
    """Give links of another mesh of the character the gains that the same links got: teeth go with the jaw."""
    had, count = properties.mapping_of(other), len(before.keys)
    got, own = dict(zip(before.keys, after.keys[:count], strict=True)), {link.key for link in had.keys}
    helpers = (link for link in after.keys[count:] if link.key in own)
    links = (*(got.get(link, link) for link in had.keys), *helpers)
    if links == had.keys:
        return False
    properties.write_mapping(other, replace(had, keys=links))
    return True


CLASSES = (FLOWFACE_OT_retarget_measure, FLOWFACE_OT_retarget_calibrate)
