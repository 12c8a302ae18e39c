"""The backend's desk: what each request is answered, and who may make it.

This user's own clients may do anything; a trusted client on another machine sees and stops its own jobs only, and has
no say over the backend.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.alignment.registry import available_aligners
from backend.errors import ErrorCode, UserError
from backend.export.registry import available_exports
from backend.server import reading_link as link
from backend.server.door import Peer
from backend.server.health import HealthWatch
from backend.server.lists import MAX_LISTED
from backend.server.reading import Reading
from backend.server.refusals import require_over, require_usable
from backend.server.schedule import Scheduler
from backend.server.subscriptions import Subscriptions, shown_to
from backend.server.uploads import Uploads
from protocol import messages as m
from protocol.codec import ProtocolError
from protocol.codes import ProtocolCode

log = logging.getLogger(__name__)

OWNERS_ONLY: tuple[type[m.Message], ...] = (m.Storage, m.Prune, m.Shutdown)
"""Requests of which other users have no need."""


class Desk:
    """Answers requests, or has them answered by ``reading``. ``stop`` is called where one asks for the end."""

    def __init__(
        self,
        scheduler: Scheduler,
        subscriptions: Subscriptions,
        reading: Reading,
        uploads: Uploads,
        health: HealthWatch,
        stop: Callable[[], None],
    ) -> None:
        self._scheduler, self._subscriptions, self._stop = scheduler, subscriptions, stop
        self._reading, self._uploads, self._health = reading, uploads, health
        self._answers: dict[type[m.Message], Callable[[Any, Peer, int], m.Message | None]] = {
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
            m.Remove: self._remove,
            m.Shutdown: self._shutdown,
        }

    def answer(self, message: m.Message, peer: Peer, request: int) -> m.Message | None:
        """The answer to a request, None where reading gives it later.

        Raises UserError or ProtocolError where it cannot be carried out.
        """
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

    def _heads(self, _message: m.Heads, peer: Peer, request: int) -> None:
        self._reading.ask(peer, request, link.ReadHeads(available_aligners(), available_exports(), peer.is_owner))

    def _submit(self, message: m.Submit, peer: Peer, request: int) -> m.Message:
        spec = message.job
        if not peer.is_owner:
            spec = self._uploads.placed(peer.owner, spec)
        relative = [path for path in spec.paths if not Path(path).is_absolute()]
        if relative:
            sentence = f"The footage “{relative[0]}” is not a full path, and the backend may run in another folder."
            raise UserError(ErrorCode.FOOTAGE_RELATIVE, sentence, "Submit the full path.")
        if isinstance(spec, m.FollowingJob):
            require_usable(self._job(spec.parent, peer))
        status = self._scheduler.submit(spec, peer.owner, message.token)
        if message.subscribe and not status.finished:
            self._subscriptions.add(status.job_id, peer, request)
        return m.Submitted(shown_to(peer, status))

    def _upload_start(self, message: m.UploadStart, peer: Peer, _request: int) -> m.Message:
        return self._uploads.start(peer.owner, message)

    def _upload_chunk(self, message: m.UploadChunk, peer: Peer, _request: int) -> m.Message:
        return self._uploads.take(peer.owner, message)

    def _status(self, message: m.Status, peer: Peer, request: int) -> m.Message:
        status = self._job(message.job_id, peer)
        if message.subscribe and not status.finished:
            self._subscriptions.add(status.job_id, peer, request)
            self._scheduler.want(status.job_id)
        return m.StatusReply(status)

    def _cancel(self, message: m.Cancel, peer: Peer, _request: int) -> m.Message:
        self._job(message.job_id, peer)
        return m.StatusReply(shown_to(peer, self._scheduler.cancel(message.job_id)))

    def _jobs(self, message: m.Jobs, peer: Peer, request: int) -> None:
        limit = min(max(message.limit, 1), MAX_LISTED)
        owner = None if peer.is_owner else peer.owner
        self._reading.ask(peer, request, link.ReadJobs(limit, self._scheduler.live(limit), owner))

    def _result(self, message: m.Result, peer: Peer, request: int) -> None:
        status = self._job(message.job_id, peer)
        partial = self._scheduler.partial_file(message.job_id) if message.partial else None
        if partial is None:
            require_usable(status)
        wanted = (message.files, message.all_files, "" if partial is None else str(partial), message.cut)
        self._reading.ask(peer, request, link.ReadResult(status, *wanted))

    def _storage(self, _message: m.Storage, peer: Peer, request: int) -> None:
        self._reading.ask(peer, request, link.ReadStorage())

    def _prune(self, message: m.Prune, peer: Peer, request: int) -> None:
        self._reading.ask(peer, request, link.PruneJobs(message.max_bytes))

    def _remove(self, message: m.Remove, peer: Peer, request: int) -> None:
        if self._scheduler.is_live(message.job_id) or not peer.is_owner:
            require_over(self._job(message.job_id, peer))
        self._reading.ask(peer, request, link.RemoveJob(message.job_id))

    def _shutdown(self, _message: m.Shutdown, _peer: Peer, _request: int) -> m.Message:
        log.info("a client asked the backend to stop")
        self._stop()
        return m.Goodbye()

    def _job(self, job_id: str, peer: Peer) -> m.JobStatus:
        """The state of a job that this client may know of; raises UserError (``unknown_job``)."""
        if peer.is_owner:
            return self._scheduler.status(job_id)
        status = None
        with contextlib.suppress(UserError):  # whose a damaged one is nobody knows
            status = self._scheduler.status(job_id)
        if status is None or status.owner != peer.owner:
            raise UserError(ErrorCode.UNKNOWN_JOB, f"There is no job “{job_id[:60]}” here.")
        return shown_to(peer, status)
