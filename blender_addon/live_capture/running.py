"""What a live session drives in this Blender: which take's head, what is to be built of what came, and what to tell.

Everything here runs on Blender's main thread and returns at once. Data is known by name, never held across ticks but
by the ``Puppet``, which dies with an undo.
"""

from __future__ import annotations

import dataclasses
import time
import traceback
from dataclasses import dataclass, field
from typing import Any

import bpy
from bpy.app.handlers import persistent

from .. import building, session
from ..active_job import Home, Notice
from ..live_client import Recorded
from ..live_process import OVER, Capture
from ..vendor import codec, live
from ..vendor import take as contract
from . import holding, unplaced

INTERVAL = 1 / 120
"""Seconds between two looks for a pose: a fraction of a frame."""
GONE = "The head that was live was deleted, or undone: the live session was stopped."
OTHER_FILE = "Another file was opened: the live session was stopped."
NO_HEAD = "The head that was recorded is gone."
PUT_ASIDE = "Its recording of {:.1f} s is kept under Live Capture, to be added to this file or to another one."
LAST_RECORDING_SECONDS = 4.0
"""The end of a session is waited for so long where it records and Blender quits."""


@dataclass
class Running:
    """What is known of the live session beside its process."""

    home: Home | None = None
    take: contract.TakeResult | None = None  # that the session drives
    to_build: bool = False  # the take is not in the scene yet
    to_keep: list[Recorded] = field(default_factory=list)
    elsewhere: bool = False  # another file was opened since
    collection: int = 0  # Blender's number of the take's collection in this file; 0 before it is built
    notice: Notice | None = None
    puppet: holding.Puppet | None = None
    shown: live.LivePose | None = None  # the last pose that the head shows
    drawn: int = 0  # poses that were shown


now = Running()
recordings: unplaced.Recordings | None = None
"""What no scene has taken in, in the add-on's folder; None until that is known."""


def begin(capture: Capture, home: Home) -> None:
    """A session has been started for a scene."""
    global now
    session.current().capture = capture
    now = Running(home)


def listen() -> bool:
    """Take what the session says; True where a user sees a difference."""
    capture = session.current().capture
    if capture is None or capture.over:
        return False
    events = capture.events()
    for event in events:
        if isinstance(event, live.LiveTake):
            now.take, now.to_build = event.take, True
        elif isinstance(event, Recorded):
            now.to_keep.append(event)
            if now.elsewhere:
                put_aside(OTHER_FILE)
    if capture.over:
        _after_the_end(capture)
        return True
    if capture.state.phase in OVER and now.puppet is not None:
        let_go()  # its process still takes a moment
    return bool(events)


def _after_the_end(capture: Capture) -> None:
    let_go()
    state = capture.state
    if state.phase is live.LivePhase.FAILED:
        now.notice = Notice(f"{state.sentence} {state.hint}".strip(), is_error=True)
    elif now.notice is None:
        now.notice = Notice(state.sentence or "The live session has ended.")


def head_take() -> Any | None:
    """The collection of the take that is live; None before it is built, and where it is gone."""
    found = (one for one in bpy.data.collections if one.session_uid == now.collection and MARK in one)
    return next(found, None) if now.collection else None


MARK = "flowface_live"
"""Of a take's collection: the source that drove it live, by name."""


def show(context: Any) -> bool:
    """Have the head show the newest pose, if there is a new one; older ones are never made up for."""
    capture = session.current().capture
    if capture is None or not capture.running or not now.collection or now.to_build or building.rendering():
        return False
    pose = capture.newest()
    if pose is None and (now.puppet is not None or now.shown is None):
        return False
    pose = pose or now.shown
    if pose is None or now.take is None:
        return False
    try:
        if now.puppet is None or holding.is_disturbed(now.puppet.collection):
            now.puppet = _new_puppet(now.take)
        now.puppet.show(pose)
    except (ReferenceError, LookupError):
        now.puppet = None
        if head_take() is None:
            now.notice = Notice(GONE, is_error=True)
            capture.end()
        return True
    except Exception:  # whatever it is, it must not come again a hundred times a second
        traceback.print_exc()
        now.notice = Notice("The head cannot be driven because of an error of FlowFace's own.", is_error=True)
        capture.end()
        return True
    now.shown, now.drawn = pose, now.drawn + 1
    _redraw(context)
    return False


def _new_puppet(take: contract.TakeResult) -> holding.Puppet:
    collection = head_take()
    if collection is None:
        raise LookupError("take")
    holding.give_all_back(but=collection)
    holding.hold(collection)
    return holding.Puppet(collection, take.head.expression_names)


def let_go() -> None:
    """Give the head its Actions back; it is held again with the next pose, while a session runs."""
    now.puppet = None
    if holding.give_all_back():
        for window in bpy.context.window_manager.windows:
            window.scene.frame_set(window.scene.frame_current)


def put_aside(why: str) -> None:
    """Keep recordings that no scene takes in as files of their own, and say so behind ``why``."""
    left, now.to_keep = [one for one in now.to_keep if one.poses], []
    capture = session.current().capture
    if now.take is None or capture is None or recordings is None:
        return
    for recorded in left:
        try:
            kept = recordings.save(recorded, now.take, capture.source.name, now.home.file if now.home else "")
        except (OSError, codec.ProtocolError) as error:
            reason = getattr(error, "strerror", None) or error
            now.notice = Notice(f"{why} Its recording could not be saved: {reason}.", is_error=True)
        else:
            now.notice = Notice(f"{why} {PUT_ASIDE.format(kept.seconds)}", is_error=True)


def forget() -> None:
    """The add-on is switched off, or Blender quits."""
    global now, recordings
    let_go()
    capture = session.current().capture
    if capture is not None and capture.recording:
        capture.end()
        until = time.monotonic() + LAST_RECORDING_SECONDS
        while not capture.over and not now.to_keep and time.monotonic() < until:
            listen()
            time.sleep(0.01)
    put_aside("FlowFace was switched off.")
    now, recordings = Running(), None


@persistent  # type: ignore[untyped-decorator]
def step_aside(*_: Any) -> None:
    """Undo, redo and files know nothing of a head that is live: neither of this one, nor of one they bring back."""
    now.puppet = None
    holding.give_all_back()


@persistent  # type: ignore[untyped-decorator]
def on_file_opened(*_: Any) -> None:
    """What was live was another file's."""
    step_aside()
    capture = session.current().capture
    if capture is not None and not capture.over:
        capture.end()
        now.notice = Notice(OTHER_FILE, is_error=True)
    now.collection, now.to_build, now.elsewhere = 0, False, True
    put_aside(OTHER_FILE)


@persistent  # type: ignore[untyped-decorator]
def on_file_saved(*_: Any) -> None:
    """The file that is recorded in may have another name now."""
    if now.home is not None and not now.elsewhere:
        now.home = dataclasses.replace(now.home, file=bpy.data.filepath)


HANDLERS = dict.fromkeys(("undo_pre", "undo_post", "redo_pre", "redo_post", "save_pre"), step_aside)
HANDLERS |= {"load_post": on_file_opened, "save_post": on_file_saved}


def _redraw(context: Any) -> None:
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()
