"""The connection to a live session: what comes from it, taken from its socket by a thread.

Like ``client`` it knows nothing of bpy, and neither side waits for the other. Of poses only the newest is there to be
shown, however many came since the last look; while a recording runs all are kept, up to ``MAX_KEPT``. States and all
else wait in order.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import zmq

from .gate import Gate
from .vendor import codec, keys, live

MAX_KEPT = 108_000
"""Poses of one recording: half an hour at 60 a second, some 100 MB."""
WAKE_MS = 5
"""Between two looks for what is to be sent, or whether to stand still: so long the main thread may wait for that."""
HEARTBEAT_MS = (1000, 4000)
PARK_SECONDS = 0.05
WAITING = 1000
"""Messages that the socket holds while the thread is kept from running: half a minute of poses."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """A recording that has ended: what the session says of it, and its poses; ``full`` where later ones are missing."""

    told: live.LiveRecording
    poses: tuple[live.LivePose, ...]
    full: bool = False


Event = live.LiveState | live.LiveTake | Recorded


class LiveClient:
    """A DEALER socket in a thread, from construction to ``close``."""

    def __init__(self, endpoint: str, session_key: str, own: keys.KeyPair) -> None:
        """Connect to the session at ``endpoint``, known by its public key; ``own`` is the pair that it was told."""
        self.not_understood = ""  # the last message that was none, in a sentence
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._commands: queue.SimpleQueue[live.LiveCommand] = queue.SimpleQueue()
        self._newest: live.LivePose | None = None  # the thread's alone, as ``_taken`` is the other side's
        self._taken: live.LivePose | None = None
        self._kept: list[live.LivePose] | None = None
        self._full = False
        self._gate, self._closed = Gate(), threading.Event()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.rcvhwm = WAITING
        self._socket.curve_serverkey = keys.public_from_text(session_key).encode()
        self._socket.curve_publickey, self._socket.curve_secretkey = own.public.encode(), own.secret.encode()
        self._socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS[0])
        self._socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_MS[1])
        self._socket.setsockopt(zmq.MAXMSGSIZE, codec.MAX_PART_BYTES)
        self._socket.connect(endpoint)
        self._thread = threading.Thread(target=self._run, name="FlowFace live client", daemon=True)
        self._thread.start()

    def send(self, verb: live.LiveVerb) -> None:
        """Ask the session for something; it says by its states what became of that."""
        self._commands.put(live.LiveCommand(verb))

    def newest(self) -> live.LivePose | None:
        """The newest pose that came since the last call; None where none did. Older ones are gone."""
        pose = self._newest
        if pose is self._taken:
            return None
        self._taken = pose
        return pose

    def events(self) -> list[Event]:
        """What else came, oldest first."""
        found: list[Event] = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self._events.get_nowait())
        return found

    def rest(self) -> list[Event]:
        """Close, and return what else came: the poses, too, of a recording whose session broke off."""
        self.close()
        found, poses = self.events(), self._kept
        if poses:
            told = live.LiveRecording(poses[-1].time - poses[0].time, len(poses), first_time=poses[0].time)
            found.append(Recorded(told, tuple(poses), self._full))
        return found

    @property
    def kept(self) -> int:
        """How many poses the recording that runs has so far."""
        kept = self._kept
        return len(kept) if kept is not None else 0

    @contextlib.contextmanager
    def parked(self) -> Iterator[bool]:
        """The thread stands still meanwhile, where it says True (see ``client.Client.parked``)."""
        still = True
        if self._thread.is_alive():
            self._gate.close()
            still = self._gate.wait_until_reached(PARK_SECONDS)
        try:
            yield still
        finally:
            self._gate.open()

    def close(self) -> None:
        """End the thread and free the socket; waits for nothing that has not left yet."""
        self._closed.set()
        self._gate.open()
        self._thread.join(timeout=3.0)
        self._context.destroy(linger=0)

    def _run(self) -> None:
        try:
            while not self._closed.is_set():
                self._gate.pass_through()
                self._send_commands()
                if self._socket.poll(WAKE_MS):
                    self._receive()
            self._send_commands()
            for _ in range(WAITING):  # a session that has ended may have said something since the last look
                if not self._socket.poll(0):
                    break
                self._receive()
        except zmq.ContextTerminated:
            return
        finally:
            self._socket.close(linger=0)

    def _send_commands(self) -> None:
        with contextlib.suppress(queue.Empty, zmq.Again):
            while True:
                command = self._commands.get_nowait()
                self._socket.send_multipart(live.pack_live(command), zmq.NOBLOCK)

    def _receive(self) -> None:
        frames = self._socket.recv_multipart(copy=False)
        try:
            message = live.unpack_live([frame.buffer for frame in frames])
        except codec.ProtocolError as error:
            self.not_understood = error.message
            return
        if isinstance(message, live.LivePose):
            self._newest = message
            if self._kept is not None:
                if len(self._kept) < MAX_KEPT:
                    self._kept.append(message)
                else:
                    self._full = True
        elif isinstance(message, live.LiveRecording):
            poses, self._kept = tuple(self._kept or ()), None
            self._events.put(Recorded(message, poses, self._full))
        elif isinstance(message, live.LiveState | live.LiveTake):
            if isinstance(message, live.LiveState) and message.phase is live.LivePhase.RECORDING and self._kept is None:
                self._kept, self._full = [], False
            self._events.put(message)
