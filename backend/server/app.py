"""The backend's serving loop: the door, the desk and the scheduler in one thread.

Every request is answered quickly from memory; the work itself happens in another process (``worker``), and so does the
reading of files (``reading``). A request that cannot be understood or carried out is answered by an Error and never
ends the loop.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path

import zmq

from backend.errors import UserError
from backend.memory import give_back_freed_memory
from backend.server.desk import Desk
from backend.server.device import AUTO, environment
from backend.server.door import LINGER_MS, Door, Incoming, Peer
from backend.server.endpoint import DEFAULT_ENDPOINT, loopback_endpoint, network_endpoint
from backend.server.health import HealthWatch
from backend.server.jobs import JobStore
from backend.server.keys import KeyRing, keys_folder
from backend.server.logs import about_request
from backend.server.process import ParentWatch
from backend.server.reading import Reading
from backend.server.retention import KEEP_ALL, Retention
from backend.server.schedule import Scheduler
from backend.server.subscriptions import Subscriptions
from backend.server.uploads import Uploads
from protocol import messages as m
from protocol.codec import ProtocolError

log = logging.getLogger(__name__)

TIDY_SECONDS = 5.0

DEFAULT_RUNNER = "backend.pipeline.runners:run_job"


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
        adopt: bool = True,
        network: str | None = None,
    ) -> None:
        """Bind and start the worker, for fits on ``device`` (“auto”, “cpu”, “cuda”).

        ``network`` is where clients on other machines are listened to, whose keys are trusted; None for nowhere.

        With ``finish_jobs``, the parent's end waits for the end of all jobs. ``retention`` bounds what is kept of jobs.
        Without ``adopt``, of the jobs that other backends left only those are taken up that a client asks for.

        Raises:
            UserError: ``bad_endpoint``, ``not_loopback``, ``unknown_device``, ``in_use``, ``jobs_folder``,
                ``bad_keys``.
        """
        bind_to = loopback_endpoint(endpoint)
        network_at = None if network is None else network_endpoint(network)
        environment(device)  # an unknown one is refused before anything is bound
        keys = KeyRing(keys_folder())
        self._store = JobStore(jobs_dir)
        self._parent = ParentWatch(parent_pid) if parent_pid else None
        self._finish_jobs = finish_jobs
        self._stopping = False
        self._tidied = time.monotonic()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            self._door = Door(self._context, keys, bind_to, network_at)
        except UserError:
            self._context.destroy(linger=0)
            raise
        self.endpoint, self.network_endpoint = self._door.endpoint, self._door.network_endpoint
        subscriptions = Subscriptions(self._send)
        self._scheduler = Scheduler(
            self._context, self._store, runner, subscriptions.publish, device, retention, adopt=adopt
        )
        uploads = Uploads(jobs_dir)
        self._reading = Reading(self._context, jobs_dir, self._door.send_watched)
        self._health = HealthWatch(jobs_dir, self._scheduler)
        self._desk = Desk(self._scheduler, subscriptions, self._reading, uploads, self._health, self.stop)

    def stop(self) -> None:
        """End ``run`` soon. May be called from a signal handler or another thread."""
        self._stopping = True

    def run(self) -> None:
        """Serve; returns after everything is closed and unfinished jobs are left to the next backend."""
        poller = zmq.Poller()
        for socket in (*self._door.sockets, self._scheduler.events, self._reading.answers):
            poller.register(socket, zmq.POLLIN)
        try:
            while not self._stopping:
                seconds = min(self._scheduler.poll_timeout(), self._reading.poll_timeout())
                ready = dict(poller.poll(int(seconds * 1000)))
                if self._scheduler.events in ready:
                    self._scheduler.handle_event(self._scheduler.events.recv_multipart())
                if self._reading.answers in ready:
                    self._reading.handle_answers()
                for socket in self._door.sockets:
                    if socket in ready and (incoming := self._door.receive(socket)):
                        self._handle(incoming)
                self._scheduler.tick()
                self._reading.tick()
                self._tidy_memory()
                if self._parent and self._parent.gone() and (self._scheduler.idle or not self._finish_jobs):
                    log.info("the process that started this backend has ended; so does the backend")
                    break
        finally:
            self._health.stop()
            self._scheduler.close()
            self._reading.close()
            self._door.close()
            self._context.destroy(linger=LINGER_MS)
            log.info("stopped")

    def _tidy_memory(self) -> None:
        """Every now and then: what requests leave in pieces is never given back otherwise."""
        if time.monotonic() - self._tidied > TIDY_SECONDS:
            give_back_freed_memory()
            self._tidied = time.monotonic()

    def _handle(self, incoming: Incoming) -> None:
        peer = incoming.peer
        with about_request(peer=peer.owner or "this user", connection=peer.routing_id.hex()[-8:]):
            self._answer(incoming)

    def _answer(self, incoming: Incoming) -> None:
        request: int | None = None
        peer = incoming.peer
        try:
            message, request, protocol = m.read(incoming.frames)
            peer = replace(peer, protocol=protocol)
            answer = self._desk.answer(message, peer, request)
            if answer is not None:
                self._send(peer, answer, request)
        except (ProtocolError, UserError) as error:
            request = request if request is not None else getattr(error, "request", None)
            log.info("refused a request (%s): %s", error.code, error.message)
            if request is not None:  # without an id nobody could tell what the answer is about
                self._send(peer, m.Error(error.code, error.message, error.hint), request)
        except Exception as error:
            log.exception("a request failed")
            if request is not None:
                sentence = f"The backend failed to answer because of an error of its own ({type(error).__name__})."
                self._send(peer, m.Error("internal", sentence, "Its log says more; please report it."), request)

    def _send(self, peer: Peer, message: m.Message, request: int) -> bool:
        try:
            frames = m.pack(message, request, peer.protocol)
        except ProtocolError as error:
            log.exception("an answer could not be packed")
            frames = m.pack(m.Error(error.code, error.message, error.hint), request)
        return self._door.send(peer, frames)
