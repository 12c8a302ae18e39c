"""Record poses of a character's bones as what an action does, show them, mirror them, and take them away."""

from __future__ import annotations

from typing import Any

import bpy

from ..in_picture import redraw
from ..retarget import properties, targets
from ..retarget.bones import pose_recording, rig_presets
from ..retarget.mapping import NEUTRAL
from ..vendor import face_actions
from .on_target import OnTarget


class _OnBones(OnTarget):
    @classmethod
    def poll(cls, context: Any) -> bool:
        """The character must be an armature that can be posed."""
        if not super().poll(context):
            return False
        obj = targets.chosen(context.scene).object
        if obj is None or obj.type != "ARMATURE":
            cls.poll_message_set("Choose an armature in the list")  # type: ignore[attr-defined]
            return False
        return True


class _OnAction(_OnBones):
    @classmethod
    def poll(cls, context: Any) -> bool:
        """An action must be chosen."""
        if not super().poll(context):
            return False
        if targets.chosen(context.scene).posed_action not in (NEUTRAL, *face_actions.ARKIT_ACTIONS):
            cls.poll_message_set("Choose the action first")  # type: ignore[attr-defined]
            return False
        return True


class _OnPose(_OnAction):
    @classmethod
    def poll(cls, context: Any) -> bool:
        """Nothing may pose the bones but the user."""
        if not super().poll(context):
            return False
        if targets.chosen(context.scene).live:
            cls.poll_message_set("The take poses the bones: switch Live off first")  # type: ignore[attr-defined]
            return False
        return True


class FLOWFACE_OT_retarget_pose_record(_OnPose, bpy.types.Operator):  # type: ignore[misc]
    """Store how the bones are posed now as what the action does when it is full. Pose them in Pose Mode first"""

    bl_idname = "flowface.retarget_pose_record"
    bl_label = "Record Pose"

    def execute(self, context: Any) -> set[str]:
        """Store it."""
        target = targets.chosen(context.scene)
        action = target.posed_action
        made = pose_recording.recorded(target.object, properties.mapping_of(target), action)
        count = len(pose_recording.links_of(made, action))
        if not count:
            self.report({"WARNING"}, "No bone is posed. Pose some in Pose Mode first")
            return {"CANCELLED"}
        properties.write_mapping(target, made)
        self.report({"INFO"}, f"{action} moves {count} bone{'s' if count > 1 else ''}")
        redraw()
        return {"FINISHED"}


class FLOWFACE_OT_retarget_pose_show(_OnPose, bpy.types.Operator):  # type: ignore[misc]
    """Pose the bones as the action does when it is full"""

    bl_idname = "flowface.retarget_pose_show"
    bl_label = "Show Pose"

    def execute(self, context: Any) -> set[str]:
        """Pose them."""
        target = targets.chosen(context.scene)
        pose_recording.show(target.object, properties.mapping_of(target), target.posed_action)
        return {"FINISHED"}


class FLOWFACE_OT_retarget_pose_mirror(_OnAction, bpy.types.Operator):  # type: ignore[misc]
    """Make the action of the other side of this one: the same bones, by their names, of the other side of the face"""

    bl_idname = "flowface.retarget_pose_mirror"
    bl_label = "Mirror Pose"

    def execute(self, context: Any) -> set[str]:
        """Make it."""
        target = targets.chosen(context.scene)
        action, mapping = target.posed_action, properties.mapping_of(target)
        if not pose_recording.links_of(mapping, action):
            self.report({"WARNING"}, f"{action} moves no bone yet: record its pose first")
            return {"CANCELLED"}
        properties.write_mapping(target, pose_recording.mirrored(target.object, mapping, action))
        self.report({"INFO"}, f"{face_actions.mirrored(action)} is {action} mirrored")
        redraw()
        return {"FINISHED"}


class FLOWFACE_OT_retarget_pose_remove(_OnAction, bpy.types.Operator):  # type: ignore[misc]
    """Let the action move no bones any more"""

    bl_idname = "flowface.retarget_pose_remove"
    bl_label = "Remove Pose"

    def execute(self, context: Any) -> set[str]:
        """Take its links away."""
        target = targets.chosen(context.scene)
        properties.write_mapping(target, pose_recording.without(properties.mapping_of(target), target.posed_action))
        redraw()
        return {"FINISHED"}


class FLOWFACE_OT_retarget_rig_preset(_OnBones, bpy.types.Operator):  # type: ignore[misc]
    """Find the preset that knows the armature's bones, such as Rigify's face, and use it in place of the mapping"""

    bl_idname = "flowface.retarget_rig_preset"
    bl_label = "Find Rig Preset"

    def execute(self, context: Any) -> set[str]:
        """Find it."""
        target = targets.chosen(context.scene)
        found = rig_presets.guess(target.object)
        if not found.bones:
            self.report({"WARNING"}, f"No preset knows the bones of “{target.object.name}”: record poses instead")
            return {"CANCELLED"}
        properties.write_mapping(target, found)
        self.report({"INFO"}, f"“{target.object.name}” is mapped as {found.name}")
        redraw()
        return {"FINISHED"}


CLASSES = (
    FLOWFACE_OT_retarget_pose_record,
    FLOWFACE_OT_retarget_pose_show,
    FLOWFACE_OT_retarget_pose_mirror,
    FLOWFACE_OT_retarget_pose_remove,
    FLOWFACE_OT_retarget_rig_preset,
)
