"""Bare sockets with this user's keys: peers that get through the door and then do as a test wants."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import zmq

from backend.server.keys import KeyRing, keys_folder

Socket = zmq.Socket[bytes]


@contextlib.contextmanager
def bare_backend(endpoint: str = "tcp://127.0.0.1:*", keys: KeyRing | None = None) -> Iterator[Socket]:
    """A ROUTER with the key of this user's backends, or that of other ``keys``."""
    context: zmq.Context[Socket] = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.curve_server = True
    router.curve_secretkey = (keys or KeyRing(keys_folder())).backend.secret.encode()
    try:
        router.bind(endpoint)
        yield router
    finally:
        context.destroy(linger=0)


def address(listener: Socket) -> str:
    """Where a socket listens."""
    return listener.getsockopt_string(zmq.LAST_ENDPOINT)
