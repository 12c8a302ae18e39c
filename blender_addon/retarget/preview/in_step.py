"""A scene and its preview in two windows are on one frame: scrub or play in either, edit keys beside the preview."""

from __future__ import annotations

from typing import Any

import bpy

from . import side_by_side

EVERY, SELDOM = 0.03, 0.5
"""Seconds between two looks at the frames: while both are seen, and else."""

_last: dict[int, int] = {}
"""The frame that a preview and its scene had last, by the preview's ``session_uid``."""


def tick() -> float:
    """Blender's timer."""
    seen = {window.scene for window in bpy.context.window_manager.windows}
    pairs = [(side_by_side.shown_scene(scene), scene) for scene in seen if side_by_side.is_preview(scene)]
    pairs = [(home, preview) for home, preview in pairs if home in seen]
    for uid in set(_last) - {preview.session_uid for _, preview in pairs}:
        del _last[uid]
    if not bpy.app.is_job_running("RENDER"):
        for home, preview in pairs:
            keep(home, preview)
    return EVERY if pairs else SELDOM


def keep(home: Any, preview: Any) -> None:
    """Bring both to the frame of the one that moved since the last time; at first, or if both did, to the scene's."""
    before = _last.get(preview.session_uid)
    frame = preview.frame_current if home.frame_current == before else home.frame_current
    for scene in (home, preview):
        if scene.frame_current != frame:
            scene.frame_set(frame)
    _last[preview.session_uid] = frame
