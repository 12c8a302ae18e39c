"""Export a face's animation as Live Link Face records one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from ..retarget.exchange import recorded, stepping
from ..vendor import live_link


class FLOWFACE_OT_export_live_link(bpy.types.Operator):  # type: ignore[misc]
    """Write what the active face plays on the scene's frames, edits included, as Live Link Face's CSV: a take's head \
or any object with shape keys or properties that are called like ARKit's actions"""

    bl_idname = "flowface.export_live_link"
    bl_label = "Export Live Link Face"

    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})  # type: ignore[valid-type]
    check_existing: bpy.props.BoolProperty(default=True, options={"HIDDEN"})  # type: ignore[valid-type]
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})  # type: ignore[valid-type]
    filter_glob: bpy.props.StringProperty(default="*.csv", options={"HIDDEN"})  # type: ignore[valid-type]

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be a face."""
        if next(recorded.sources_of(context), None) is None:
            cls.poll_message_set("Select an object whose shape keys are called like ARKit's actions, or track a take")
            return False
        return True

    def invoke(self, context: Any, _event: Any) -> set[str]:
        """Let the user choose the file."""
        folder = Path(bpy.data.filepath).parent if bpy.data.is_saved else Path.home()
        self.filepath = str(folder / f"{bpy.path.clean_name(next(recorded.sources_of(context)).name)}.csv")
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: Any) -> set[str]:
        """Look at each frame and write the file."""
        if not self.filepath:
            self.report({"WARNING"}, "Choose a file to write")
            return {"CANCELLED"}
        path, face = Path(bpy.path.abspath(self.filepath)), next(recorded.sources_of(context))
        path = path if path.suffix else path.with_name(f"{path.name}.csv")
        try:
            read = recorded.recording(context, face)
            path.write_bytes(live_link.to_csv(read))
        except recorded.CannotRecord as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        except OSError as error:
            self.report({"ERROR"}, f"“{path.name[:63]}” cannot be written: {error.strerror}.")
            return {"CANCELLED"}
        frames = len(stepping.range_of(context.scene))
        self.report({"INFO"}, f"Wrote {len(read.weights)} actions of “{face.name}” on {frames} frames to {path}.")
        return {"FINISHED"}


def draw_in_menu(menu: Any, _context: Any) -> None:
    """The entry of File > Export."""
    menu.layout.operator(FLOWFACE_OT_export_live_link.bl_idname, text="Live Link Face (.csv)")


CLASSES = (FLOWFACE_OT_export_live_link,)
