"""Export a take's head, or a character that follows one, with its animation as it is seen."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ..retarget.exchange import baked_scene, exporters, parts, seen, stepping
from ..scene import ownership, takes

F64 = NDArray[np.float64]

KINDS = ("MESH", "ARMATURE")
"""Of objects that characters consist of."""


class FLOWFACE_OT_export_character(bpy.types.Operator):  # type: ignore[misc]
    """Write the selected character, else the take's head, with all that moves it on the scene's frames: what drivers, \
constraints and layers make of it is keyed. Nothing in the scene changes"""

    bl_idname = "flowface.export_character"
    bl_label = "Export Character"

    format: bpy.props.EnumProperty(  # type: ignore[valid-type]
        name="Format", items=[(one.name, one.title, one.help) for one in exporters.FORMATS]
    )
    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})  # type: ignore[valid-type]
    character: bpy.props.StringProperty(  # type: ignore[valid-type]
        description="The name of the object that is meant instead", options={"HIDDEN", "SKIP_SAVE"}
    )
    check_existing: bpy.props.BoolProperty(default=True, options={"HIDDEN"})  # type: ignore[valid-type]
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})  # type: ignore[valid-type]
    filter_glob: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]

    @classmethod
    def description(cls, _context: Any, properties: Any) -> str:
        """The tooltip, of a format where one is named."""
        named = exporters.format_of(properties.format).help if properties.is_property_set("format") else ""
        return ". ".join(filter(None, (named, cls.__doc__)))

    @classmethod
    def poll(cls, context: Any) -> bool:
        """There must be a character."""
        if context.mode != "OBJECT":
            cls.poll_message_set("Go to Object Mode first")
            return False
        if context.window is None or not any(obj.type in KINDS for obj in context.scene.objects):
            cls.poll_message_set("There is no mesh and no armature in the scene")
            return False
        return True

    def invoke(self, context: Any, _event: Any) -> set[str]:
        """Let the user choose the file."""
        suffix, meant = self._suffixes()[0], _meant(context, self.character)
        folder = Path(bpy.data.filepath).parent if bpy.data.is_saved else Path.home()
        self.filepath = str(folder / f"{bpy.path.clean_name(meant.name if meant is not None else 'face')}{suffix}")
        self.filter_glob = ";".join(f"*{one}" for one in self._suffixes())
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def check(self, _context: Any) -> bool:
        """Keep the file's suffix to the format where another is chosen beside the files."""
        path, suffixes = Path(self.filepath), self._suffixes()
        if path.suffix.lower() in suffixes or not any(path.suffix in one.suffixes for one in exporters.FORMATS):
            return False
        self.filepath, self.filter_glob = str(path.with_suffix(suffixes[0])), ";".join(f"*{one}" for one in suffixes)
        return True

    def execute(self, context: Any) -> set[str]:
        """Look at each frame, and let Blender's exporter write a copy that does the same."""
        chosen, meant = exporters.format_of(self.format), _meant(context, self.character)
        if meant is None:
            self.report({"ERROR"}, "Select a character's mesh or armature, or track a take.")
            return {"CANCELLED"}
        if not self.filepath:
            self.report({"WARNING"}, "Choose a file to write")
            return {"CANCELLED"}
        if not chosen.is_there():
            self.report({"ERROR"}, f"{chosen.missing}, to export {chosen.title}.")
            return {"CANCELLED"}
        path = Path(bpy.path.abspath(self.filepath)).absolute()
        path = path if path.suffix.lower() in chosen.suffixes else path.with_name(f"{path.name}{chosen.suffixes[0]}")
        found = parts.parts_of(meant, context.scene, context.view_layer)
        if meant not in found:
            self.report({"ERROR"}, f"“{meant.name}” is hidden: show it first.")
            return {"CANCELLED"}
        frames = np.array(stepping.range_of(context.scene), np.float64)
        try:
            _try_to_write(path)
        except OSError as error:
            self.report({"ERROR"}, f"“{path.name[:63]}” cannot be written: {error.strerror}.")
            return {"CANCELLED"}
        try:
            with self._scene(context, chosen, found, frames) as scene:
                chosen.write(path, scene)
        except (RuntimeError, OSError) as error:  # an exporter's own error reports
            self.report({"ERROR"}, f"{chosen.title} was not written: {str(error).strip()}")
            return {"CANCELLED"}
        names = ", ".join(f"“{obj.name}”" for obj in found[:5]) + (" and others" if len(found) > 5 else "")
        self.report({"INFO"}, f"Wrote {names} on {len(frames)} frames to {path}.")
        return {"FINISHED"}

    @staticmethod
    def _scene(context: Any, chosen: exporters.Format, found: list[Any], frames: F64) -> AbstractContextManager[Any]:
        if chosen.of_points:
            return baked_scene.linked(context, found, frames)
        looks = seen.on_frames(context, found, frames)
        return baked_scene.baked(context, looks, frames, whole_rate=chosen.whole_rate)

    def _suffixes(self) -> tuple[str, ...]:
        return exporters.format_of(self.format).suffixes


def _try_to_write(path: Path) -> None:
    """Raise OSError where no file can be written: exporters print that, or say nothing of it at all."""
    there = path.exists()
    path.open("ab").close()
    if not there:
        path.unlink()


def _meant(context: Any, name: str = "") -> Any | None:
    """The object called ``name``, else the active mesh or armature, else the head of the take that is shown."""
    if name:
        return context.scene.objects.get(name)
    active, take = context.active_object, takes.shown_take(context)
    head = take.get(ownership.HEAD) if take is not None else None
    if active is None or active.type not in KINDS:
        return head
    rig = ownership.member(take, ownership.ARMATURE) if take is not None else None
    return head if active == rig else active


def draw_in_menu(menu: Any, _context: Any) -> None:
    """The entry of File > Export."""
    menu.layout.operator_menu_enum(FLOWFACE_OT_export_character.bl_idname, "format", text="FlowFace Character")


CLASSES = (FLOWFACE_OT_export_character,)
