"""Export: a take as a file for other tools, written by the backend."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bpy

from .. import choices, session
from ..client import Connection
from ..scene import actors, takes
from ..scene.ownership import JOB_KEY


class FLOWFACE_OT_export(bpy.types.Operator):  # type: ignore[misc]
    """Write the take as it was tracked, without what was changed in Blender since, as a file for other tools"""

    bl_idname = "flowface.export"
    bl_label = "Export Take"

    format: bpy.props.EnumProperty(name="Format", items=choices.export_items)  # type: ignore[valid-type]
    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})  # type: ignore[valid-type]
    check_existing: bpy.props.BoolProperty(default=True, options={"HIDDEN"})  # type: ignore[valid-type]
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})  # type: ignore[valid-type]
    filter_glob: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]

    @classmethod
    def description(cls, _context: Any, properties: Any) -> str:
        """The tooltip, of a format where one is named."""
        named = properties.format if properties.is_property_set("format") else ""
        about = next((info.help for info in session.current().exports if info.name == named), "")
        return ". ".join(filter(None, (choices.capital(about), cls.__doc__)))

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be a take whose job is known, a backend that has exports, and no other export on its way."""
        now, take = session.current(), takes.shown_take(context)
        if take is None or not take.get(JOB_KEY):
            cls.poll_message_set("Track the footage again: this take does not say which job it came from")
            return False
        if now.connection is not Connection.CONNECTED or not now.exports:
            cls.poll_message_set("The backend is not running")
            return False
        if now.exporting is not None:
            cls.poll_message_set("A take is being exported")
            return False
        return True

    def invoke(self, context: Any, _event: Any) -> set[str]:
        """Let the user choose the file."""
        suffix = self._suffix()
        folder = Path(bpy.data.filepath).parent if bpy.data.is_saved else Path.home()
        self.filepath = str(folder / f"{bpy.path.clean_name(takes.shown_take(context).name)}{suffix}")
        self.filter_glob = f"*{suffix}" if suffix else ""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def check(self, _context: Any) -> bool:
        """Keep the file's suffix to the format where another is chosen beside the files."""
        path, suffix = Path(self.filepath), self._suffix()
        if path.suffix == suffix or path.suffix not in {"", *(info.suffix for info in session.current().exports)}:
            return False
        self.filepath, self.filter_glob = str(path.with_suffix(suffix)), f"*{suffix}" if suffix else ""
        return True

    def execute(self, context: Any) -> set[str]:
        """Ask the backend; the file comes in its own time."""
        if not self.filepath or os.path.isdir(bpy.path.abspath(self.filepath)):  # noqa: PTH112 - Path raises for long names
            new = "" if self._suffix() else ": a new folder, which is not there yet"
            self.report({"WARNING"}, f"Choose a name for what is written{new}")
            return {"CANCELLED"}
        path = Path(bpy.path.abspath(self.filepath)).absolute()
        if not path.suffix:
            path = path.with_name(f"{path.name}{self._suffix()}")
        job, face = actors.job_of(takes.shown_take(context)[JOB_KEY])
        session.current().export(job, self.format, path, face)
        return {"FINISHED"}

    def _suffix(self) -> str:
        """The file's ending; none where the format is a folder of files."""
        exports = session.current().exports
        return next((info.suffix for info in exports if info.name == self.format and not info.folder), "")


CLASSES = (FLOWFACE_OT_export,)
