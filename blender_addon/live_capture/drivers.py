"""Drivers of persons: learnt from a take that was tracked, and chosen for a live session as soon as they are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from .. import building, session
from ..active_job import Home, Notice
from ..backend_places import Launch
from ..driver_process import Learning
from ..scene import actors
from ..scene import ownership as replace
from ..scene import versions_of_take as versions
from . import properties, running

FOLDER = "drivers"
"""Of the add-on's own folder. Not the job's, which goes when the backend makes room."""
MOST_LETTERS = 80
POOR = 2.0
"""Times the fit's error from which the panel warns."""


@dataclass
class _Running:
    learning: Learning
    home: Home
    name: str


_now: _Running | None = None


def current() -> Learning | None:
    """The driver that is on its way."""
    return _now.learning if _now is not None else None


def why_not(take: Any) -> str:
    """Why no driver can be learnt from a take, "" where one can; without a full stop."""
    now = session.current()
    if take is None:
        return "Track a take of the person first"
    if not _job_of(take):
        return "The version of the take that is shown was not tracked by a backend"
    if now.remote:
        return "Drivers are learnt on the machine that tracked the take: use flowface driver train there"
    if now.storage is None:
        return "Start the backend first: it knows where the take's files are"
    return ""


def learn(context: Any, launch: Launch, take: Any, own: Path) -> None:
    """Begin to learn a take's driver; ``own`` is the folder in which the add-on may write. Raises CannotStart."""
    global _now
    held = session.current().storage
    assert held is not None
    job, face = actors.job_of(_job_of(take))
    name = str(take.name)
    out = own / FOLDER / f"{_file_name(name)}.npz"
    learning = Learning(launch, Path(held.folder) / job, face, out, own / "driver.log")
    _now = _Running(learning, building.home_of(context.scene), name)
    running.now.notice = None


def step() -> bool:
    """One round of Blender's timer; whether anything changed that a user sees."""
    global _now
    if _now is None or not _now.learning.step():
        return False
    if _now.learning.over:
        ended, _now = _now, None
        _conclude(ended)
    return True


def forget() -> None:
    """The add-on is switched off."""
    global _now
    if _now is not None:
        _now.learning.finish()
    _now = None


def _conclude(ended: _Running) -> None:
    learning = ended.learning
    if learning.cancelled:
        running.now.notice = Notice("Cancelled: no driver was written. Learn Driver goes on where it was.")
    elif learning.failure:
        running.now.notice = Notice(learning.failure, is_error=True)
    else:
        scene = building.scene_of(ended.home)
        if scene is not None and ended.home.file in ("", bpy.data.filepath):
            properties.of(scene).driver = str(learning.out)
        running.now.notice = Notice(f"The driver of “{ended.name}” is learnt.{_quality(learning.ratio)}")


def _quality(ratio: float | None) -> str:
    """A sentence on how good it is, after a space; "" where nobody knows."""
    if ratio is None:
        return ""
    doubt = " Learn it from a longer or livelier take before you rely on it." if ratio >= POOR else ""
    return f" On the take's last fifth its points lie {ratio:.1f} times as far off as the solve's.{doubt}"


def _job_of(take: Any) -> str:
    """The job that tracked the version that is shown (``actors.job_key``)."""
    version = versions.current(take)
    return (version.job if version is not None else "") or str(take.get(replace.JOB_KEY, ""))


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name)[:MOST_LETTERS].strip("._") or "person"
