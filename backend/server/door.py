"""The backend's door: the sockets it listens on, and who stands before them.

Every connection is encrypted and both its ends are known by their keys (CURVE): without a key nobody gets an answer.
One listener serves this machine and takes this user's own key only; another, where one is asked for, serves the network
and takes the keys of trusted clients only.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import zmq
from zmq.auth.thread import ThreadAuthenticator

from backend.errors import ErrorCode, UserError
from backend.server.keys import OWNER, KeyRing
from protocol.codec import MAX_PARTS, Frame
from protocol.version import PROTOCOL_VERSION

log = logging.getLogger(__name__)

Socket = zmq.Socket[bytes]

MAX_REQUEST_PART_BYTES = 16 << 20  # requests carry no arrays until footage can be uploaded
LINGER_MS = 500  # for the goodbye
LOCAL, NETWORK = "local", "network"  # domains of authentication


@dataclass(frozen=True)
class Peer:
    """A connected client: its address at its socket, whether that is the network's, and whose key it has.

    ``owner`` is ``keys.OWNER`` for this user, else the name of a trusted client.
    """

    routing_id: bytes
    owner: str
    network: bool = False
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
        self._sockets: dict[bool, Socket] = {}
        try:
            self._listen(endpoint, network=False)
            if network_endpoint is not None:
                self._listen(network_endpoint, network=True)
        except UserError:
            self.close()
            raise
        self.endpoint = self._sockets[False].getsockopt_string(zmq.LAST_ENDPOINT)
        listener = self._sockets.get(True)
        self.network_endpoint = None if listener is None else listener.getsockopt_string(zmq.LAST_ENDPOINT)

    @property
    def sockets(self) -> tuple[Socket, ...]:
        """What to wait at for messages."""
        return tuple(self._sockets.values())

    def receive(self, socket: Socket) -> Incoming | None:
        """The message that waits at a socket; None where whoever sent it may not speak any more."""
        frames = [socket.recv(copy=False)]
        while socket.rcvmore:
            frame = socket.recv(copy=False)
            if len(frames) <= MAX_PARTS + 2:  # enough for decode to see that it is too many
                frames.append(frame)
        network = socket is self._sockets.get(True)
        owner = self._keys.owner_of(_public_key(frames[-1]), network=network)
        if owner is None:
            log.info("a message under a key that is not trusted any more was dropped")
            return None
        return Incoming(Peer(frames[0].bytes, owner, network), [frame.buffer for frame in frames[1:]])

    def send(self, peer: Peer, frames: Sequence[Frame]) -> bool:
        """Send without waiting; False where the client has left."""
        try:
            self._sockets[peer.network].send_multipart([peer.routing_id, *frames], zmq.NOBLOCK, copy=False)
        except zmq.ZMQError as error:
            log.debug("a client did not take its message: %s", error)
            return error.errno != zmq.EHOSTUNREACH
        return True

    def send_watched(self, peer: Peer, frames: Sequence[Frame]) -> zmq.MessageTracker | None:
        """Send without waiting, as what tells when the frames are needed no more; None where the client has left."""
        socket, more = self._sockets[peer.network], zmq.SNDMORE
        try:
            socket.send(peer.routing_id, zmq.NOBLOCK | more)
        except zmq.ZMQError as error:
            log.debug("a client did not take its message: %s", error)
            return None if error.errno == zmq.EHOSTUNREACH else zmq.MessageTracker()
        trackers = [
            socket.send(frame, more * (number < len(frames)), copy=False, track=True)
            for number, frame in enumerate(frames, start=1)
        ]
        return zmq.MessageTracker(*trackers)

    def close(self) -> None:
        """Stop listening; what was sent has ``LINGER_MS`` to leave."""
        for socket in self._sockets.values():
            socket.close(linger=LINGER_MS)
        self._authenticator.stop()

    def _listen(self, endpoint: str, *, network: bool) -> None:
        domain = NETWORK if network else LOCAL
        self._authenticator.configure_curve_callback(domain, _KnownKeys(self._keys, network))
        socket = self._sockets[network] = self._context.socket(zmq.ROUTER)
        socket.linger = LINGER_MS
        socket.router_mandatory = True  # so that a client that left is noticed
        socket.ipv6 = endpoint.startswith("tcp://[")
        socket.zap_domain = domain.encode()
        socket.curve_server = True
        socket.curve_publickey = self._keys.backend.public.encode()
        socket.curve_secretkey = self._keys.backend.secret.encode()
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_REQUEST_PART_BYTES)
        try:
            socket.bind(endpoint)
        except zmq.ZMQError as error:
            raise UserError(
                ErrorCode.IN_USE,
                f"The backend cannot listen on {endpoint}: {error.strerror}.",
                "Another backend may be running; use it or choose a port.",
            ) from error


class _KnownKeys:
    """Whose keys a listener takes, as pyzmq's authenticator asks for it, in a thread of its own."""

    def __init__(self, keys: KeyRing, network: bool) -> None:
        self._keys, self._network = keys, network

    def callback(self, _domain: str, key: bytes) -> bool:
        """Whether a client with this public key (Z85) may connect."""
        return self._keys.owner_of(key.decode("ascii", "replace"), network=self._network) is not None


def _public_key(frame: Any) -> str:
    """The key that a message came under, as the authenticator told the socket."""
    try:
        return str(frame.get("User-Id"))
    except zmq.ZMQError:
        return ""
