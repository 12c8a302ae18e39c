"""The part of the Retarget panel for armatures: poses of actions, eyes, head and neck."""

from __future__ import annotations

from typing import Any

import bpy

from ..retarget import properties, targets
from ..retarget.bones import pose, pose_recording
from .retarget import PARENT, unmapped_words
from .sidebar import InSidebar
from .text import draw_text


class FLOWFACE_PT_retarget_bones(InSidebar, bpy.types.Panel):  # type: ignore[misc]
    """What of an armature follows."""

    bl_idname = "FLOWFACE_PT_retarget_bones"
    bl_label = "Bones"
    bl_parent_id = PARENT

    @classmethod
    def poll(cls, context: Any) -> bool:
        """The chosen character must be an armature."""
        target = targets.chosen(context.scene)
        return target is not None and target.object is not None and target.object.type == "ARMATURE"

    def draw(self, context: Any) -> None:
        """One action's pose, the eyes, the head, and what moves nothing."""
        target, width = targets.chosen(context.scene), context.region.width
        self.layout.operator("flowface.retarget_rig_preset", icon="PRESET")
        mapping = properties.mapping_of(target)
        _draw_pose(self.layout, target, len(pose_recording.links_of(mapping, target.posed_action)), width)
        _draw_eyes(self.layout, target)
        _draw_head(self.layout, target)
        missing = pose.missing_bones(target)
        if missing:
            more = f" and {len(missing) - 8} more" if len(missing) > 8 else ""
            words = f"“{target.object.name}” has no bones called {', '.join(missing[:8])}{more}."
            draw_text(self.layout, words, width, "ERROR")
        unmapped = mapping.unmapped()
        if unmapped:
            draw_text(self.layout, unmapped_words(unmapped), width, "INFO")


def _draw_pose(layout: Any, target: Any, count: int, width: int) -> None:
    box = layout.box().column()
    box.prop(target, "posed_action", text="", icon="POSE_HLT")
    if target.posed_action:
        draw_text(box, f"It moves {count} bone{'' if count == 1 else 's'}." if count else "It moves no bone.", width)
    box.operator("flowface.retarget_pose_record", icon="REC")
    row = box.row(align=True)
    row.operator("flowface.retarget_pose_show", icon="HIDE_OFF", text="Show")
    row.operator("flowface.retarget_pose_mirror", icon="MOD_MIRROR", text="Mirror")
    row.operator("flowface.retarget_pose_remove", icon="X", text="Remove")


def _draw_eyes(layout: Any, target: Any) -> None:
    box = layout.box().column()
    row = box.row()
    row.label(text="Eyes")
    row.operator("flowface.retarget_eyes", text="", icon="ADD")
    for index, eye in enumerate(target.eyes):
        row = box.row(align=True)
        row.prop(eye, "side", text="")
        row.prop_search(eye, "bone", target.object.data, "bones", text="")
        row.prop(eye, "aims", text="", icon="TRACKER")
        row.prop(eye, "gain", text="")
        row.operator("flowface.retarget_eye_remove", text="", icon="X").index = index


def _draw_head(layout: Any, target: Any) -> None:
    column = layout.box().column()
    column.use_property_split, column.use_property_decorate = True, False
    bones = target.object.data
    column.prop_search(target, "head_bone", bones, "bones")
    column.prop_search(target, "neck_bone", bones, "bones")
    if target.head_bone or target.neck_bone:
        if target.head_bone and target.neck_bone:
            column.prop(target, "neck_share", slider=True)
        column.prop(target, "head_gain")
        column.prop(target, "head_move")


CLASSES = (FLOWFACE_PT_retarget_bones,)
