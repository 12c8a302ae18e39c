"""A preview as a film: rendered by Workbench, written by Blender's own ffmpeg, with the sound of the footage.

All settings are the preview scene's; no other scene's are touched. The film has its name only once it is whole.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from ... import compat
from . import side_by_side

SUFFIX = ".mp4"
AUDIO_KBITS = 192


@dataclass
class Playblast:
    """A film that is being made of a preview; ``preview`` is its scene's name, as undo may change the scene itself."""

    preview: str
    path: Path
    unfinished: Path
    frames: tuple[int, int]
    span: tuple[int, int]  # of the preview, which the film may be a part of
    passing: bool  # the preview was made for the film alone
    ended: str = ""  # "complete" or "cancel", as Blender said it

    @property
    def count(self) -> int:
        """How many frames it has."""
        return self.frames[1] - self.frames[0] + 1


def prepare(preview: Any, path: Path, height: int, *, passing: bool) -> Playblast:
    """Set a preview up for being rendered to ``path``, cells ``height`` pixels high: its preview range, if it has one.

    ``passing`` previews are removed at the end.

    Raises:
        OSError: no file can be written there.
    """
    span = (preview.frame_start, preview.frame_end)
    used = (preview.frame_preview_start, preview.frame_preview_end) if preview.use_preview_range else span
    with contextlib.suppress(FileNotFoundError):
        path.stat()  # of a name too long for a file
    unfinished = path.with_name(f".{bpy.path.clean_name(path.stem[:40])}.part{SUFFIX}")  # Blender counts frames in #
    unfinished.touch()
    preview.frame_start, preview.frame_end = used
    side_by_side.set_height(preview, height)
    render = preview.render
    compat.write_film(render)
    film = render.ffmpeg
    film.format, film.codec, film.constant_rate_factor = "MPEG4", "H264", "HIGH"
    film.ffmpeg_preset, film.gopsize = "REALTIME", 12
    film.audio_codec = "AAC" if side_by_side.has_sound(preview) else "NONE"
    film.audio_bitrate, film.audio_channels = AUDIO_KBITS, "STEREO"
    render.filepath, render.use_file_extension, render.use_overwrite = compat.output_path(str(unfinished)), True, True
    render.use_sequencer, render.use_compositing, render.use_stamp = True, False, False
    return Playblast(preview.name, path, unfinished, used, span, passing)


def finish(playblast: Playblast) -> str:
    """Give a film that is whole its name, remove one that is not; what was set up is taken back.

    Returns what became of it, in a sentence; "" where it was cancelled.

    Raises:
        OSError: the film cannot be put where it should be.
    """
    preview = bpy.data.scenes.get(playblast.preview)
    if preview is not None and side_by_side.is_preview(preview):
        preview.frame_start, preview.frame_end = playblast.span
        if playblast.passing:
            side_by_side.remove(preview)
    whole = playblast.ended == "complete" and playblast.unfinished.is_file() and playblast.unfinished.stat().st_size > 0
    if whole:
        playblast.unfinished.replace(playblast.path)
        return f"{playblast.count} frames were written to {playblast.path}."
    with contextlib.suppress(OSError):
        playblast.unfinished.unlink()
    if playblast.ended == "cancel":
        return ""
    return "The playblast could not be rendered: Blender's console says why."


def render(playblast: Playblast) -> None:
    """Render it now, and wait; Blender prints why where it cannot."""
    with listening(playblast), contextlib.suppress(RuntimeError):
        bpy.ops.render.render(animation=True, scene=playblast.preview)


def begin(playblast: Playblast) -> None:
    """Render it as a job of Blender's, which shows no picture of its own, in this window."""
    view = bpy.context.preferences.view
    shown = view.render_display_type
    view.render_display_type = "NONE"
    try:
        with bpy.context.temp_override(scene=bpy.data.scenes[playblast.preview]):
            bpy.ops.render.render("INVOKE_DEFAULT", animation=True)
    finally:
        view.render_display_type = shown


@contextlib.contextmanager
def listening(playblast: Playblast) -> Any:
    """Hear from Blender how the render ends."""

    def complete(*_: Any) -> None:
        playblast.ended = "complete"

    def cancel(*_: Any) -> None:
        playblast.ended = "cancel"

    handlers = bpy.app.handlers
    handlers.render_complete.append(complete)
    handlers.render_cancel.append(cancel)
    try:
        yield
    finally:
        handlers.render_complete.remove(complete)
        handlers.render_cancel.remove(cancel)
