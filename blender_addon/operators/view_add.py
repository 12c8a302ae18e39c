"""Add what further cameras filmed of the same performance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from .. import settings


class FLOWFACE_OT_view_add(bpy.types.Operator):  # type: ignore[misc]
    """Choose what further cameras filmed of the same performance; several files may be chosen at once"""

    bl_idname = "flowface.view_add"
    bl_label = "Add Views"
    bl_options = {"UNDO"}  # noqa: RUF012 - Blender reads it from the class

    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})  # type: ignore[valid-type]
    directory: bpy.props.StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE"})  # type: ignore[valid-type]
    files: bpy.props.CollectionProperty(  # type: ignore[valid-type]
        type=bpy.types.OperatorFileListElement, options={"SKIP_SAVE", "HIDDEN"}
    )
    filter_movie: bpy.props.BoolProperty(default=True, options={"HIDDEN"})  # type: ignore[valid-type]
    filter_image: bpy.props.BoolProperty(default=True, options={"HIDDEN"})  # type: ignore[valid-type]
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})  # type: ignore[valid-type]

    def invoke(self, context: Any, _event: Any) -> set[str]:
        """Let the user choose."""
        self.directory = str(Path(bpy.path.abspath(settings.of(context.scene).footage)).parent)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: Any) -> set[str]:
        """Add one view for each file."""
        names = [entry.name for entry in self.files if entry.name]
        paths = [Path(self.directory) / name for name in names] or [Path(self.filepath)] * bool(self.filepath)
        if not paths:
            return {"CANCELLED"}
        chosen = settings.of(context.scene)
        for path in paths:
            view = chosen.views.add()
            view.footage = _as_preferred(context, path)
            settings.name_view(chosen, view, path.stem)
        chosen.active_view = len(chosen.views) - 1
        return {"FINISHED"}


def _as_preferred(context: Any, path: Path) -> str:
    """The path as the user's preferences want paths: relative to the file, or whole."""
    if bpy.data.is_saved and context.preferences.filepaths.use_relative_paths:
        try:
            return str(bpy.path.relpath(str(path)))
        except ValueError:  # on another drive of Windows
            return str(path)
    return str(path)


CLASSES = (FLOWFACE_OT_view_add,)
