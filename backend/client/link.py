"""A connection to a backend that may die and come back: its loss is noticed, it is made anew, and greeted anew.

ZeroMQ connects again by itself; this tells when it has, because whoever answers then may be another backend, which
knows of no request and no subscription from before.
"""

from __future__ import annotations

import contextlib
import time
from typing import TypeAlias

import zmq
from zmq.utils.monitor import recv_monitor_message

from backend.client.handshake import authenticate
from backend.errors import ErrorCode, UserError
from protocol import messages as m
from protocol.codec import MAX_PART_BYTES, ProtocolError
from protocol.codes import ProtocolCode
from protocol.keys import Access
from protocol.version import PROTOCOL_VERSION, older_version

RECONNECT_MS = (100, 1000)
HEARTBEAT_MS = (2000, 8000)
"""ZeroMQ's pings find a connection whose other end is gone without a word: a machine that lost its power, a cable. A
living backend answers them from a thread of its own, whatever it does."""
HANDSHAKE_MS = 5000
UNSHAKEN = 2
"""So many connections in a row that ended before their handshake did are no accident: a backend may just be ending."""
PAUSE_SECONDS = 0.2  # between them
HELLO = 0  # the request of every greeting; the others count from 1

Received: TypeAlias = tuple[m.Message, int]


class Link:
    """A DEALER socket and what it is known to be connected to. Not for several threads at once."""

    def __init__(self, endpoint: str, access: Access, hello: m.Hello) -> None:
        """Begin to connect, and go on trying until ``close``."""
        self.welcome: m.Welcome | None = None  # of whoever answers now; None while nobody does
        self.protocol = PROTOCOL_VERSION  # that is spoken with it
        self._endpoint, self._hello = endpoint, hello
        self._shaken = self._ever_greeted = False
        self._unshaken = 0  # connections in a row whose other end did not show that it is the backend
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.linger = 200
        self._socket.ipv6 = "[" in endpoint
        self._socket.setsockopt(zmq.IMMEDIATE, 1)  # nothing waits for a backend that is not there
        self._socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS[0])
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, RECONNECT_MS[1])
        self._socket.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_MS[0])
        self._socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_MS[1])
        self._socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_PART_BYTES)
        authenticate(self._socket, access)
        self._monitor = self._socket.get_monitor_socket(
            zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_DISCONNECTED
        )
        self._poller = zmq.Poller()
        for socket in (self._socket, self._monitor):
            self._poller.register(socket, zmq.POLLIN)
        self._socket.connect(endpoint)

    def close(self) -> None:
        """Close the connection; what was sent has a moment to leave."""
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._context.destroy(linger=200)

    def greeted(self, deadline: float) -> bool:
        """Wait until a backend has said welcome; False where none has by the deadline (``time.monotonic``), and at once
        where the first to answer is somebody else.

        Raises UserError where one answers that will not talk to this client (``wrong_protocol``, ``unknown_key``).
        """
        self._take_note()
        while self.welcome is None and time.monotonic() < deadline:
            if self._unshaken >= UNSHAKEN and not self._ever_greeted:
                return False
            self.receive(deadline)
        return self.welcome is not None

    def send(self, message: m.Message, request: int) -> bool:
        """Send a request, which counts from 1; False where nobody is connected. Raises UserError for what is too large
        or cannot travel."""
        try:
            self._socket.send_multipart(m.pack(message, request, self.protocol), zmq.NOBLOCK)
        except ProtocolError as error:
            raise UserError(error.code, error.message, error.hint) from error
        except zmq.Again:
            return False
        return True

    def receive(self, deadline: float) -> Received | None:
        """The next message and the request that it is about; None at the deadline, and at once where the connection was
        lost or made. Raises UserError for what cannot be understood."""
        while True:
            remaining = max(0.0, deadline - time.monotonic())
            ready = dict(self._poller.poll(int(remaining * 1000)))
            if self._monitor in ready:
                self._take_note()
                return None
            if self._socket not in ready:
                return None
            message, request, protocol = self._read()
            if request != HELLO:
                return message, request
            self._welcomed(message, protocol)
            return None

    def _take_note(self) -> None:
        anew = False
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)["event"]
            self.welcome = None
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._shaken, self._unshaken = True, 0
                self.protocol = PROTOCOL_VERSION
                self.send(self._hello, HELLO)
            elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                raise UserError(
                    ErrorCode.UNKNOWN_KEY,
                    f"The backend at {self._endpoint} does not know the key of this client.",
                    "Where it runs, “flowface keys new NAME” makes one.",
                )
            elif self._shaken:
                self._shaken = False
            else:
                self._unshaken += 1
                anew = True
        if anew:  # once all is noted: ZeroMQ itself goes on meanwhile, and more would come for ever
            self._connect_anew()

    def _connect_anew(self) -> None:
        """After a wrong handshake ZeroMQ gives up."""
        time.sleep(PAUSE_SECONDS)
        with contextlib.suppress(zmq.ZMQError):  # nothing to disconnect
            self._socket.disconnect(self._endpoint)
        self._socket.connect(self._endpoint)

    def _read(self) -> tuple[m.Message, int, int]:
        frames = self._socket.recv_multipart(copy=False)
        try:
            return m.read([frame.buffer for frame in frames], client_name=self._hello.client)
        except ProtocolError as error:
            raise UserError(error.code, error.message, error.hint) from error

    def _welcomed(self, message: m.Message, protocol: int) -> None:
        if isinstance(message, m.Error):
            older = older_version(protocol, self.protocol)
            if message.code == ProtocolCode.WRONG_PROTOCOL and older is not None:
                self.protocol = older
                self.send(self._hello, HELLO)
                return
            raise UserError(message.code, message.message, message.hint)
        if isinstance(message, m.Welcome):
            self.welcome, self._ever_greeted = message, True
