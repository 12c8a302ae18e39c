"""The preview of the take that is being tracked: when it is shown, brought up to date, and taken away."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import bpy
from bpy.app.handlers import persistent

from . import building, session
from .active_job import ActiveJob
from .scene import ownership, preview
from .scene.build import look_through_camera
from .vendor import take as contract

STEP_INTERVAL = 0.01
"""Seconds between two steps of work on a preview, in which Blender answers its user."""


@dataclass
class _State:
    """What is known of the preview of one job beside its data in the file."""

    job: ActiveJob | None = None
    take: contract.TakeResult | None = None  # that is shown, or that ``steps`` lead to
    steps: Iterator[None] | None = None
    fresh: bool = False  # the steps make a new one, and need Object Mode
    placed: bool = False  # it was shown, and not taken away by us
    why_not: str = ""  # it is not shown any more, in a sentence
    views: list[tuple[str, int, str]] = field(default_factory=list)  # screen, area and how it looked before


_state = _State()


def busy() -> bool:
    """True in the middle of work that goes on at the next tick."""
    return _state.steps is not None


def show(context: Any, now: session.Session) -> bool:
    """Do the next step of what the preview needs, if anything; returns whether a user sees a difference."""
    global _state
    job = now.job
    if job is not _state.job:
        take_away()
        _state = _State(job)
    if job is None or job.partial is None or job.elsewhere or job.cancelling or not now.live_preview:
        return take_away()
    if job.take is not None or _state.why_not:
        return False
    windows = context.window_manager.windows
    scene = building.scene_of(job.home)
    window = next((shown for shown in windows if shown.scene == scene), None)
    if window is None or building.rendering() or building.user_is_moving(windows):
        return False
    if _state.steps is None and _state.take is job.partial and preview.shown_in(scene) is not None:
        return False
    there = context.window == window
    with now.quiet() as quiet, contextlib.nullcontext() if there else context.temp_override(window=window):
        return quiet and _step(bpy.context, window, job)


def _step(context: Any, window: Any, job: ActiveJob) -> bool:
    if _state.steps is None and not _begin(context, job):
        return False
    if _state.steps is None or (_state.fresh and context.mode != "OBJECT"):
        return False
    try:
        next(_state.steps)
        return False
    except StopIteration:
        pass
    except ReferenceError:  # somebody else removed what it is made of
        _step_aside()
        return False
    except Exception:  # whatever it is, a preview must not cost the job
        traceback.print_exc()
        _step_aside()
        _state.why_not = "The preview cannot be shown; the result will be built all the same."
        return True
    _state.steps, _state.placed = None, True
    collection = preview.shown_in(context.scene)
    if _state.fresh and not _state.views and collection is not None and preview.BEFORE in collection:
        _state.views = [
            (window.screen.name, number, area.spaces.active.region_3d.view_perspective)
            for number, area in enumerate(window.screen.areas)
            if area.type == "VIEW_3D"
        ]
        look_through_camera([window.screen])
    return True


def _begin(context: Any, job: ActiveJob) -> bool:
    """Find out what is to be done now; False where it is nothing."""
    take, shown = job.partial, preview.shown_in(context.scene)
    if take is None:
        return False
    if shown is None and _state.placed:
        _state.why_not = "The preview was deleted; the result will be built all the same."
        return False
    if shown is not None and (_state.take is take or context.mode not in ("OBJECT", "POSE")):
        return False
    if shown is not None and not preview.fits(shown, take):
        _step_aside()
        shown = None
    _state.fresh, _state.take = shown is None, take
    if shown is None:
        known = job.known_cameras
        _state.steps = preview.build_in_steps(context, take, known, match_scene=job.match_scene)
    else:
        _state.steps = preview.change_in_steps(shown, take)
    return True


def take_away() -> bool:
    """End the preview, where there is one, and give viewports back what they showed; True where there was one."""
    there = _state.placed or _state.steps is not None
    if there:
        _step_aside()
    for screen, number, before in _state.views:
        areas = bpy.data.screens[screen].areas if screen in bpy.data.screens else ()
        area = areas[number] if number < len(areas) else None
        if area is not None and area.type == "VIEW_3D" and area.spaces.active.region_3d.view_perspective == "CAMERA":
            area.spaces.active.region_3d.view_perspective = before
    _state.views = []
    return there


def give_way() -> None:
    """Make room for the take itself; viewports go on looking through the camera."""
    _state.views = []
    _step_aside()


def _step_aside() -> None:
    """Take the preview out of the file; it is shown again at the next opportunity."""
    _state.steps, _state.take, _state.placed = None, None, False
    preview.remove_all()


def sentence(job: ActiveJob, context: Any) -> str:
    """What to know of the preview of a job, "" where there is nothing to know."""
    if job.partial is None or job.done or not session.current().live_preview:
        return ""
    if _state.why_not or not _state.placed:
        return _state.why_not
    frames = len(job.partial.tracked)
    seen = f"The head is a preview of {frames} frames so far"
    there = ownership.find_take(context.scene, job.partial)
    if there is not None:
        return f"{seen}, beside “{there.name}”, which changes only when the result is there."
    return f"{seen}; the result will take its place."


@persistent  # type: ignore[untyped-decorator]
def step_aside(*_: Any) -> None:
    """Undo, redo and files are to know nothing of a preview: not of the one that is there, nor of one that an undo step
    or a file has brought back."""
    _step_aside()


@persistent  # type: ignore[untyped-decorator]
def forget(*_: Any) -> None:
    """Another file is open, and other viewports with it."""
    _state.views = []
    _step_aside()


HANDLERS = dict.fromkeys(("undo_pre", "undo_post", "redo_pre", "redo_post", "save_pre"), step_aside)
HANDLERS["load_post"] = forget
