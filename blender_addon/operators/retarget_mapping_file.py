"""Save a character's mapping as a file to share, and load one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from ..retarget import files, properties, targets
from ..retarget.bones import rig_presets
from ..retarget.mapping import BadMapping
from .on_target import OnTarget

LONGEST_NAME = 63
"""Characters of a name that Blender keeps."""


class _OnFile(OnTarget):
    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})  # type: ignore[valid-type]
    filter_glob: bpy.props.StringProperty(default="*.json", options={"HIDDEN"})  # type: ignore[valid-type]

    def invoke(self, context: Any, _event: Any) -> set[str]:
        """Ask for the file."""
        if not self.filepath:
            name = targets.chosen(context.scene).mapping_name or "mapping"
            self.filepath = bpy.path.clean_name(name) + ".json"
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}


class FLOWFACE_OT_retarget_mapping_load(_OnFile, bpy.types.Operator):  # type: ignore[misc]
    """Load a mapping from a file in place of the character's"""

    bl_idname = "flowface.retarget_mapping_load"
    bl_label = "Load Mapping"

    def execute(self, context: Any) -> set[str]:
        """Load it, and say what of it the character does not have."""
        target = targets.chosen(context.scene)
        try:
            mapping = files.read(Path(bpy.path.abspath(self.filepath)))
        except BadMapping as problem:
            self.report({"WARNING"}, str(problem))
            return {"CANCELLED"}
        if target.object is not None and target.object.type == "ARMATURE":
            mapping = rig_presets.fitted(mapping, target.object)
        properties.write_mapping(target, mapping)
        linked = len({link.key for link in mapping.keys} | {link.bone for link in mapping.bones})
        missing = files.missing(mapping, target.object)
        if missing:
            shown = ", ".join(name[:LONGEST_NAME] for name in missing[:10]) + (
                f" and {len(missing) - 10} more" if len(missing) > 10 else ""
            )
            self.report({"WARNING"}, f"The character has {linked - len(missing)} of {linked}. Not there: {shown}")
        else:
            self.report({"INFO"}, f"{linked} shape keys and bones are linked")
        return {"FINISHED"}


class FLOWFACE_OT_retarget_mapping_save(_OnFile, bpy.types.Operator):  # type: ignore[misc]
    """Save the character's mapping as a file, for other characters and other people"""

    bl_idname = "flowface.retarget_mapping_save"
    bl_label = "Save Mapping"
    bl_options = set()  # noqa: RUF012 - Blender reads it from the class

    check_existing: bpy.props.BoolProperty(default=True, options={"HIDDEN"})  # type: ignore[valid-type]

    def execute(self, context: Any) -> set[str]:
        """Save it, named after the file unless it has a name."""
        path = Path(bpy.path.abspath(self.filepath))
        if not path.name:
            self.report({"WARNING"}, "Choose a file to write")
            return {"CANCELLED"}
        if path.suffix != ".json":
            path = path.with_name(path.name + ".json")
        mapping = properties.mapping_of(targets.chosen(context.scene))
        try:
            files.write(path, mapping)
        except OSError as problem:
            self.report({"ERROR"}, f"“{path.name}” cannot be written: {problem.strerror or problem}.")
            return {"CANCELLED"}
        self.report({"INFO"}, f"The mapping is in “{path.name}”")
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_retarget_mapping_load, FLOWFACE_OT_retarget_mapping_save)
