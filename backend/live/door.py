"""The door of a live session: one socket on loopback, for the one client that started the session.

The session prints one JSON line (``ready_line``) once it listens. Both ends are known by their keys (CURVE): the client
names its public key as it starts the session, and nobody else gets an answer. A session that nobody listens to any
more ends, so that no camera stays on: its client is away for ``AWAY_SECONDS``, or the process that started it is gone.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable

import zmq
from zmq.auth.thread import ThreadAuthenticator
from zmq.utils.monitor import recv_monitor_message

from backend.errors import ErrorCode, UserError
from backend.live.types import Session
from backend.server.process import ParentWatch
from protocol import keys
from protocol.codec import Frame, ProtocolError
from protocol.live import LiveCommand, LivePhase, LivePose, LiveState, LiveVerb, pack_live, unpack_live
from protocol.message import Message
from protocol.version import PROTOCOL_VERSION

log = logging.getLogger(__name__)

Socket = zmq.Socket[bytes]

WAITING = 256
"""Messages that wait for a client which does not read: eight seconds of poses at 30 a second. Those after are dropped,
or, where they must not be, kept here."""
MAX_COMMAND_BYTES = 64 << 10
HEARTBEAT_MS = (1000, 4000)
"""ZeroMQ's own threads answer these, also while Blender works for long."""
AWAY_SECONDS = 6.0
"""How long a client may be away; ``FIRST_SECONDS`` it may take to come at first."""
FIRST_SECONDS = 30.0
ENDING_SECONDS = 10.0
"""A session that was told to end and does not (a camera's driver hangs) is ended with its process."""
LOOK_MS = 250
LINGER_MS = 2000
FAREWELL_SECONDS = 5.0
DOMAIN = "live"


class Door:
    """An ``Outlet`` for one client; ``send`` and ``command`` are for one thread."""

    def __init__(self, client_key: str, parent_pid: int | None = None) -> None:
        """Listen on a free port of this machine for the client with this public key (``keys.public_text``).

        Raises:
            UserError: ``bad_keys`` for what is no public key, ``in_use`` where no port can be had.
        """
        try:
            self._client_key = keys.public_from_text(client_key).encode()
        except ProtocolError as error:
            raise UserError(ErrorCode.BAD_KEYS, error.message, error.hint) from error
        self._owed: deque[tuple[Message, list[Frame]]] = deque()
        self._context: zmq.Context[Socket] = zmq.Context()
        self._authenticator = ThreadAuthenticator(self._context)
        self._authenticator.start()
        self._authenticator.configure_curve_callback(DOMAIN, self)
        self._socket = self._context.socket(zmq.DEALER)
        public = self._configure()
        try:
            self._socket.bind("tcp://127.0.0.1:*")
        except zmq.ZMQError as error:
            self._authenticator.stop()
            self._context.destroy(linger=0)
            sentence = f"The live session cannot listen on this machine: {error.strerror}."
            raise UserError(ErrorCode.IN_USE, sentence) from error
        self._watch = _Watch(self._socket, parent_pid)
        ready = {
            "live": self._socket.getsockopt_string(zmq.LAST_ENDPOINT),
            "key": keys.public_text(public),
            "pid": os.getpid(),
            "protocol": PROTOCOL_VERSION,
        }
        self.ready_line = json.dumps(ready)

    def _configure(self) -> str:
        """Set the socket up under a new pair of keys; returns the public one."""
        public, secret = zmq.curve_keypair()
        socket = self._socket
        socket.curve_server = True
        socket.curve_publickey, socket.curve_secretkey = public, secret
        socket.zap_domain = DOMAIN.encode()
        socket.linger = LINGER_MS
        socket.sndhwm = socket.rcvhwm = WAITING
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_COMMAND_BYTES)
        socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS[0])
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_MS[1])
        return str(public.decode("ascii"))

    def callback(self, _domain: str, key: bytes) -> bool:
        """Whether the client with this public key (Z85) may connect, as pyzmq's authenticator asks in its thread."""
        return key == self._client_key

    def send(self, message: Message) -> None:
        """Send a message without waiting; a ``LivePose`` that finds no room is dropped, others are kept until there is
        room."""
        self._pay()
        if isinstance(message, LivePose) and self._owed:
            return
        frames = pack_live(message)
        if not self._sent(frames) and not isinstance(message, LivePose):
            if isinstance(message, LiveState):  # of states that nobody has read the last one tells all
                self._owed = deque(kept for kept in self._owed if not _says_less(kept[0]))
            self._owed.append((message, frames))

    def command(self) -> LiveCommand | None:
        """The next thing that the client asks for; an end where nobody is there any more."""
        self._pay()
        if self._watch.deserted:
            return LiveCommand(LiveVerb.END)
        with contextlib.suppress(zmq.Again):
            frames = self._socket.recv_multipart(zmq.NOBLOCK)
            try:
                message = unpack_live(frames)
            except ProtocolError as error:
                log.warning("a command was not understood: %s", error)
                return None
            return message if isinstance(message, LiveCommand) else None
        return None

    def close(self) -> None:
        """Stop listening; what must not be dropped has ``FAREWELL_SECONDS`` to be taken, for a client that comes."""
        deadline = time.monotonic() + FAREWELL_SECONDS
        self._pay()
        while self._owed and not self._watch.deserted and time.monotonic() < deadline:
            time.sleep(0.02)
            self._pay()
        self._watch.close()
        self._socket.close(linger=LINGER_MS)
        self._authenticator.stop()
        self._context.destroy(linger=LINGER_MS)

    def _pay(self) -> None:
        while self._owed and self._sent(self._owed[0][1]):
            self._owed.popleft()

    def _sent(self, frames: list[Frame]) -> bool:
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True


def _says_less(message: Message) -> bool:
    """True of a state that a later one makes old."""
    return isinstance(message, LiveState) and message.phase not in (LivePhase.ENDED, LivePhase.FAILED)


class _Watch:
    """Sees in a thread of its own whether client and parent are there; ends the process where the session does not."""

    def __init__(self, socket: Socket, parent_pid: int | None) -> None:
        self._parent = ParentWatch(parent_pid) if parent_pid else None
        self._socket = socket
        self._monitor: Socket = socket.get_monitor_socket(
            zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | zmq.EVENT_MONITOR_STOPPED
        )
        self._last_there = time.monotonic() + FIRST_SECONDS - AWAY_SECONDS
        self._ends_at = 0.0
        self._there = False
        self._closed = threading.Event()
        self.deserted = False
        self._thread = threading.Thread(target=self._run, name="FlowFace live watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; called before the socket is closed."""
        self._closed.set()
        self._socket.disable_monitor()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._closed.is_set():
                if self._monitor.poll(LOOK_MS) and not self._note(recv_monitor_message(self._monitor)["event"]):
                    return
                self._look(time.monotonic())
        finally:
            self._monitor.close(linger=0)

    def _note(self, event: int) -> bool:
        if event == zmq.EVENT_MONITOR_STOPPED:
            return False
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._there = True
        elif self._there:
            self._there, self._last_there = False, time.monotonic()
        return True

    def _look(self, now: float) -> None:
        alone = not self._there and now - self._last_there > AWAY_SECONDS
        orphaned = self._parent is not None and self._parent.gone()
        if not (alone or orphaned):
            return
        if not self.deserted:
            log.info("nobody listens to this session any more: it ends")
            self.deserted = True
            self._last_there = min(self._last_there, now - AWAY_SECONDS)
            self._ends_at = now + ENDING_SECONDS
        elif now > self._ends_at:
            os._exit(3)  # whatever it hangs in, the camera must be free


def serve(client_key: str, parent_pid: int | None, make: Callable[[], Session]) -> int:
    """Open a door, print its line, and run the session that ``make`` makes; returns an exit status.

    What goes wrong is told to the client as a ``LiveState``, and in the process's own words by the status: 0, or 2 for
    what the user can mend.

    Raises:
        UserError: there is no door: nobody could be told.
    """
    door = Door(client_key, parent_pid)
    print(door.ready_line, flush=True)
    try:
        door.send(LiveState(LivePhase.OPENING, "The live session starts."))
        make().run(door)
    except UserError as error:
        log.error("%s", error)
        door.send(LiveState(LivePhase.FAILED, error.message, error.hint))
        return 2
    except Exception as error:
        log.exception("the live session ends by an error of its own")
        sentence = f"The live session failed because of an error of its own ({type(error).__name__})."
        door.send(LiveState(LivePhase.FAILED, sentence, "Its log says more; please report it."))
        return 1
    finally:
        door.close()
    return 0
