"""Live recordings that no scene has taken in: add one to this scene, or discard it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from .. import session, settings
from ..live_capture import running, takes_live, unplaced
from ..live_capture.recording import NothingRecorded
from ..scene import takes


class _OfRecording:
    """An operator for the recording at ``path``."""

    path: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]

    def refuse(self, why: str) -> set[str]:
        """Say why not."""
        running.now.notice = session.Notice(why, is_error=True)
        self.report({"WARNING"}, why)  # type: ignore[attr-defined]
        return {"CANCELLED"}


class FLOWFACE_OT_live_recording_add(_OfRecording, bpy.types.Operator):  # type: ignore[misc]
    """Make this recording a version of the head that was driven, which is built where the scene has none; its file \
stays until it is discarded"""

    bl_idname = "flowface.live_recording_add"
    bl_label = "Add"
    bl_options = {"UNDO", "INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    @classmethod
    def poll(cls, context: Any) -> bool:
        """Bones can only be made in Object Mode, and a head that is live is another session's."""
        capture = session.current().capture
        if capture is not None and not capture.over:
            cls.poll_message_set("A live session goes on: stop it first")
            return False
        if context.mode != "OBJECT":
            cls.poll_message_set("Switch to Object Mode first")
            return False
        return True

    def execute(self, context: Any) -> set[str]:
        """Find or build the head, and write the keys."""
        try:
            told, take, recorded = unplaced.read(Path(self.path))
            collection = takes_live.settle(context, take, told.source, takes.shown_take(context))
            version = takes_live.keep(context, collection, take, recorded)
        except (unplaced.Unreadable, NothingRecorded) as problem:
            return self.refuse(str(problem))
        settings.of(context.scene).take = collection
        running.now.notice = session.Notice(f"{version.notes} This is {version.name.lower()} of “{collection.name}”.")
        return {"FINISHED"}


class FLOWFACE_OT_live_recording_discard(_OfRecording, bpy.types.Operator):  # type: ignore[misc]
    """Delete the file of this recording, but not its pictures"""

    bl_idname = "flowface.live_recording_discard"
    bl_label = "Discard Recording"
    bl_options = {"INTERNAL"}  # noqa: RUF012 - Blender reads it from the class

    def invoke(self, context: Any, event: Any) -> set[str]:
        """Ask first."""
        return set(context.window_manager.invoke_confirm(self, event))

    def execute(self, _context: Any) -> set[str]:
        """Delete it."""
        path, recordings = Path(self.path), running.recordings
        if recordings is None or path not in [one.path for one in recordings.waiting()]:
            return self.refuse(f"There is no recording at {path}.")
        try:
            recordings.discard(path)
        except OSError as error:
            return self.refuse(f"{path} cannot be deleted: {error.strerror}.")
        return {"FINISHED"}


CLASSES = (FLOWFACE_OT_live_recording_add, FLOWFACE_OT_live_recording_discard)
