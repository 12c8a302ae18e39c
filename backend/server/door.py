"""The backend's door: the sockets it listens on, and who stands before them.

Every connection is encrypted and both its ends are known by their keys (CURVE): without a key nobody gets an answer.
One listener serves this machine and takes this user's own key only; another, where one is asked for, serves the network
and takes the keys of trusted clients only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import zmq
from zmq.auth.thread import ThreadAuthenticator

from backend.errors import UserError
from backend.server.keys import OWNER, KeyRing
from backend.server.listener import LINGER_MS as LINGER_MS
from backend.server.listener import Listener
from protocol.codec import Frame
from protocol.version import PROTOCOL_VERSION

Socket = zmq.Socket[bytes]

LOCAL, NETWORK = "local", "network"  # domains of authentication


@dataclass(frozen=True)
class Peer:
    """A connected client: its address at its socket, whether that is the network's, and whose key it has.

    ``owner`` is ``keys.OWNER`` for this user, else the name of a trusted client; ``key`` is its public one.
    """

    routing_id: bytes
    owner: str
    network: bool = False
    key: str = ""
    protocol: int = field(default=PROTOCOL_VERSION, compare=False)  # that it speaks

    @property
    def is_owner(self) -> bool:
        """True for this user's own clients, who may do anything that the user may."""
        return self.owner == OWNER and not self.network


@dataclass(frozen=True, eq=False)
class Incoming:
    """A message as it came, not understood yet."""

    peer: Peer
    frames: Sequence[Frame]


class Door:
    """The listeners of one backend. Not for several threads at once."""

    def __init__(
        self, context: zmq.Context[Socket], keys: KeyRing, endpoint: str, network_endpoint: str | None = None
    ) -> None:
        """Listen; raises UserError ``in_use``."""
        self._context = context
        self._keys = keys
        self._authenticator = ThreadAuthenticator(context)
        self._authenticator.start()
        self._listeners: dict[bool, Listener] = {}
        try:
            self._listen(endpoint, network=False)
            if network_endpoint is not None:
                self._listen(network_endpoint, network=True)
        except UserError:
            self.close()
            raise
        self.endpoint = self._listeners[False].endpoint
        self.network_endpoint = self._listeners[True].endpoint if True in self._listeners else None

    @property
    def sockets(self) -> tuple[Socket, ...]:
        """What to wait at for messages."""
        return tuple(listener.socket for listener in self._listeners.values())

    def receive(self, socket: Socket) -> Incoming | None:
        """The message that waits at a socket; None where whoever sent it may not speak any more, or said too much."""
        network = self._listeners[False].socket is not socket
        arrival = self._listeners[network].receive()
        owner = None if arrival is None else self._keys.owner_of(arrival.key, network=network)
        if arrival is None or owner is None:
            return None
        return Incoming(Peer(arrival.routing_id, owner, network, arrival.key), arrival.frames)

    def send(self, peer: Peer, frames: Sequence[Frame]) -> bool:
        """Send without waiting; False where the client has left, or may not be told anything any more."""
        return self.send_watched(peer, frames) is not None

    def send_watched(self, peer: Peer, frames: Sequence[Frame]) -> zmq.MessageTracker | None:
        """Send without waiting, as what tells when the frames are needed no more; None where the client has left, or
        may not be told anything any more."""
        if peer.network and self._keys.owner_of(peer.key, network=True) != peer.owner:
            return None
        return self._listeners[peer.network].send(peer.routing_id, frames)

    def close(self) -> None:
        """Stop listening; what was sent has ``LINGER_MS`` to leave."""
        for listener in self._listeners.values():
            listener.close()
        self._authenticator.stop()

    def _listen(self, endpoint: str, *, network: bool) -> None:
        domain = NETWORK if network else LOCAL
        known = _KnownKeys(self._keys, network)
        self._authenticator.configure_curve_callback(domain, known)
        self._listeners[network] = Listener(self._context, endpoint, self._keys.backend, domain, known.allowed)


class _KnownKeys:
    """Whose keys a listener takes, as pyzmq's authenticator asks for it, in a thread of its own."""

    def __init__(self, keys: KeyRing, network: bool) -> None:
        self._keys, self._network = keys, network

    def callback(self, _domain: str, key: bytes) -> bool:
        """Whether a client with this public key (Z85) may connect."""
        return self.allowed(key.decode("ascii", "replace"))

    def allowed(self, key: str) -> bool:
        """Whether a client with this public key may speak."""
        return self._keys.owner_of(key, network=self._network) is not None
