"""The connection to a backend; with ``live_client`` the only files of the add-on that talk to sockets.

One thread owns the socket. Blender's main thread queues messages with ``send`` and takes events with ``poll``; neither
ever waits for the network. Knows nothing of bpy, so that it runs and is tested in plain Python.
"""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import zmq
from zmq.utils.monitor import recv_monitor_message

from .codes import ClientCode
from .gate import Gate
from .vendor import codec, keys, version
from .vendor import messages as m

DEFAULT_ENDPOINT = "tcp://127.0.0.1:5793"
CLIENT_NAME = "add-on"
POLL_BUDGET = 0.01  # seconds; half of the 20 ms that Blender's main thread may spend here
RECONNECT_MS = (100, 1000)
HEARTBEAT_MS = (2000, 8000)  # a living backend answers ZeroMQ's pings even while it loads torch
HANDSHAKE_MS = 5000
PARK_SECONDS = 0.02  # most that the main thread waits for the client's, which answers within 1 ms where it has no work
UNSHAKEN = 2
"""So many connections in a row that ended before their handshake did are no accident: a backend may just be ending."""
SILENCE_SECONDS = 10.0
"""Whoever took the connection but did not answer a request for so long is not a working backend."""


class Connection(StrEnum):
    """The state of the connection."""

    CONNECTING = "connecting"  # nobody answers yet
    CONNECTED = "connected"  # hello and welcome were exchanged
    LOST = "lost"  # it was connected before; tries again
    REFUSED = "refused"  # somebody answers whom this add-on cannot talk to


@dataclass(frozen=True)
class ConnectionEvent:
    """The connection changed; ``sentence`` says to a user what that means."""

    state: Connection
    sentence: str
    welcome: m.Welcome | None = None


@dataclass(frozen=True)
class MessageEvent:
    """A reply to, or a message pushed under, the request with this id."""

    request: int
    message: m.Message


Event = ConnectionEvent | MessageEvent
NOT_RUNNING = m.Error(
    ClientCode.BACKEND_NOT_RUNNING,
    "The FlowFace backend is not running.",
    "Start it in the FlowFace panel or with “flowface serve”.",
)


class Client:
    """A DEALER socket in a thread, between ``start`` and ``close``."""

    def __init__(
        self, endpoint: str = DEFAULT_ENDPOINT, *, name: str = CLIENT_NAME, version: str = "", access_key: str = ""
    ) -> None:
        """``access_key`` is the line that lets this client in beyond this machine, "" for this user's own backend."""
        self.endpoint = endpoint
        self._access_key = access_key
        self._hello = m.Hello(name, version)
        self._name = name
        self._requests = itertools.count(1)
        self._outgoing: queue.SimpleQueue[tuple[int, m.Message] | None] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._gate = Gate()
        self._thread = threading.Thread(target=self._run, name="FlowFace client", daemon=True)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        # The main thread writes, the client's thread reads; only so does a message leave at once.
        self._bell = self._context.socket(zmq.PAIR)
        self._bell.bind("inproc://bell")

    def start(self) -> None:
        """Begin to connect; tries until ``close``.

        Raises:
            ValueError: the endpoint is not an address, or the key none; the message is a sentence for the user.
        """
        try:
            self._access = keys.access_from_text(self._access_key) if self._access_key else None
        except codec.ProtocolError as error:
            raise ValueError(f"{error.message} {error.hint}".strip()) from error
        probe = self._context.socket(zmq.DEALER)
        try:
            probe.connect(self.endpoint)
        except zmq.ZMQError as error:
            raise ValueError(f"“{self.endpoint}” is not an address like {DEFAULT_ENDPOINT}.") from error
        finally:
            probe.close(linger=0)
        self._thread.start()

    def close(self) -> None:
        """End the thread and free the socket; messages already queued get half a second to leave."""
        if self._thread.is_alive():
            self._outgoing.put(None)
            self._ring()
            self._thread.join(timeout=3.0)
        self._bell.close(linger=0)
        self._context.term()

    def send(self, message: m.Message) -> int:
        """Queue a request and return its id. Where nobody is connected, the answer is an Error event."""
        request = next(self._requests)
        self._outgoing.put((request, message))
        self._ring()
        return request

    def poll(self, budget: float = POLL_BUDGET) -> list[Event]:
        """Events that arrived, oldest first, without ever waiting; what does not fit into ``budget`` seconds stays."""
        events: list[Event] = []
        deadline = time.perf_counter() + budget
        while time.perf_counter() < deadline:
            try:
                events.append(self._events.get_nowait())
            except queue.Empty:
                break
        return events

    @contextlib.contextmanager
    def parked(self) -> Iterator[bool]:
        """The thread stands still meanwhile: True; False where it needs longer to finish what it is doing.

        Blender 4.5 with Python 3.11 reads the objects of an overridden context without the interpreter's lock while an
        operator runs under it, and crashes where another thread is just letting go of one.
        """
        still = True
        if self._thread.is_alive():
            self._gate.close()
            self._ring()
            still = self._gate.wait_until_reached(PARK_SECONDS)
        try:
            yield still
        finally:
            self._gate.open()

    def _ring(self) -> None:
        with contextlib.suppress(zmq.Again):  # a full bell wakes the thread anyway
            self._bell.send(b"", zmq.NOBLOCK)

    def _run(self) -> None:
        _Loop(
            self.endpoint,
            self._context,
            self._name,
            self._hello,
            self._outgoing,
            self._events.put,
            self._gate,
            self._access,
        ).run()


class _Loop:
    """The client's thread at work; every attribute belongs to that thread."""

    def __init__(
        self,
        endpoint: str,
        context: zmq.Context[zmq.Socket[bytes]],
        name: str,
        hello: m.Hello,
        outgoing: queue.SimpleQueue[tuple[int, m.Message] | None],
        emit: Callable[[Event], None],
        gate: Gate,
        access: keys.Access | None,
    ) -> None:
        self._gate = gate
        self._given_access = access
        self._access: keys.Access | None = None  # that the socket talks with
        self._endpoint, self._name, self._hello, self._outgoing, self._emit = endpoint, name, hello, outgoing, emit
        self._bell = context.socket(zmq.PAIR)
        self._bell.connect("inproc://bell")
        self._socket = context.socket(zmq.DEALER)
        self._configure()
        self._monitor = self._socket.get_monitor_socket()
        self._state = Connection.CONNECTING
        self._protocol = version.PROTOCOL_VERSION  # that is spoken with whoever answers
        self._hello_sent: float | None = None
        self._shaken = False  # this connection's handshake succeeded
        self._unshaken = 0  # connections in a row that ended before that
        self._connected_at = 0.0
        self._again_at: float | None = None  # when to connect anew
        self._waiting: set[int] = set()

    def _configure(self) -> None:
        self._socket.linger = 500  # milliseconds, for a last cancel or shutdown
        self._socket.setsockopt(zmq.IMMEDIATE, 1)  # never queue for a backend that is not there
        self._socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS[0])
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MS[1])
        self._socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS[0])
        self._socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_MS[1])
        self._socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        self._socket.setsockopt(zmq.MAXMSGSIZE, codec.MAX_PART_BYTES)
        # A name is looked up as IPv4: ZeroMQ tries one of its addresses only, and backends mostly listen there.
        self._socket.setsockopt(zmq.IPV6, int("[" in self._endpoint))

    def run(self) -> None:
        poller = zmq.Poller()
        for socket in (self._bell, self._socket, self._monitor):
            poller.register(socket, zmq.POLLIN)
        try:
            while True:
                self._connect_with_key()
                self._connect_again()
                ready = dict(poller.poll(500))
                self._gate.pass_through()
                if self._monitor in ready:
                    self._note_connection(recv_monitor_message(self._monitor)["event"])
                if self._socket in ready:
                    self._receive()
                if self._bell in ready:
                    self._bell.recv()
                if not self._send_queued():
                    return
                self._check_silence()
        finally:
            self._socket.disable_monitor()
            for socket in (self._monitor, self._bell):
                socket.close(linger=0)
            self._socket.close()

    def _connect_with_key(self) -> None:
        """Connect once there is a key, and anew where the backend's user has got another meanwhile."""
        if self._state is Connection.CONNECTED or (self._access is not None and self._given_access is not None):
            return
        try:
            access = self._given_access or keys.own_access()
        except codec.ProtocolError as error:
            if error.code != codec.ProtocolCode.NO_KEY:  # without one no backend of this user ever ran
                self._refuse(f"{error.message} {error.hint}".strip())
            return
        if access == self._access:
            return
        if self._access is not None:
            with contextlib.suppress(zmq.ZMQError):  # after a wrong handshake there is nothing left to disconnect
                self._socket.disconnect(self._endpoint)
        self._again_at = None
        self._access = access
        self._socket.curve_serverkey = access.backend.encode()
        self._socket.curve_secretkey = access.secret.encode()
        self._socket.curve_publickey = zmq.curve_public(access.secret.encode())
        self._socket.connect(self._endpoint)

    def _note_connection(self, event: int) -> None:
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._shaken, self._unshaken = True, 0
            self._hello_sent = time.monotonic()
            self._protocol = version.PROTOCOL_VERSION
            self._transmit(0, self._hello)
        elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            self._refuse(f"The backend at {self._endpoint} does not know the key of this client.")
        elif event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
            self._refuse_impostor()
        elif event == zmq.EVENT_CONNECTED:
            self._connected_at = time.monotonic()
        elif event == zmq.EVENT_CONNECT_RETRIED:
            self._again_at = None
        elif event == zmq.EVENT_DISCONNECTED:
            self._hello_sent = None
            self._note_end_of_handshake()
            if self._state is Connection.CONNECTED:
                self._change(Connection.LOST, "The connection to the backend was lost.")
            lost = m.Error(
                ClientCode.CONNECTION_LOST, "The connection to the backend was lost.", "It may have been stopped."
            )
            for request in sorted(self._waiting):
                self._emit(MessageEvent(request, lost))
            self._waiting.clear()
        elif event == zmq.EVENT_CLOSED and self._state in (Connection.REFUSED, Connection.LOST):
            self._change(Connection.CONNECTING, f"{NOT_RUNNING.message} {NOT_RUNNING.hint}")

    def _note_end_of_handshake(self) -> None:
        """The connection ended. Where its handshake never did, somebody else answers here, or nobody really does."""
        if not self._shaken:
            self._again_at = time.monotonic() + RECONNECT_MS[1] / 1000  # ZeroMQ gives up after a wrong handshake
            self._unshaken += 1
            waited = time.monotonic() - self._connected_at > HANDSHAKE_MS / 2000
            if self._unshaken >= UNSHAKEN or waited:
                self._refuse_impostor()
        self._shaken = False

    def _connect_again(self) -> None:
        if self._again_at is not None and time.monotonic() >= self._again_at:
            self._again_at = None
            with contextlib.suppress(zmq.ZMQError):  # there may be nothing left to disconnect
                self._socket.disconnect(self._endpoint)
            self._socket.connect(self._endpoint)

    def _receive(self) -> None:
        frames = self._socket.recv_multipart(copy=False)
        try:
            message, request, protocol = m.read([frame.buffer for frame in frames], client_name=self._name)
        except codec.ProtocolError as error:
            if error.code == codec.ProtocolCode.WRONG_PROTOCOL:
                self._refuse(error.message)
            if error.request:
                self._waiting.discard(error.request)
                self._emit(MessageEvent(error.request, m.Error(error.code, error.message, error.hint)))
            return
        if request == 0:
            self._welcomed(message, protocol)
            return
        self._waiting.discard(request)
        self._emit(MessageEvent(request, message))

    def _welcomed(self, message: m.Message, protocol: int) -> None:
        self._hello_sent = None
        older = version.older_version(protocol, self._protocol)
        if isinstance(message, m.Welcome):
            sentence = f"Backend {message.backend_version} is running."
            self._state = Connection.CONNECTED
            self._emit(ConnectionEvent(self._state, sentence, message))
        elif isinstance(message, m.Error) and message.code == codec.ProtocolCode.WRONG_PROTOCOL and older is not None:
            self._protocol, self._hello_sent = older, time.monotonic()
            self._transmit(0, self._hello)
        elif isinstance(message, m.Error):
            self._refuse(f"{message.message} {message.hint}".strip())

    def _send_queued(self) -> bool:
        """Send what the main thread queued; False once it asked to end. Nothing leaves before the welcome."""
        while True:
            try:
                item = self._outgoing.get_nowait()
            except queue.Empty:
                return True
            if item is None:
                return False
            request, message = item
            if self._state is Connection.REFUSED:
                problem = m.Error(ClientCode.WRONG_PEER, self._sentence)
                self._emit(MessageEvent(request, problem))
            elif self._state is not Connection.CONNECTED or not self._transmit(request, message):
                self._emit(MessageEvent(request, NOT_RUNNING))
            else:
                self._waiting.add(request)

    def _transmit(self, request: int, message: m.Message) -> bool:
        try:
            self._socket.send_multipart(m.pack(message, request, self._protocol), zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def _check_silence(self) -> None:
        if self._hello_sent is not None and time.monotonic() - self._hello_sent > SILENCE_SECONDS:
            self._hello_sent = None
            self._refuse(f"Whoever listens at {self._endpoint} does not answer as a FlowFace backend would.")

    def _refuse_impostor(self) -> None:
        whose = "this user's" if self._given_access is None else "the key's"
        self._refuse(
            f"Something other than {whose} FlowFace backend answers at {self._endpoint}: choose another address."
        )

    def _refuse(self, sentence: str) -> None:
        self._change(Connection.REFUSED, sentence)

    _sentence = ""

    def _change(self, state: Connection, sentence: str) -> None:
        if (state, sentence) != (self._state, self._sentence):
            self._state, self._sentence = state, sentence
            self._emit(ConnectionEvent(state, sentence))
