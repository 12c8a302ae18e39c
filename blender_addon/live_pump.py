"""The regular work of a live session on Blender's main thread, many times a second while there is one."""

from __future__ import annotations

import time
import traceback

import bpy

from . import preferences, pump, session
from .live_capture import running
from .live_capture.unplaced import FOLDER, Recordings
from .operators import live_capture as operators

IDLE = 0.25  # seconds
WORDS_SECONDS = 0.25
"""Between two drawings of the panel's figures."""

_words_at = 0.0


def tick() -> float:
    """One round; returns the seconds until the next, as Blender's timers want it. Never raises, or the timer ends."""
    if running.recordings is None:
        running.recordings = Recordings(preferences.user_folder() / FOLDER)
    capture = session.current().capture
    if (capture is None or capture.over) and not running.now.to_keep:
        return IDLE
    try:
        _round()
    except Exception as error:
        traceback.print_exc()
        running.now.notice = session.Notice(f"Live failed because of an error of its own: {error}.", is_error=True)
        running.now.to_build = False
        running.put_aside(running.now.notice.text)
        if capture is not None:
            capture.end()
    return running.INTERVAL


def _round() -> None:
    global _words_at
    now = running.now
    changed = running.listen()
    capture = session.current().capture
    if now.home is not None and now.to_build and capture is not None and not capture.over:
        changed = pump.run_when_possible(bpy.context, now.home, operators.FLOWFACE_OT_live_capture_build) or changed
    elif now.home is not None and now.to_keep:
        changed = pump.run_when_possible(bpy.context, now.home, operators.FLOWFACE_OT_live_capture_keep) or changed
    else:
        changed = running.show(bpy.context) or changed
    if changed or time.monotonic() - _words_at > WORDS_SECONDS:
        _words_at = time.monotonic()
        pump.redraw()
