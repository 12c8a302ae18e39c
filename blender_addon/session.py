"""The add-on's state while Blender runs: connection, own backend, the job in progress and what to tell the user.

Everything here runs on Blender's main thread and returns at once. Blender's data is referred to by name, never held:
after an undo old references are dead.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .backend_places import CannotStart, find_launch
from .backend_process import BackendProcess
from .client import Client, Connection, ConnectionEvent, Event
from .codes import ClientCode
from .export_task import ExportTask
from .vendor import messages as m
from .vendor import take as contract
from .versions import mismatch, own_version

if TYPE_CHECKING:
    from .scene.known_cameras import KnownCameras

UNREACHABLE = "The FlowFace backend is not running. Start it in the FlowFace panel or with “flowface serve”."
NEWS_SECONDS = 2.0


@dataclass
class ActiveJob:
    """The job that Track was pressed for, until its scene is built or it has failed."""

    spec: m.TrackJob
    scene: str
    match_scene: bool
    known_cameras: KnownCameras | None = None  # the scene's cameras as they stood when Track was pressed
    status: m.JobStatus | None = None  # None until the backend has taken it
    submitted: bool = False
    cancelling: bool = False
    take: contract.TakeResult | None = None  # fetched, to be built
    question: str = ""  # what the user is to decide before it is built
    elsewhere: bool = False  # another file was opened meanwhile: build only when asked to

    @property
    def stage(self) -> str:
        """The present stage, in a few words."""
        if self.question:
            return "Waiting for your answer"
        if self.take is not None:
            return "Ready; another file is open now" if self.elsewhere else "Building the scene"
        if self.cancelling:
            return "Cancelling"
        if self.status is None:
            return "Submitting" if self.submitted else "Waiting for the backend"
        if self.status.state is m.JobState.QUEUED:
            ahead = self.status.queue_position
            return f"Waiting for {ahead} other job{'s' if ahead > 1 else ''}" if ahead else "Waiting for the backend"
        if self.status.state is m.JobState.DONE:
            return "Fetching the result"
        counted = f" {self.status.frames_done}/{self.status.frames_total}" if self.status.frames_total else ""
        stage = self.status.stage or "working"
        return f"{stage[0].upper()}{stage[1:]}{counted}"

    @property
    def fraction(self) -> float:
        """The share of the whole job that is done, 0…1."""
        return min(max(self.status.fraction, 0.0), 1.0) if self.status else 0.0


@dataclass(frozen=True)
class Notice:
    """The last thing worth telling."""

    text: str
    is_error: bool = False


class Session:
    """One per running Blender."""

    def __init__(self) -> None:
        self.client: Client | None = None
        self.connection = Connection.CONNECTING
        self.connection_sentence = UNREACHABLE
        self.backend_version = ""
        self.process: BackendProcess | None = None
        self.job: ActiveJob | None = None
        self.notice: Notice | None = None
        self.heads: tuple[m.HeadInfo, ...] = ()  # what the backend offers; stays when the connection is lost
        self.aligners: tuple[m.AlignerInfo, ...] = ()
        self.exports: tuple[m.ExportInfo, ...] = ()
        self.exporting: ExportTask | None = None
        self._handlers: dict[int, Callable[[m.Message], None]] = {}
        self._stopper: threading.Thread | None = None
        self._ended_at = 0.0

    # connection and backend

    def connect(self, endpoint: str) -> None:
        """Keep a connection to ``endpoint``; does nothing where there is one already."""
        if self.client is not None and self.client.endpoint == endpoint:
            return
        self.disconnect()
        client = Client(endpoint, version=own_version())
        try:
            client.start()
        except ValueError as error:
            client.close()
            self.connection, self.connection_sentence = Connection.REFUSED, str(error)
            return
        self.client = client
        self.connection, self.connection_sentence = Connection.CONNECTING, UNREACHABLE

    def disconnect(self) -> None:
        """Close the connection; jobs go on in the backend."""
        if self.client is not None:
            self.client.close()
        if self.exporting is not None:
            self.exporting.give_up("The connection was closed before the export was written.")
        self.client = None
        self._handlers.clear()
        self.connection, self.connection_sentence = Connection.CONNECTING, UNREACHABLE

    @property
    def version_warning(self) -> str:
        """A sentence where the connected backend is of another version than the add-on, else ""."""
        connected = self.connection is Connection.CONNECTED
        return mismatch(own_version(), self.backend_version) if connected else ""

    @property
    def backend_starting(self) -> bool:
        """True where this add-on started a backend that does not answer yet."""
        return self.process is not None and self.process.running and self.connection is not Connection.CONNECTED

    @property
    def owns_backend(self) -> bool:
        """True where this add-on started the backend that runs."""
        return self.process is not None and self.process.running

    def start_backend(self, environment: str, endpoint: str, log_file: Path | None) -> None:
        """Start a backend; says why where it cannot.

        Raises:
            CannotStart: with a sentence for the user.
        """
        if self.owns_backend or self.connection is Connection.CONNECTED:
            return
        if self._stopper is not None and self._stopper.is_alive():
            raise CannotStart("The previous backend is still stopping; try again in a moment.")
        self.connect(endpoint)
        options = ["--endpoint", endpoint, "--parent-pid", str(os.getpid())]
        self.process = BackendProcess(find_launch(environment), options, log_file)
        self.notice = None

    def stop_backend(self, *, wait: bool = False) -> None:
        """Stop the backend that this add-on started, in a thread of its own so that Blender goes on."""
        process, self.process = self.process, None
        if process is None:
            return
        self._stopper = threading.Thread(target=process.stop, name="FlowFace backend stop")
        self._stopper.start()
        if wait:
            self._stopper.join()

    def close(self) -> None:
        """End everything that this add-on started; waits for it."""
        self.job = None
        self.disconnect()
        self.stop_backend(wait=True)

    # jobs

    def track(
        self, spec: m.TrackJob, scene: str, *, match_scene: bool, known_cameras: KnownCameras | None = None
    ) -> None:
        """Track a take; it is submitted as soon as the backend answers."""
        self.notice = None
        self.job = ActiveJob(spec, scene, match_scene, known_cameras)
        if self.connection is Connection.CONNECTED:
            self._submit()
        elif self.connection is Connection.REFUSED or not self.owns_backend:
            self._fail(self.connection_sentence)

    def cancel(self) -> None:
        """Cancel the job; one that no backend has taken, or whose backend is gone, is simply forgotten."""
        job = self.job
        if job is None:
            return
        reachable = self.connection is Connection.CONNECTED and self.client is not None
        if not reachable or not job.submitted or (job.status is not None and job.status.finished):
            self._end("Cancelled.")
            return
        job.cancelling = True
        if job.status is not None:
            self._send(m.Cancel(job.status.job_id), self._on_status)

    def take_built(self, text: str) -> None:
        """The job's scene has been built."""
        self._end(text)

    def export(self, job_id: str, format: str, path: Path) -> None:
        """Have a tracked take written as a file for other tools and save it as ``path``; a notice tells the end."""
        self.notice = None
        self.exporting = ExportTask(m.ExportJob(job_id, format), path, self._send, self._on_exported)
        self.exporting.start()

    def _on_exported(self, text: str, is_error: bool) -> None:
        self.exporting = None
        self.notice = Notice(text, is_error)

    def ask_heads(self) -> None:
        """Ask the backend which heads, aligners and exports it has; the answer replaces the lists."""
        if self.connection is Connection.CONNECTED:
            self._send(m.Heads(), self._on_heads)

    def poll(self, budget: float = 0.01) -> bool:
        """Handle what the client received, in at most ``budget`` seconds and without ever waiting.

        Returns whether anything changed that a user sees.
        """
        events = self.client.poll(budget) if self.client is not None else []
        for event in events:
            self._handle(event)
        return self._watch_process() or bool(events)

    def _watch_process(self) -> bool:
        if self.process is None or self.process.running:
            return False
        if self.connection is Connection.CONNECTED:
            # Either the news of the lost connection is still on its way, or another backend answers at this address.
            self._ended_at = self._ended_at or time.monotonic()
            if time.monotonic() - self._ended_at < NEWS_SECONDS:
                return False
        ended_unnoticed = self.connection is Connection.CONNECTED
        why = self.process.why_ended()
        self.process, self._ended_at = None, 0.0
        if ended_unnoticed:
            return True
        if self.job is not None:
            self._fail(why or UNREACHABLE)
        else:
            self.notice = Notice(why or UNREACHABLE, is_error=True)
        return True

    def _handle(self, event: Event) -> None:
        if isinstance(event, ConnectionEvent):
            self.connection, self.connection_sentence = event.state, event.sentence
            if event.state is not Connection.CONNECTED and self.exporting is not None:
                self.exporting.give_up(event.sentence)  # progress that was subscribed to no longer comes
            if event.welcome is not None:
                self._on_connected(event.welcome)
            elif event.state is Connection.REFUSED and self.job is not None:
                self._fail(event.sentence)
            return
        handler = self._handlers.get(event.request)
        if not isinstance(event.message, m.Progress):
            self._handlers.pop(event.request, None)
        if isinstance(event.message, m.Submitted | m.StatusReply) and handler is not None:
            self._handlers[event.request] = handler  # progress is pushed under the same id
        if handler is not None:
            handler(event.message)

    def _on_connected(self, welcome: m.Welcome) -> None:
        self.backend_version = welcome.backend_version
        self.ask_heads()
        job = self.job
        if job is None:
            return
        if job.status is not None:  # the connection had been lost: pick the job up again
            self._send(m.Status(job.status.job_id, subscribe=True), self._on_status)
        elif not job.submitted:
            self._submit()

    def _submit(self) -> None:
        if self.job is not None:
            self.job.submitted = True
            self._send(m.Submit(self.job.spec), self._on_status)

    def _on_status(self, message: m.Message) -> None:
        job = self.job
        if job is None:
            return
        if isinstance(message, m.Error):
            if message.code == ClientCode.CONNECTION_LOST and job.status is not None:
                return  # _on_connected or _watch_process will know more
            self._fail(f"{message.message} {message.hint}".strip())
            return
        status = getattr(message, "job", None)
        if not isinstance(status, m.JobStatus) or (job.status is not None and status.job_id != job.status.job_id):
            return
        first, was_done = job.status is None, job.status is not None and job.status.finished
        job.status = status
        if first and job.cancelling:
            self._send(m.Cancel(status.job_id), self._on_status)
        if status.finished and not was_done:
            self._on_finished(job, status)

    def _on_finished(self, job: ActiveJob, status: m.JobStatus) -> None:
        if status.state is m.JobState.DONE and not job.cancelling:
            self._send(m.Result(status.job_id), self._on_result)
        elif status.state in (m.JobState.DONE, m.JobState.CANCELLED):
            self._end("Cancelled.")
        else:
            self._fail(str(status.problem) if status.problem else f"The job was {status.state}.")

    def _on_heads(self, message: m.Message) -> None:
        if isinstance(message, m.HeadList):
            self.heads, self.aligners = message.heads, message.described_aligners
            self.exports = message.exports

    def _on_result(self, message: m.Message) -> None:
        if self.job is None:
            return
        if isinstance(message, m.ResultReply) and message.take is not None:
            self.job.take = message.take
        elif isinstance(message, m.Error):
            self._fail(f"{message.message} {message.hint}".strip())

    def _send(self, message: m.Message, handler: Callable[[m.Message], None]) -> None:
        if self.client is not None:
            self._handlers[self.client.send(message)] = handler

    def _end(self, text: str) -> None:
        self.job = None
        self.notice = Notice(text)

    def _fail(self, text: str) -> None:
        self.job = None
        self.notice = Notice(text, is_error=True)


_current: Session | None = None


def current() -> Session:
    """The session of this Blender; made on first use."""
    global _current
    if _current is None:
        _current = Session()
    return _current


def end() -> None:
    """Close the session, if there is one."""
    global _current
    session, _current = _current, None
    if session is not None:
        with contextlib.suppress(OSError):
            session.close()
