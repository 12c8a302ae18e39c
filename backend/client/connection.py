"""A small synchronous client for the command line, which goes on where a backend dies and comes back."""

from __future__ import annotations

import contextlib
import importlib.metadata
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TypeVar

from backend.client.address import Address
from backend.client.link import Link, Received
from backend.client.result_files import require_result_names
from backend.client.upload import SentJob, proxy_name, send_files
from backend.errors import ErrorCode, UserError
from backend.server.discovery import is_listening
from protocol import messages as m
from protocol.codec import ProtocolError
from protocol.keys import Access, own_access
from protocol.version import ONE_JOB_PER_TOKEN_SINCE

R = TypeVar("R", bound=m.Message)
OnStatus = Callable[[m.JobStatus], None]

CLIENT_NAME = "command line"
SLOW = (m.Heads, m.Jobs, m.Result, m.Storage, m.Prune, m.Remove)
"""Requests that a backend reads or deletes files for, which can take longer than any other answer."""
SLOW_SECONDS = 200.0  # a little more than after which the backend itself gives up
QUIET_SECONDS = 5.0  # after this long without progress, ask whether the backend is still there
PATIENCE = 60.0  # seconds; a machine that boots needs longer, and then its user starts the backend anew
MAX_TRIES = 6  # of one request: a backend that does not answer is taken for gone after a minute
WAITING = "waiting for the backend"


class Client(AbstractContextManager["Client", None]):
    """A connection to a backend; a context manager. Not for several threads at once.

    A backend that dies is waited for. What it had not answered is asked again, and a job followed on: both is safe,
    because no request but ``Submit`` does anything twice, and that has a token.

    Every method raises UserError: the backend's own errors under their codes, ``no_backend`` where nothing listens,
    ``backend_gone`` where it does not come back, ``wrong_protocol``.
    """

    def __init__(
        self, endpoint: str, timeout: float = 10.0, access: Access | None = None, *, patience: float = PATIENCE
    ) -> None:
        """Connect and say hello; ``timeout`` in seconds bounds every answer of a backend that is there, ``patience``
        the wait for one that is not.

        ``access`` are the keys, None for those of an ``Address``, else for those of this user's own backends.
        """
        self.endpoint = endpoint
        self._timeout = timeout
        self._patience = patience
        self._tries = MAX_TRIES
        self._request = 0
        self._asked = 0  # how often the latest request was
        self._pushed: deque[m.Progress] = deque()
        self._on_loss: Callable[[], None] = _nothing
        if not is_listening(endpoint):
            raise UserError(
                ErrorCode.NO_BACKEND, f"No backend answers at {endpoint}.", "Start it with “flowface serve”."
            )
        access = access or (endpoint.access if isinstance(endpoint, Address) else _own_access())
        self._link = Link(endpoint, access, m.Hello(CLIENT_NAME, importlib.metadata.version("flowface")))
        try:
            if self._link.greeted(time.monotonic() + timeout):
                return
            sentence = f"Whoever listens at {endpoint} is not this user's FlowFace backend, or does not know this key."
            raise UserError(ErrorCode.NO_BACKEND, sentence, "Start one with “flowface serve --endpoint …”.")
        except BaseException:
            self.close()
            raise

    @property
    def welcome(self) -> m.Welcome:
        """What the backend says of itself, newly where it is another by now."""
        deadline = time.monotonic() + self._patience
        if not self._link.greeted(deadline) or self._link.welcome is None:
            raise self._gone()
        return self._link.welcome

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; jobs go on."""
        self._link.close()

    def heads(self) -> m.HeadList:
        """The heads and aligners there are."""
        return self._ask(m.Heads(), m.HeadList)

    def submit(self, job: m.Job) -> m.JobStatus:
        """Queue a job, once whatever happens to the backend meanwhile, and subscribe to its progress."""
        return self._submit(job, secrets.token_hex(16))

    def status(self, job_id: str, *, subscribe: bool = False) -> m.JobStatus:
        """The present status of a job."""
        return self._ask(m.Status(job_id, subscribe), m.StatusReply).job

    def cancel(self, job_id: str) -> m.JobStatus:
        """Ask a job to stop; ``wait`` says when it has."""
        return self._ask(m.Cancel(job_id), m.StatusReply).job

    def jobs(self, limit: int = 50) -> tuple[m.JobStatus, ...]:
        """The latest jobs, newest first."""
        return self._ask(m.Jobs(limit), m.JobList).jobs

    def result(
        self, job_id: str, files: tuple[str, ...] = (), *, all_files: bool = False, partial: bool = False
    ) -> m.ResultReply:
        """The results of a finished job: its take, if its kind has one, and the files named, or all of them.

        With ``partial``, the latest partial take of a running job. Raises UserError ``bad_file``, too, where a file's
        name leads out of the folder that results are written to.
        """
        reply = self._ask(m.Result(job_id, files, all_files=all_files, partial=partial), m.ResultReply)
        require_result_names(reply.files)
        return reply

    def remove(self, job_id: str) -> None:
        """Delete a job with all that it left."""
        try:
            self._ask(m.Remove(job_id), m.Removed)
        except UserError as error:  # the answer may have been lost, and then there is no such job any more
            if error.code != ErrorCode.UNKNOWN_JOB or self._asked == 1:
                raise

    def shutdown(self) -> None:
        """Stop the backend; another that takes its place meanwhile is not stopped."""
        self._ask(m.Shutdown(), m.Goodbye, again=False)

    def wait(self, job_id: str, on_status: OnStatus | None = None) -> m.JobStatus:
        """Follow a job to its end and return its final state, whatever that is.

        While the backend is away, ``on_status`` is told so: the stage is ``WAITING``.
        """
        status: m.JobStatus | None = None

        def tell_loss() -> None:
            if on_status and status is not None:
                on_status(replace(status, stage=WAITING, queue_position=0, seconds_remaining=None))

        try:
            with self._telling(tell_loss):
                while True:
                    pushed = None if status is None else self._next_progress(job_id)
                    status = pushed or self.status(job_id, subscribe=True)  # anew: it may be another backend
                    if on_status:
                        on_status(status)
                    if status.finished:
                        return status
        except UserError as error:
            if error.code != ErrorCode.BACKEND_GONE:
                raise
            name = job_id if status is None else f"“{status.name}” ({job_id})"
            sentence = f"{error.message} The job {name} goes on when a backend runs again."
            hint = f"Start one with “flowface serve”; “flowface jobs fetch {job_id}” brings the result."
            raise UserError(error.code, sentence, hint) from error

    def track(self, job: m.TrackJob, on_status: OnStatus | None = None, files: tuple[str, ...] = ()) -> m.ResultReply:
        """Track a take: ``run`` of that kind of job."""
        return self.run(job, on_status, files)

    def run(
        self,
        job: m.Job,
        on_status: OnStatus | None = None,
        files: tuple[str, ...] = (),
        *,
        all_files: bool = False,
        token: str = "",
    ) -> m.ResultReply:
        """Submit a job, follow it and bring its result; Ctrl-C cancels the job and is then raised again, with a
        sentence where the backend could not be told.

        All the while the backend may die and come back. ``token`` (32 hexadecimal digits) is that of a job which this
        client may have submitted before it ended itself: that one is followed on then.

        Raises:
            UserError: why the job failed, ``cancelled`` where someone else cancelled it, ``interrupted``.
        """
        sent = None if self.welcome.reads_paths else self.send_files(job, on_status)
        job = sent.job if sent else job
        token, job_id = token or secrets.token_hex(16), ""
        try:
            job_id = self._submit(job, token).job_id
            status = self.wait(job_id, on_status)
        except KeyboardInterrupt:
            if words := self._call_off(job_id, job, token):
                raise KeyboardInterrupt(words) from None
            raise
        if status.state is m.JobState.CANCELLED:
            raise UserError(ErrorCode.CANCELLED, f"The job “{status.name}” was cancelled.")
        if status.problem:
            raise UserError(status.problem.code, status.problem.message, status.problem.hint)
        reply = self.result(job_id, files, all_files=all_files)
        return sent.localised(self._with_proxies(reply)) if sent else reply

    def _with_proxies(self, reply: m.ResultReply) -> m.ResultReply:
        """A result together with the proxies of its cameras, as far as they can travel."""
        files = dict(reply.files)
        cameras = reply.take.cameras if reply.take else ()
        for name in {proxy_name(camera.proxy) for camera in cameras} - {""}:
            with contextlib.suppress(UserError):
                files |= self.result(reply.job.job_id, (name,)).files
        return replace(reply, files=files)

    def send_files(self, job: m.Job, on_status: OnStatus | None = None) -> SentJob:
        """Send the files of a job to a backend that does not read this machine's paths; those it has are not sent."""

        def report(words: str, done: int, total: int) -> None:
            if on_status:
                on_status(m.JobStatus("", job.name, m.JobState.QUEUED, words, done / max(total, 1)))

        return send_files(job, lambda message: self._ask(message, m.UploadState), report)

    def _submit(self, job: m.Job, token: str) -> m.JobStatus:
        return self._ask(m.Submit(job, token=token), m.Submitted).job

    def _call_off(self, job_id: str, job: m.Job, token: str) -> str:
        """Cancel a job that may be known by its token only, without long waits; where that failed, a sentence."""
        self._patience, self._tries = min(self._patience, self._timeout), 1
        try:
            job_id = job_id or self._submit(job, token).job_id
            self.cancel(job_id)
            self.wait(job_id)
        except UserError as error:
            return f"stopped; the job {job_id or 'that was asked for'} could not be cancelled: {error.message}"
        return ""

    @contextlib.contextmanager
    def _telling(self, on_loss: Callable[[], None]) -> Iterator[None]:
        before, self._on_loss = self._on_loss, on_loss
        try:
            yield
        finally:
            self._on_loss = before

    def _next_progress(self, job_id: str) -> m.JobStatus | None:
        """What is pushed of a job; None after ``QUIET_SECONDS``, and where the connection is another."""
        deadline = time.monotonic() + QUIET_SECONDS
        while True:
            while self._pushed:
                progress = self._pushed.popleft()
                if progress.job.job_id == job_id:
                    return progress.job
            received = self._link.receive(deadline)
            if received is None:
                return None
            self._keep_pushed(received)

    def _ask(self, message: m.Message, reply: type[R], *, again: bool = True) -> R:
        """The answer to a request, asked ``again`` where it was lost: a few times, should it be what kills backends."""
        once = not again or (isinstance(message, m.Submit) and self._link.protocol < ONE_JOB_PER_TOKEN_SINCE)
        seconds = max(self._timeout, SLOW_SECONDS * isinstance(message, SLOW))
        for number in range(1 if once else self._tries):
            self._asked = number + 1
            if number or not self._link.greeted(time.monotonic()):
                self._on_loss()
            if not self._link.greeted(time.monotonic() + self._patience):
                break
            self._request += 1
            self._link.send(message, self._request)  # where that fails, so does the connection
            answer = self._answer(reply, seconds)
            if answer is not None:
                return answer
        raise self._gone()

    def _answer(self, reply: type[R], seconds: float) -> R | None:
        """The answer to the latest request; None where the connection was lost before, or it takes too long."""
        deadline = time.monotonic() + seconds
        while received := self._link.receive(deadline):
            answer, request = received
            if request != self._request or isinstance(answer, m.Progress):
                self._keep_pushed(received)
            elif isinstance(answer, reply):
                return answer
            elif isinstance(answer, m.Error):
                raise UserError(answer.code, answer.message, answer.hint)
        return None

    def _keep_pushed(self, received: Received) -> None:
        if isinstance(received[0], m.Progress):
            self._pushed.append(received[0])

    def _gone(self) -> UserError:
        sentence = f"The backend at {self.endpoint} stopped answering and has not come back."
        return UserError(ErrorCode.BACKEND_GONE, sentence, "Start it with “flowface serve”; its jobs are kept.")


def _nothing() -> None:
    """Nobody wants to be told."""


def _own_access() -> Access:
    try:
        return own_access()
    except ProtocolError as error:
        raise UserError(error.code, error.message, error.hint) from error
