"""A small synchronous client for the command line."""

from __future__ import annotations

import contextlib
import importlib.metadata
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

import zmq

from backend.errors import ErrorCode, UserError
from backend.server.discovery import is_listening
from protocol import messages as m
from protocol.codec import MAX_PART_BYTES, ProtocolError
from protocol.keys import Access, own_access

R = TypeVar("R", bound=m.Message)
OnStatus = Callable[[m.JobStatus], None]

CLIENT_NAME = "command line"
SLOW = (m.Heads, m.Jobs, m.Result, m.Storage, m.Prune, m.Remove)
"""Requests that a backend reads or deletes files for, which can take longer than any other answer."""
SLOW_SECONDS = 200.0  # a little more than after which the backend itself gives up
QUIET_SECONDS = 5.0  # after this long without progress, ask whether the backend is still there


class Client(AbstractContextManager["Client", None]):
    """A connection to a backend; a context manager. Not for several threads at once.

    Every method raises UserError: the backend's own errors under their codes, ``no_backend`` where nothing listens,
    ``backend_gone`` where it stops answering, ``wrong_protocol``.
    """

    def __init__(self, endpoint: str, timeout: float = 10.0, access: Access | None = None) -> None:
        """Connect and say hello; ``timeout`` in seconds bounds every answer.

        ``access`` are the keys, None for those of this user's own backends.
        """
        self.endpoint = endpoint
        self._timeout = timeout
        self._request = 0
        self._pushed: deque[m.Progress] = deque()
        if not is_listening(endpoint):
            raise UserError(
                ErrorCode.NO_BACKEND, f"No backend answers at {endpoint}.", "Start it with “flowface serve”."
            )
        access = _own_access() if access is None else access
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.linger = 200
        self._socket.ipv6 = "[" in endpoint
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_PART_BYTES)
        authenticate(self._socket, access)
        self._socket.connect(endpoint)
        try:
            self.welcome = self._ask(m.Hello(CLIENT_NAME, importlib.metadata.version("flowface")), m.Welcome)
        except UserError as error:
            self.close()
            if error.code != ErrorCode.BACKEND_GONE:
                raise
            sentence = f"Whoever listens at {endpoint} is not this user's FlowFace backend, or does not know this key."
            raise UserError(ErrorCode.NO_BACKEND, sentence, "Start one with “flowface serve --endpoint …”.") from None

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; jobs go on."""
        self._context.destroy(linger=200)

    def heads(self) -> m.HeadList:
        """The heads and aligners there are."""
        return self._ask(m.Heads(), m.HeadList)

    def submit(self, job: m.Job) -> m.JobStatus:
        """Queue a job and subscribe to its progress."""
        return self._ask(m.Submit(job), m.Submitted).job

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

        With ``partial``, the latest partial take of a running job.
        """
        return self._ask(m.Result(job_id, files, all_files=all_files, partial=partial), m.ResultReply)

    def shutdown(self) -> None:
        """Stop the backend."""
        self._ask(m.Shutdown(), m.Goodbye)

    def wait(self, job_id: str, on_status: OnStatus | None = None) -> m.JobStatus:
        """Follow a job to its end and return its final state, whatever that is."""
        status = self.status(job_id, subscribe=True)
        while True:
            if on_status:
                on_status(status)
            if status.finished:
                return status
            pushed = self._next_progress(job_id)
            status = pushed or self.status(job_id)

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
    ) -> m.ResultReply:
        """Submit a job, follow it and bring its result; Ctrl-C cancels the job and is then raised again.

        Raises:
            UserError: why the job failed, ``cancelled`` where someone else cancelled it, ``interrupted``.
        """
        job_id = self.submit(job).job_id
        try:
            status = self.wait(job_id, on_status)
        except KeyboardInterrupt:
            with contextlib.suppress(UserError):
                self.cancel(job_id)
                self.wait(job_id)
            raise
        if status.state is m.JobState.CANCELLED:
            raise UserError(ErrorCode.CANCELLED, f"The job “{status.name}” was cancelled.")
        if status.problem:
            raise UserError(status.problem.code, status.problem.message, status.problem.hint)
        return self.result(job_id, files, all_files=all_files)

    def _next_progress(self, job_id: str) -> m.JobStatus | None:
        deadline = time.monotonic() + QUIET_SECONDS
        while True:
            while self._pushed:
                progress = self._pushed.popleft()
                if progress.job.job_id == job_id:
                    return progress.job
            received = self._receive(deadline)
            if received is None:
                return None
            if isinstance(received[0], m.Progress):
                self._pushed.append(received[0])

    def _ask(self, message: m.Message, reply: type[R]) -> R:
        self._request += 1
        try:
            self._socket.send_multipart(m.pack(message, self._request))
        except ProtocolError as error:
            raise UserError(error.code, error.message, error.hint) from error
        patience = max(self._timeout, SLOW_SECONDS if isinstance(message, SLOW) else 0.0)
        deadline = time.monotonic() + patience
        while received := self._receive_while_there(deadline):
            answer, request = received
            if isinstance(answer, m.Progress):
                self._pushed.append(answer)
            elif request == self._request and isinstance(answer, reply):
                return answer
            elif request == self._request and isinstance(answer, m.Error):
                raise UserError(answer.code, answer.message, answer.hint)
        sentence = f"The backend at {self.endpoint} stopped answering."
        raise UserError(ErrorCode.BACKEND_GONE, sentence, "Start it with “flowface serve”; finished jobs are kept.")

    def _receive_while_there(self, deadline: float) -> tuple[m.Message, int] | None:
        """As ``_receive``, but no longer than ``timeout`` where nothing listens any more."""
        while True:
            received = self._receive(min(deadline, time.monotonic() + self._timeout))
            if received or time.monotonic() >= deadline or not is_listening(self.endpoint):
                return received

    def _receive(self, deadline: float) -> tuple[m.Message, int] | None:
        remaining = max(0.0, deadline - time.monotonic())
        if not self._socket.poll(int(remaining * 1000)):
            return None
        frames = self._socket.recv_multipart(copy=False)
        try:
            return m.unpack([frame.buffer for frame in frames], client_name=CLIENT_NAME)
        except ProtocolError as error:
            raise UserError(error.code, error.message, error.hint) from error


def authenticate(socket: zmq.Socket[bytes], access: Access) -> None:
    """Have a socket, before it connects, talk to the backend with this key only, under the key of its client."""
    socket.curve_serverkey = access.backend.encode()
    socket.curve_secretkey = access.secret.encode()
    socket.curve_publickey = zmq.curve_public(access.secret.encode())


def _own_access() -> Access:
    try:
        return own_access()
    except ProtocolError as error:
        raise UserError(error.code, error.message, error.hint) from error
