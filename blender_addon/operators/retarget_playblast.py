"""Playblast: the preview as a film, rendered beside the user's work."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import bpy

from .. import building
from ..retarget import properties
from ..retarget.preview import playblast, side_by_side
from . import retarget_preview
from .for_preview import ForPreview

LOOK_EVERY = 0.25
"""Seconds between two looks at how far it is."""


class FLOWFACE_OT_retarget_playblast(ForPreview, bpy.types.Operator):  # type: ignore[misc]
    """Write footage, the tracked head and all characters that it drives side by side into a film, with sound; Blender \
can be used meanwhile, Esc cancels"""

    bl_idname = "flowface.retarget_playblast"
    bl_label = "Playblast"

    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})  # type: ignore[valid-type]
    check_existing: bpy.props.BoolProperty(default=True, options={"HIDDEN"})  # type: ignore[valid-type]
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})  # type: ignore[valid-type]
    filter_glob: bpy.props.StringProperty(default="*.mp4", options={"HIDDEN", "SKIP_SAVE"})  # type: ignore[valid-type]

    def invoke(self, context: Any, _event: Any) -> set[str]:
        """Let the user choose the file."""
        folder = Path(bpy.data.filepath).parent if bpy.data.is_saved else Path.home()
        home = side_by_side.shown_scene(context.scene) or context.scene
        shown = side_by_side.preview_of(home)
        name = shown.name if shown is not None else f"{home.name} Preview"
        self.filepath = str(folder / f"{bpy.path.clean_name(name)}{playblast.SUFFIX}")
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def check(self, _context: Any) -> bool:
        """Keep the file's suffix."""
        path = Path(self.filepath)
        if not path.name or path.suffix.lower() == playblast.SUFFIX:
            return False
        self.filepath = f"{path}{playblast.SUFFIX}"
        return True

    def execute(self, context: Any) -> set[str]:
        """Set it up and let Blender render it: as a job in a window, at once without one."""
        path = Path(bpy.path.abspath(self.filepath)).absolute()
        if not self.filepath or os.path.isdir(path):  # noqa: PTH112 - which names too long for a file are no trouble to
            self.report({"WARNING"}, "Choose a film to write")
            return {"CANCELLED"}
        if path.suffix.lower() != playblast.SUFFIX:
            path = path.with_name(f"{path.name}{playblast.SUFFIX}")
        home = side_by_side.shown_scene(context.scene) or context.scene
        passing = side_by_side.preview_of(home) is None
        try:
            preview = retarget_preview.made(context)
            height = int(getattr(home, properties.NAME).playblast_height)
            self.film = playblast.prepare(preview, path, height, passing=passing)
        except side_by_side.NothingToShow as problem:
            self.report({"WARNING"}, str(problem))
            return {"CANCELLED"}
        except OSError as error:
            if passing:
                side_by_side.remove(preview)
            self.report({"WARNING"}, f"{path} cannot be written: {error.strerror}")
            return {"CANCELLED"}
        if bpy.app.background or context.window is None:
            playblast.render(self.film)
            return self._end()
        return self._begin(context)

    def _begin(self, context: Any) -> set[str]:
        self.heard = contextlib.ExitStack()
        self.heard.enter_context(playblast.listening(self.film))
        try:
            playblast.begin(self.film)
        except RuntimeError:
            self.heard.close()
            return self._end()
        self.timer = context.window_manager.event_timer_add(LOOK_EVERY, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: Any, event: Any) -> set[str]:
        """Wait for the end of the render; all events are Blender's."""
        if event.type != "TIMER" or building.rendering():
            return {"PASS_THROUGH"}
        self._let_go(context)
        for window in context.window_manager.windows:
            for area in window.screen.areas:
                area.tag_redraw()
        return self._end()

    def cancel(self, context: Any) -> None:
        """Blender is closed, or another file is opened."""
        self._let_go(context)
        self.film.ended = "cancel"
        with contextlib.suppress(OSError):
            playblast.finish(self.film)

    def _let_go(self, context: Any) -> None:
        context.window_manager.event_timer_remove(self.timer)
        self.heard.close()

    def _end(self) -> set[str]:
        try:
            sentence = playblast.finish(self.film)
        except OSError as error:
            self.report({"ERROR"}, f"{self.film.path} cannot be written: {error.strerror}")
            return {"CANCELLED"}
        if self.film.ended == "complete":
            self.report({"INFO"}, sentence)
            return {"FINISHED"}
        self.report({"WARNING"}, sentence or "The playblast was cancelled")
        return {"CANCELLED"}


CLASSES = (FLOWFACE_OT_retarget_playblast,)
