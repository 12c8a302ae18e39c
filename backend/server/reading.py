"""What needs files is read in other processes, so that the serving loop never waits for a disk or a damaged file.

There are three: one reads states of jobs only, so that a list never waits for a take of hundreds of megabytes or for a
head, which are the second's, and neither for the third, which looks through the jobs folder and deletes (5,000 jobs in
95 s on two busy cores) and leaves the processor to the others. Clients take turns; what one client asks of a process is
done in order. A process that gives no sign of life for ``PATIENCE`` is ended and replaced, one that dies is replaced,
and the file that it was reading is not read again before it changes.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import zmq

from backend.errors import ErrorCode, UserError
from backend.server import reading_link as link
from backend.server.door import Peer
from backend.server.reading_process import Came, Inbox, ReadingProcess
from protocol import messages as m
from protocol.codec import Frame

log = logging.getLogger(__name__)

ADDRESS = "inproc://read"
PATIENCE = 60.0  # seconds for one file; the largest take, 1 GB, takes a tenth of that from a cold disk
START_AFTER = 1.0  # seconds without need: first comes the worker, and what lives shorter reads nothing
MAX_WAITING_PATIENCE = 120.0  # seconds that an order may wait for its turn
MAX_ORDERS_OF_A_PEER = 16
MAX_ORDERS = 1000
MAX_TRIES = 3  # of the list of heads, which leaves out a file that ended its reader
MAX_UNSENT_BYTES = 512 << 20
"""Of answers that wait for slow clients; beyond it no further result is read. One result alone may be larger."""
LARGE = 1 << 20  # bytes from which on an answer is watched until it has left

Send = Callable[[Peer, Sequence[Frame]], "zmq.MessageTracker | None"]
"""Sends frames to a client; None where it has left."""


@dataclass(eq=False)
class _Waiting:
    peer: Peer
    request: int
    order: link.Order
    since: float
    tries: int = 0


@dataclass(eq=False)
class _Lane:
    """One process and what waits for it, by client, the one whose turn it is first."""

    name: str
    process: ReadingProcess | None = None
    waiting: OrderedDict[Peer, deque[_Waiting]] = field(default_factory=OrderedDict)
    current: _Waiting | None = None
    number: int = link.NOTE  # of the current order
    alive_at: float = 0.0  # when the process last said something, or got its order
    reading: link.FileState | None = None

    def count(self, peer: Peer | None = None) -> int:
        """How many orders wait, of a client or of all."""
        return sum(len(orders) for other, orders in self.waiting.items() if peer in (None, other))


@dataclass(eq=False)
class _Unsent:
    peer: Peer
    size: int
    tracker: zmq.MessageTracker


class Reading:
    """Carries out orders of ``reading_link`` for clients and passes the answers on as they come."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], jobs_dir: Path, send: Send) -> None:
        """The processes start when they are needed, or soon."""
        self.patience = PATIENCE
        self._jobs_dir, self._send = jobs_dir, send
        self._inbox = Inbox(context, ADDRESS)
        self._avoid: dict[str, link.FileState] = {}
        self._unsent: list[_Unsent] = []
        self._number = link.NOTE
        self._states, self._files, self._room = _Lane("states"), _Lane("files"), _Lane("room")
        self._lanes = (self._states, self._files, self._room)
        self._start_at: float | None = time.monotonic() + START_AFTER

    @property
    def answers(self) -> zmq.Socket[bytes]:
        """The socket to wait at; where it is ready, call ``handle_answers``."""
        return self._inbox.ready

    @property
    def pids(self) -> dict[str, int]:
        """The ids of the processes that run, of “states”, “files” and “room”."""
        return {lane.name: lane.process.pid for lane in self._lanes if lane.process}

    def reads(self, name: str) -> str:
        """The file that a process reads now, "" where it reads none."""
        lane = next(lane for lane in self._lanes if lane.name == name)
        return lane.reading.path if lane.reading else ""

    def ask(self, peer: Peer, request: int, order: link.Order) -> None:
        """Have an order carried out for a client's request, which is answered later in any case.

        Raises UserError (``busy``) where too many wait.
        """
        lane = self._lane_of(order)
        if lane.count(peer) >= MAX_ORDERS_OF_A_PEER or lane.count() >= MAX_ORDERS:
            raise UserError(ErrorCode.BUSY, "Too many requests wait for an answer already.", "Try again in a moment.")
        lane.waiting.setdefault(peer, deque()).append(_Waiting(peer, request, order, time.monotonic()))
        self._next(lane)

    def _lane_of(self, order: link.Order) -> _Lane:
        if isinstance(order, link.ReadJobs):
            return self._states
        return self._files if isinstance(order, link.ReadHeads | link.ReadResult) else self._room

    def forget(self, peer: Peer) -> None:
        """Drop what waits for a client that has left."""
        for lane in self._lanes:
            lane.waiting.pop(peer, None)

    def handle_answers(self) -> None:
        """Pass on what has come."""
        for came in self._inbox.take():
            lane = next((lane for lane in self._lanes if lane.process is came.process), None)
            if lane is None:  # it was replaced
                continue
            try:
                self._handle(lane, came)
            except Exception:
                log.exception("an answer of a reading process could not be passed on; the backend goes on")

    def poll_timeout(self) -> float:
        """Seconds after which ``tick`` must be called: soon while an order waits for an answer to leave."""
        held = self._unsent and any(lane.waiting and lane.current is None for lane in self._lanes)
        return 0.02 if held else 0.5

    def tick(self) -> None:
        """End what takes too long, and go on with what waited for another answer to leave."""
        try:
            self._tick()
        except Exception:
            log.exception("an error of our own while reading; the backend goes on")

    def _tick(self) -> None:
        now = time.monotonic()
        start = self._start_at is not None and now > self._start_at
        self._start_at = None if start else self._start_at
        for lane in self._lanes:
            if start and lane.process is None and lane is not self._room:
                self._start(lane)
            if lane.current is not None and now - lane.alive_at > self.patience:
                log.error("reading %s took too long; its process is ended", _path(lane.reading))
                self._lost(lane, f"took more than {self.patience:g} seconds")
            for peer in [peer for peer, orders in lane.waiting.items() if now - orders[0].since > MAX_WAITING_PATIENCE]:
                orders = lane.waiting.get(peer)
                if orders is None:
                    continue
                self._refuse(orders.popleft(), ErrorCode.BUSY, "The backend is busy answering others.", "Try again.")
                if not orders:
                    lane.waiting.pop(peer, None)
            self._next(lane)

    def close(self) -> None:
        """End the processes."""
        for lane in self._lanes:
            if lane.process is not None:
                lane.process.close(seconds=5.0)
        self._inbox.ready.close(linger=0)

    def _start(self, lane: _Lane) -> None:
        try:
            lane.process = ReadingProcess(
                self._jobs_dir, self._inbox, tuple(self._avoid.values()), background=lane is self._room
            )
        except OSError as error:
            lane.process = None
            log.error("no process can be started for reading: %s", error)

    def _next(self, lane: _Lane) -> None:
        """Give the process its next order, of the client whose turn it is."""
        if lane.current is not None or not lane.waiting:
            return
        self._unsent = [unsent for unsent in self._unsent if not unsent.tracker.done]
        slow = {unsent.peer for unsent in self._unsent}
        full = sum(unsent.size for unsent in self._unsent) > MAX_UNSENT_BYTES
        peer = next(
            (p for p, orders in lane.waiting.items() if not _is_large(orders[0].order) or not (full or p in slow)), None
        )
        if peer is None:
            return
        if lane.process is None:
            self._start(lane)
        waiting = lane.waiting[peer].popleft()
        if lane.waiting[peer]:
            lane.waiting.move_to_end(peer)
        else:
            del lane.waiting[peer]
        if lane.process is None:
            sentence = "The backend cannot start the process that reads files."
            self._refuse(waiting, ErrorCode.READER_DIED, sentence, "The machine may be out of memory or processes.")
            return
        self._number += 1
        lane.current, lane.number, lane.reading, lane.alive_at = waiting, self._number, None, time.monotonic()
        waiting.tries += 1
        asked = link.Asked(waiting.order, lane.number, waiting.request, waiting.peer.protocol)
        lane.process.order(asked)

    def _handle(self, lane: _Lane, came: Came) -> None:
        lane.alive_at = time.monotonic()
        if came.frames is None:
            words = came.process.exit_in_words()
            log.error("a reading process %s while it read %s", words, _path(lane.reading))
            if lane.current is None:  # it is started again where something is to be read
                lane.process = None
            else:
                self._lost(lane, f"ended the process that reads files, which {words}")
        elif came.number == link.NOTE:
            lane.reading = link.read_note(came.frames)
        elif lane.current is not None and came.number == lane.number:
            waiting, lane.current, lane.reading = lane.current, None, None
            self._pass_on(waiting.peer, came.frames)
            self._next(lane)

    def _pass_on(self, peer: Peer, frames: list[Frame]) -> None:
        tracker = self._send(peer, frames)
        if tracker is None:
            self.forget(peer)
            return
        size = sum(len(frame) for frame in frames)
        if size >= LARGE and not tracker.done:
            self._unsent.append(_Unsent(peer, size, tracker))

    def _lost(self, lane: _Lane, why: str) -> None:
        """Replace a process that hangs or has ended, and answer its order."""
        if lane.process is not None:
            lane.process.kill()
        waiting, lane.current = lane.current, None
        file, lane.reading = lane.reading, None
        if file is not None and file.path:
            self._avoid[file.path] = file
        self._start(lane)
        if waiting is None:
            return
        if file is not None and isinstance(waiting.order, link.ReadHeads) and waiting.tries < MAX_TRIES:
            lane.waiting.setdefault(waiting.peer, deque()).appendleft(waiting)
        else:
            sentence = f"Reading {_path(file)} {why}."
            hint = "That file is damaged or its disk does not answer; it is not read again before it changes."
            self._refuse(waiting, ErrorCode.READER_DIED, sentence, hint if file is not None else "Try again.")
        self._next(lane)

    def _refuse(self, waiting: _Waiting, code: str, sentence: str, hint: str) -> None:
        self._pass_on(waiting.peer, m.pack(m.Error(code, sentence, hint), waiting.request, waiting.peer.protocol))


def _is_large(order: link.Order) -> bool:
    return isinstance(order, link.ReadResult)


def _path(file: link.FileState | None) -> str:
    return file.path if file is not None and file.path else "what was asked for"
