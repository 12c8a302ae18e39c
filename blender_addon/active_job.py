"""The job that a user waits for in this Blender, and what there is to tell."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .vendor import messages as m
from .vendor import take as contract

if TYPE_CHECKING:
    from .backend_process import BackendProcess
    from .fetched_proxies import Saving
    from .scene.known_cameras import KnownCameras
    from .uploading import Upload


@dataclass(frozen=True)
class Home:
    """The scene that a take is built into, known by file and name; a scene that was renamed, by its number there."""

    file: str  # of the open .blend; "" for one that was never saved
    scene: str
    number: int = 0  # Blender's, of this scene as long as the file is open; 0 where it was opened again


@dataclass
class ActiveJob:
    """A job from the press of a button until its scene is built, it has failed or it was dismissed."""

    name: str
    home: Home
    match_scene: bool
    spec: m.Job | None = None  # to be submitted; None where the backend has had it for long
    known_cameras: KnownCameras | None = None  # the scene's cameras as they stood when Track was pressed
    into: str = ""  # the take that a refinement was asked for, by name
    status: m.JobStatus | None = None  # None until the backend has taken it
    upload: Upload | None = None  # of its footage, to a backend on another machine
    submitted: bool = False  # the backend was asked to track it, or has it
    job_id: str = ""  # the backend's, "" until it has told one
    token: str = field(default_factory=lambda: secrets.token_hex(16))  # asked again with it, it is the same job
    unheard: bool = False  # to be asked about (again) as soon as a backend answers
    cancelling: bool = False
    partials: int = 0  # how many of its partial takes were asked for
    partial: contract.TakeResult | None = None  # the latest that came, to be shown meanwhile
    saving: Saving | None = None  # the proxies of a take from another machine
    take: contract.TakeResult | None = None  # fetched, to be built
    question: str = ""  # what the user is to decide before it is built
    elsewhere: bool = False  # another file is open: build only when asked to

    @property
    def done(self) -> bool:
        """True where the backend has finished it and keeps its result."""
        return self.take is not None or (self.status is not None and self.status.state is m.JobState.DONE)

    @property
    def let_go(self) -> str:
        """A sentence for when nobody waits for it any more."""
        return (
            f"Nobody waits for “{self.name}” any more; if its backend goes on, its result will be in the list of jobs."
        )

    @property
    def stage(self) -> str:
        """The present stage, in a few words."""
        if self.question:
            return "Waiting for your answer"
        if self.take is not None:
            return "Ready; another file is open now" if self.elsewhere else "Building the scene"
        if self.cancelling:
            return "Cancelling"
        if self.upload is not None and not self.submitted:
            return self.upload.words
        if self.status is None:
            return "Submitting" if self.submitted else "Waiting for the backend"
        return stage_of(self.status)

    @property
    def fraction(self) -> float:
        """The share of the whole job that is done, 0…1; of the sending of its footage before that."""
        if self.upload is not None and not self.submitted:
            return self.upload.fraction
        return min(max(self.status.fraction, 0.0), 1.0) if self.status else 0.0


def stage_of(status: m.JobStatus) -> str:
    """The stage of a job that is queued, running or being fetched, in a few words."""
    if status.state is m.JobState.QUEUED:
        ahead = status.queue_position
        if ahead:
            return f"Waiting for {ahead} other job{'s' if ahead > 1 else ''}"
        return f"{status.stage[0].upper()}{status.stage[1:]}" if status.stage else "Waiting for the backend"
    if status.state is m.JobState.DONE:
        return "Fetching the result"
    counted = f" {status.frames_done}/{status.frames_total}" if status.frames_total else ""
    stage = status.stage or "working"
    return f"{stage[0].upper()}{stage[1:]}{counted}"


def time_left(seconds: float | None) -> str:
    """Such as "2 min left", "" while nothing is known."""
    if seconds is None:
        return ""
    if seconds < 100:
        return f"{max(1, round(seconds))} s left"
    return f"{round(seconds / 60)} min left" if seconds < 6000 else f"{seconds / 3600:.1f} h left"


@dataclass(frozen=True)
class Notice:
    """The last thing worth telling."""

    text: str
    is_error: bool = False
    built: str = ""  # the job whose take it speaks of: nothing is to be told of a take that is no longer there
    preferences: bool = False  # what is wrong is mended in the preferences


@dataclass
class Remains:
    """What a session leaves when the add-on is switched off, for when it is switched on again in this Blender."""

    jobs: list[ActiveJob] = field(default_factory=list)  # to be followed in this order
    process: BackendProcess | None = None  # goes on with them
    launch: Callable[[], BackendProcess] | None = None  # starts it again
    notice: Notice | None = None
