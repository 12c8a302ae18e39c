"""A connection to a backend that may die and come back: its loss is noticed, it is made anew, and greeted anew.

ZeroMQ connects again by itself; this tells when it has, because whoever answers then may be another backend, which
knows of no request and no subscription from before.
"""

from __future__ import annotations

import time
from typing import TypeAlias

import zmq
from zmq.utils.monitor import recv_monitor_message

from backend.errors import UserError
from protocol import messages as m
from protocol.codec import MAX_PART_BYTES, ProtocolError
from protocol.keys import Access

RECONNECT_MS = (100, 1000)
HEARTBEAT_MS = (2000, 8000)
"""ZeroMQ's pings find a connection whose other end is gone without a word: a machine that lost its power, a cable. A
living backend answers them from a thread of its own, whatever it does."""
HANDSHAKE_MS = 5000
HELLO = 0  # the request of every greeting; the others count from 1

Received: TypeAlias = tuple[m.Message, int]


class Link:
    """A DEALER socket and what it is known to be connected to. Not for several threads at once."""

    def __init__(self, endpoint: str, access: Access, hello: m.Hello) -> None:
        """Begin to connect, and go on trying until ``close``."""
        self.welcome: m.Welcome | None = None  # of whoever answers now; None while nobody does
        self._hello = hello
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
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
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
        """Wait until a backend has said welcome; False where none has by the deadline (``time.monotonic``).

        Raises UserError where one answers that will not talk to this client (``wrong_protocol``).
        """
        self._take_note()
        while self.welcome is None and time.monotonic() < deadline:
            self.receive(deadline)
        return self.welcome is not None

    def send(self, message: m.Message, request: int) -> bool:
        """Send a request, which counts from 1; False where nobody is connected. Raises UserError for what is too large
        or cannot travel."""
        try:
            self._socket.send_multipart(m.pack(message, request), zmq.NOBLOCK)
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
            message, request = self._read()
            if request != HELLO:
                return message, request
            self._welcomed(message)
            return None

    def _take_note(self) -> None:
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)["event"]
            self.welcome = None
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.send(self._hello, HELLO)

    def _read(self) -> Received:
        frames = self._socket.recv_multipart(copy=False)
        try:
            return m.unpack([frame.buffer for frame in frames], client_name=self._hello.client)
        except ProtocolError as error:
            raise UserError(error.code, error.message, error.hint) from error

    def _welcomed(self, message: m.Message) -> None:
        if isinstance(message, m.Error):
            raise UserError(message.code, message.message, message.hint)
        if isinstance(message, m.Welcome):
            self.welcome = message


def authenticate(socket: zmq.Socket[bytes], access: Access) -> None:
    """Have a socket, before it connects, talk to the backend with this key only, under the key of its client."""
    socket.curve_serverkey = access.backend.encode()
    socket.curve_secretkey = access.secret.encode()
    socket.curve_publickey = zmq.curve_public(access.secret.encode())
