"""The backend's desk: what each request is answered, and who may make it.

This user's own clients may do anything; a trusted client on another machine sees and stops its own jobs only, and has
no say over the backend.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from backend.alignment.registry import available_aligners
from backend.errors import ErrorCode, UserError
from backend.export.registry import available_exports
from backend.server.door import Peer
from backend.server.health import HealthWatch
from backend.server.jobs import JobStore
from backend.server.result import known_heads, load_partial_take, load_take
from backend.server.schedule import Scheduler
from backend.server.storage import prune, storage
from backend.server.subscriptions import Subscriptions
from backend.server.uploads import Uploads
from protocol import messages as m
from protocol.codec import ProtocolError
from protocol.codes import ProtocolCode

log = logging.getLogger(__name__)

MAX_LISTED = 200
OWNERS_ONLY: tuple[type[m.Message], ...] = (m.Storage, m.Prune, m.Shutdown)
"""Requests of which other users have no need."""


class Desk:
    """Answers requests. ``stop`` is called where one asks for the end of the backend."""

    def __init__(
        self,
        store: JobStore,
        scheduler: Scheduler,
        subscriptions: Subscriptions,
        uploads: Uploads,
        health: HealthWatch,
        stop: Callable[[], None],
    ) -> None:
        self._store, self._scheduler, self._subscriptions, self._stop = store, scheduler, subscriptions, stop
        self._uploads, self._health = uploads, health
        self._answers: dict[type[m.Message], Callable[[Any, Peer, int], m.Message]] = {
            m.Hello: self._hello,
            m.Heads: self._heads,
            m.Submit: self._submit,
            m.UploadStart: self._upload_start,
            m.UploadChunk: self._upload_chunk,
            m.Status: self._status,
            m.Result: self._result,
            m.Cancel: self._cancel,
            m.Jobs: self._jobs,
            m.Storage: self._storage,
            m.Prune: self._prune,
            m.Shutdown: self._shutdown,
        }

    def answer(self, message: m.Message, peer: Peer, request: int) -> m.Message:
        """The answer to a request; raises UserError or ProtocolError where it cannot be carried out."""
        answer = self._answers.get(type(message))
        if answer is None:
            raise ProtocolError(ProtocolCode.UNKNOWN_TYPE, f"“{message.TYPE}” is not a request.")
        if isinstance(message, OWNERS_ONLY) and not peer.is_owner:
            raise UserError(ErrorCode.NOT_ALLOWED, f"“{message.TYPE}” is for the user whose backend this is.")
        return answer(message, peer, request)

    def _hello(self, message: m.Hello, peer: Peer, _request: int) -> m.Message:
        log.info("%s %s says hello", message.client[:40], message.client_version[:40])
        worker = self._scheduler.worker
        verbs = tuple(cls.TYPE for cls in self._answers)
        version = importlib.metadata.version("flowface")
        health = self._health.now() if peer.is_owner else None
        return m.Welcome(version, os.getpid(), worker.state, worker.device, verbs, tuple(m.JOBS), peer.is_owner, health)

    def _heads(self, _message: m.Heads, _peer: Peer, _request: int) -> m.Message:
        aligners = available_aligners()
        names = tuple(aligner.name for aligner in aligners)
        return m.HeadList(known_heads(), names, aligners, available_exports())

    def _submit(self, message: m.Submit, peer: Peer, request: int) -> m.Message:
        spec = message.job
        if not peer.is_owner:
            spec = self._uploads.placed(peer.owner, spec)
        relative = [path for path in spec.paths if not Path(path).is_absolute()]
        if relative:
            sentence = f"The footage “{relative[0]}” is not a full path, and the backend may run in another folder."
            raise UserError(ErrorCode.FOOTAGE_RELATIVE, sentence, "Submit the full path.")
        if isinstance(spec, m.FollowingJob):
            self._require_usable(self._job(spec.parent, peer))
        status = self._scheduler.submit(spec, peer.owner, message.token)
        if message.subscribe and not status.finished:
            self._subscriptions.add(status.job_id, peer, request)
        return m.Submitted(status)

    def _upload_start(self, message: m.UploadStart, peer: Peer, _request: int) -> m.Message:
        return self._uploads.start(peer.owner, message)

    def _upload_chunk(self, message: m.UploadChunk, peer: Peer, _request: int) -> m.Message:
        return self._uploads.take(peer.owner, message)

    def _status(self, message: m.Status, peer: Peer, request: int) -> m.Message:
        status = self._job(message.job_id, peer)
        if message.subscribe and not status.finished:
            self._subscriptions.add(status.job_id, peer, request)
        return m.StatusReply(status)

    def _cancel(self, message: m.Cancel, peer: Peer, _request: int) -> m.Message:
        self._job(message.job_id, peer)
        return m.StatusReply(self._scheduler.cancel(message.job_id))

    def _jobs(self, message: m.Jobs, peer: Peer, _request: int) -> m.Message:
        found = self._store.latest(min(max(message.limit, 1), MAX_LISTED))
        seen = (status for status in found if peer.is_owner or status.owner == peer.owner)
        return m.JobList(tuple(s if s.finished else self._scheduler.status(s.job_id) for s in seen))

    def _result(self, message: m.Result, peer: Peer, _request: int) -> m.Message:
        status = self._job(message.job_id, peer)
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

    def _storage(self, _message: m.Storage, _peer: Peer, _request: int) -> m.Message:
        return storage(self._store)

    def _prune(self, message: m.Prune, _peer: Peer, _request: int) -> m.Message:
        return prune(self._store, message.max_bytes)

    def _shutdown(self, _message: m.Shutdown, _peer: Peer, _request: int) -> m.Message:
        log.info("a client asked the backend to stop")
        self._stop()
        return m.Goodbye()

    def _job(self, job_id: str, peer: Peer) -> m.JobStatus:
        """The state of a job that this client may know of; raises UserError (``unknown_job``)."""
        status = self._scheduler.status(job_id)
        if not peer.is_owner and status.owner != peer.owner:
            raise UserError(ErrorCode.UNKNOWN_JOB, f"There is no job “{job_id[:60]}” here.")
        return status if peer.is_owner else dataclasses.replace(status, footage=Path(status.footage).name)

    @staticmethod
    def _require_usable(status: m.JobStatus) -> None:
        """Raises UserError ``no_result`` for a job that has not left its result."""
        if status.state is not m.JobState.DONE:
            reason = f": {status.problem}" if status.problem else "."
            raise UserError(ErrorCode.NO_RESULT, f"The job “{status.name}” is {status.state} and has no result{reason}")
