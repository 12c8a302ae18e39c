"""Import what Live Link Face has recorded, for characters to follow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from ..retarget.exchange import recorded
from ..vendor import live_link_reading


class FLOWFACE_OT_import_live_link(bpy.types.Operator):  # type: ignore[misc]
    """Read a CSV of Live Link Face, or one that another program wrote like it, as an empty that plays it: its \
properties are the 52 actions, it turns as the head does, and characters can follow it as they follow a take"""

    bl_idname = "flowface.import_live_link"
    bl_label = "Import Live Link Face"
    bl_options = {"REGISTER", "UNDO"}  # noqa: RUF012 - Blender reads it from the class

    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})  # type: ignore[valid-type]
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})  # type: ignore[valid-type]
    filter_glob: bpy.props.StringProperty(default="*.csv", options={"HIDDEN"})  # type: ignore[valid-type]
    first_frame: bpy.props.IntProperty(  # type: ignore[valid-type]
        name="First Frame", description="The scene's frame on which the recording begins", default=1
    )
    rate: bpy.props.FloatProperty(  # type: ignore[valid-type]
        name="Timecode Rate",
        description="Frames a second that the file's timecode counts; 0 to tell it from the file (the app counts 60)",
        min=0.0,
        max=1000.0,
        default=0.0,
    )

    @classmethod
    def poll(cls, context: Any) -> bool:
        """New objects are linked in Object Mode."""
        if context.mode != "OBJECT":
            cls.poll_message_set("Go to Object Mode first")
            return False
        return True

    def invoke(self, context: Any, _event: Any) -> set[str]:
        """Let the user choose the file."""
        self.first_frame = context.scene.frame_start
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: Any) -> set[str]:
        """Read the file and make the empty, which is the active object then."""
        path = Path(bpy.path.abspath(self.filepath))
        try:
            read = live_link_reading.from_csv(_bytes(path), self.rate or None)
        except OSError as error:
            self.report({"ERROR"}, f"“{path.name[:63]}” cannot be read: {error.strerror}.")
            return {"CANCELLED"}
        except live_link_reading.BadRecording as error:
            self.report({"ERROR"}, f"“{path.name}” cannot be read. {error}")
            return {"CANCELLED"}
        made = recorded.build_source(context, path.stem, read, float(self.first_frame))
        for obj in context.selected_objects:
            obj.select_set(False)
        if made.name in context.view_layer.objects:  # not in a collection that is left out of the view layer
            made.select_set(True)
            context.view_layer.objects.active = made
        left_out = f"; {read.left_out} without a face or a time of their own were left out" if read.left_out else ""
        seconds = f"{read.times[-1]:.2f} s"
        self.report({"INFO"}, f"Read {len(read.weights)} actions in {len(read.times)} rows, {seconds}{left_out}.")
        return {"FINISHED"}


def _bytes(path: Path) -> bytes:
    """The file's bytes, no more than one too many for a recording."""
    with path.open("rb") as file:
        return file.read(live_link_reading.MAX_BYTES + 1)


def draw_in_menu(menu: Any, _context: Any) -> None:
    """The entry of File > Import."""
    menu.layout.operator(FLOWFACE_OT_import_live_link.bl_idname, text="Live Link Face (.csv)")


CLASSES = (FLOWFACE_OT_import_live_link,)
