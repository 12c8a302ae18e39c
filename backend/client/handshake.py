"""A socket that is connected to the backend one means, or a sentence why there is none."""

from __future__ import annotations

import contextlib
import time

import zmq
from zmq.utils.monitor import recv_monitor_message

from backend.errors import ErrorCode, UserError
from protocol.codec import MAX_PART_BYTES
from protocol.keys import Access

Socket = zmq.Socket[bytes]

LINGER_MS = 200
UNSHAKEN = 2
"""So many connections in a row that ended before their handshake did are no accident: a backend may just be ending."""
PAUSE_SECONDS = 0.2  # between them


def connect(context: zmq.Context[Socket], endpoint: str, access: Access, timeout: float) -> Socket:
    """A DEALER whose peer has shown that it holds the backend's key, and takes this client's.

    It connects again by itself where the connection breaks. ``timeout`` in seconds bounds the handshake.

    Raises:
        UserError: ``no_backend`` for anybody else at the address, ``unknown_key`` where the backend does not take
            the client's key.
    """
    socket = context.socket(zmq.DEALER)
    socket.linger = LINGER_MS
    socket.ipv6 = "[" in endpoint
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_PART_BYTES)
    authenticate(socket, access)
    monitor = socket.get_monitor_socket(
        zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_DISCONNECTED
    )
    try:
        socket.connect(endpoint)
        _shake_hands(socket, monitor, endpoint, time.monotonic() + timeout)
    except BaseException:
        socket.close(linger=0)
        raise
    finally:
        if not socket.closed:
            socket.disable_monitor()
        monitor.close(linger=0)
    return socket


def authenticate(socket: Socket, access: Access) -> None:
    """Have a socket, before it connects, talk to the backend with this key only, under the key of its client."""
    socket.curve_serverkey = access.backend.encode()
    socket.curve_secretkey = access.secret.encode()
    socket.curve_publickey = zmq.curve_public(access.secret.encode())


def _shake_hands(socket: Socket, monitor: Socket, endpoint: str, deadline: float) -> None:
    unshaken = 0
    while monitor.poll(max(0, int((deadline - time.monotonic()) * 1000))):
        match recv_monitor_message(monitor)["event"]:
            case zmq.EVENT_HANDSHAKE_SUCCEEDED:
                return
            case zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                raise UserError(
                    ErrorCode.UNKNOWN_KEY,
                    f"The backend at {endpoint} does not know the key of this client.",
                    "Where it runs, “flowface keys new NAME” makes one.",
                )
        unshaken += 1
        if unshaken == UNSHAKEN:
            break
        time.sleep(PAUSE_SECONDS)
        with contextlib.suppress(zmq.ZMQError):  # after a wrong handshake ZeroMQ gives up: nothing to disconnect
            socket.disconnect(endpoint)
        socket.connect(endpoint)
    raise UserError(
        ErrorCode.NO_BACKEND,
        f"Whoever listens at {endpoint} is not this user's FlowFace backend, or does not know this key.",
        "Start one with “flowface serve --endpoint …”.",
    )
