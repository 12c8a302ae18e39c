"""The backend's serving loop: one ROUTER socket, one scheduler, one thread.

Every request is answered quickly from memory or disk; the work itself happens in another process (``worker``). A
request that cannot be understood or carried out is answered by an Error and never ends the loop.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from backend.alignment.registry import available_aligners
from backend.errors import ErrorCode, UserError
from backend.export.registry import available_exports
from backend.server.device import AUTO, environment
from backend.server.endpoint import DEFAULT_ENDPOINT, loopback_endpoint
from backend.server.jobs import JobStore
from backend.server.process import ParentWatch
from backend.server.result import known_heads, load_partial_take, load_take
from backend.server.retention import KEEP_ALL, Retention
from backend.server.schedule import Scheduler
from backend.server.storage import prune, storage
from protocol import messages as m
from protocol.codec import MAX_PARTS, ProtocolError
from protocol.codes import ProtocolCode

log = logging.getLogger(__name__)

DEFAULT_RUNNER = "backend.pipeline.runners:run_job"
MAX_REQUEST_PART_BYTES = 16 << 20  # requests carry no arrays until footage can be uploaded


class Server:
    """A backend. ``run()`` serves until ``stop()``, a shutdown request or the end of the parent process.

    ``runner`` is the work of a job as ``module:function`` (a ``worker.JobRunner``).
    """

    def __init__(
        self,
        jobs_dir: Path,
        endpoint: str = DEFAULT_ENDPOINT,
        *,
        runner: str = DEFAULT_RUNNER,
        device: str = AUTO,
        parent_pid: int | None = None,
        finish_jobs: bool = False,
        retention: Retention = KEEP_ALL,
    ) -> None:
        """Bind and start the worker, for fits on ``device`` (“auto”, “cpu”, “cuda”).

        With ``finish_jobs``, the parent's end waits for the end of all jobs. ``retention`` bounds what is kept of jobs.

        Raises:
            UserError: ``bad_endpoint``, ``not_loopback``, ``unknown_device``, ``in_use``, ``jobs_folder``.
        """
        bind_to = loopback_endpoint(endpoint)
        environment(device)  # an unknown one is refused before anything is bound
        self._store = JobStore(jobs_dir)
        self._parent = ParentWatch(parent_pid) if parent_pid else None
        self._finish_jobs = finish_jobs
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.linger = 500  # milliseconds for the goodbye
        self._socket.router_mandatory = True  # so that a client that left is noticed
        self._socket.ipv6 = bind_to.startswith("tcp://[")
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_REQUEST_PART_BYTES)
        try:
            self._socket.bind(bind_to)
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            sentence = f"The backend cannot listen on {bind_to}: {error.strerror}."
            raise UserError(
                ErrorCode.IN_USE, sentence, "Another backend may be running; use it or choose a port."
            ) from error
        self.endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self._subscribers: dict[str, dict[bytes, int]] = {}  # job id -> client -> its request id
        self._stopping = False
        self._scheduler = Scheduler(self._context, self._store, runner, self._publish, device, retention)
        self._answers: dict[type[m.Message], Callable[[Any, bytes, int], m.Message]] = {
            m.Hello: self._hello,
            m.Heads: self._heads,
            m.Submit: self._submit,
            m.Status: self._status,
            m.Result: self._result,
            m.Cancel: self._cancel,
            m.Jobs: self._jobs,
            m.Storage: self._storage,
            m.Prune: self._prune,
            m.Shutdown: self._shutdown,
        }

    def stop(self) -> None:
        """End ``run`` soon. May be called from a signal handler or another thread."""
        self._stopping = True

    def run(self) -> None:
        """Serve; returns after everything is closed and unfinished jobs are left to the next backend."""
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._scheduler.events, zmq.POLLIN)
        try:
            while not self._stopping:
                ready = dict(poller.poll(int(self._scheduler.poll_timeout() * 1000)))
                if self._scheduler.events in ready:
                    self._scheduler.handle_event(self._scheduler.events.recv_multipart())
                if self._socket in ready:
                    self._handle_request()
                self._scheduler.tick()
                if self._parent and self._parent.gone() and (self._scheduler.idle or not self._finish_jobs):
                    log.info("the process that started this backend has ended; so does the backend")
                    break
        finally:
            self._scheduler.close()
            self._context.destroy(linger=500)
            log.info("stopped")

    def _handle_request(self) -> None:
        frames = [self._socket.recv(copy=False)]
        while self._socket.rcvmore:
            frame = self._socket.recv(copy=False)
            if len(frames) <= MAX_PARTS + 2:  # enough for decode to see that it is too many
                frames.append(frame)
        client = frames[0].bytes
        request: int | None = None
        try:
            message, request = m.unpack([frame.buffer for frame in frames[1:]])
            answer = self._answers.get(type(message))
            if answer is None:
                raise ProtocolError(ProtocolCode.UNKNOWN_TYPE, f"“{message.TYPE}” is not a request.")
            self._send(client, answer(message, client, request), request)
        except (ProtocolError, UserError) as error:
            request = request if request is not None else getattr(error, "request", None)
            log.info("refused a request (%s): %s", error.code, error.message)
            if request is not None:  # without an id nobody could tell what the answer is about
                self._send(client, m.Error(error.code, error.message, error.hint), request)
        except Exception as error:
            log.exception("a request failed")
            if request is not None:
                sentence = f"The backend failed to answer because of an error of its own ({type(error).__name__})."
                self._send(client, m.Error("internal", sentence, "Its log says more; please report it."), request)

    def _send(self, client: bytes, message: m.Message, request: int) -> bool:
        try:
            frames = m.pack(message, request)
        except ProtocolError as error:
            log.exception("an answer could not be packed")
            frames = m.pack(m.Error(error.code, error.message, error.hint), request)
        try:
            self._socket.send_multipart([client, *frames], zmq.NOBLOCK, copy=False)
        except zmq.ZMQError as error:
            log.debug("a client did not take its message: %s", error)
            return error.errno != zmq.EHOSTUNREACH
        return True

    def _publish(self, status: m.JobStatus) -> None:
        """Tell the subscribers of a job; those that left are forgotten, their job is not."""
        subscribers = self._subscribers.get(status.job_id, {})
        for client, request in list(subscribers.items()):
            if not self._send(client, m.Progress(status), request):
                del subscribers[client]
        if status.finished:
            self._subscribers.pop(status.job_id, None)

    def _hello(self, message: m.Hello, _client: bytes, _request: int) -> m.Message:
        log.info("%s %s says hello", message.client[:40], message.client_version[:40])
        worker = self._scheduler.worker
        verbs = tuple(cls.TYPE for cls in self._answers)
        version = importlib.metadata.version("flowface")
        return m.Welcome(version, os.getpid(), worker.state, worker.device, verbs, tuple(m.JOBS))

    def _heads(self, _message: m.Heads, _client: bytes, _request: int) -> m.Message:
        aligners = available_aligners()
        names = tuple(aligner.name for aligner in aligners)
        return m.HeadList(known_heads(), names, aligners, available_exports())

    def _submit(self, message: m.Submit, client: bytes, request: int) -> m.Message:
        spec = message.job
        relative = [path for path in spec.paths if not Path(path).is_absolute()]
        if relative:
            sentence = f"The footage “{relative[0]}” is not a full path, and the backend may run in another folder."
            raise UserError(ErrorCode.FOOTAGE_RELATIVE, sentence, "Submit the full path.")
        if isinstance(spec, m.FollowingJob):
            self._require_usable(self._scheduler.status(spec.parent))
        status = self._scheduler.submit(spec, message.token)
        if message.subscribe and not status.finished:
            self._subscribers.setdefault(status.job_id, {})[client] = request
        return m.Submitted(status)

    def _status(self, message: m.Status, client: bytes, request: int) -> m.Message:
        status = self._scheduler.status(message.job_id)
        if message.subscribe and not status.finished:
            self._subscribers.setdefault(status.job_id, {})[client] = request
        return m.StatusReply(status)

    def _cancel(self, message: m.Cancel, _client: bytes, _request: int) -> m.Message:
        return m.StatusReply(self._scheduler.cancel(message.job_id))

    def _jobs(self, message: m.Jobs, _client: bytes, _request: int) -> m.Message:
        found = self._store.latest(min(max(message.limit, 1), 200))
        return m.JobList(tuple(s if s.finished else self._scheduler.status(s.job_id) for s in found))

    def _result(self, message: m.Result, _client: bytes, _request: int) -> m.Message:
        status = self._scheduler.status(message.job_id)
        partial = self._scheduler.partial_file(message.job_id) if message.partial else None
        if partial is not None:
            return m.ResultReply(status, load_partial_take(partial, status.name))
        self._require_usable(status)
        left = self._store.results(message.job_id)
        unknown = [name for name in message.files if name not in left]
        if unknown:
            raise UserError(ErrorCode.UNKNOWN_FILE, f"The result of “{status.name}” has no file “{unknown[0][:60]}”.")
        wanted = left if message.all_files else message.files
        files = {name: np.frombuffer(left[name].read_bytes(), np.uint8) for name in wanted}
        take = load_take(self._store.folder(message.job_id), status.name)
        self._store.mark_fetched(status)
        return m.ResultReply(status, take, files)

    def _storage(self, _message: m.Storage, _client: bytes, _request: int) -> m.Message:
        return storage(self._store)

    def _prune(self, message: m.Prune, _client: bytes, _request: int) -> m.Message:
        return prune(self._store, message.max_bytes)

    @staticmethod
    def _require_usable(status: m.JobStatus) -> None:
        """Raises UserError ``no_result`` for a job that has not left its result."""
        if status.state is not m.JobState.DONE:
            reason = f": {status.problem}" if status.problem else "."
            raise UserError(ErrorCode.NO_RESULT, f"The job “{status.name}” is {status.state} and has no result{reason}")

    def _shutdown(self, _message: m.Shutdown, _client: bytes, _request: int) -> m.Message:
        log.info("a client asked the backend to stop")
        self._stopping = True
        return m.Goodbye()
