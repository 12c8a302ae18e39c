"""Who talks to whom: a socket that takes the backend's key only, and shows its own."""

from __future__ import annotations

import zmq

from protocol.keys import Access


def authenticate(socket: zmq.Socket[bytes], access: Access) -> None:
    """Have a socket, before it connects, talk to the backend with this key only, under the key of its client."""
    socket.curve_serverkey = access.backend.encode()
    socket.curve_secretkey = access.secret.encode()
    socket.curve_publickey = zmq.curve_public(access.secret.encode())
