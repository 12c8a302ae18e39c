"""One socket that the backend listens at: CURVE, the bounds of what it takes and keeps, and its connections."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import zmq

from backend.errors import ErrorCode, UserError
from backend.server.connections import POSSIBLE, ConnectionWatch, wire_bytes
from protocol.codec import MAX_PARTS, Frame
from protocol.keys import KeyPair

log = logging.getLogger(__name__)

Socket = zmq.Socket[bytes]

LINGER_MS = 500  # for the goodbye
MAX_REQUEST_PART_BYTES = 2 << 20  # a header or a piece of footage, each 1 MiB at most
MAX_REQUEST_BYTES = 4 << 20
WAITING_REQUESTS = 2  # of one connection, besides what its kernel's buffers hold: who sends faster waits
RECEIVE_BUFFER_BYTES = 512 << 10
WAITING_ANSWERS = 200  # of one connection; to a client that does not read, nothing more is sent
MAX_UNTAKEN_BYTES = 256 << 20  # of answers that clients have not read yet, all of them together
TRACKED_BYTES = 8 << 10  # smaller frames do not count
HANDSHAKE_MS = 5000
BACKLOG = 512


@dataclass(frozen=True, eq=False)
class Arrival:
    """A whole message: the address of its connection, the key it came under, its parts."""

    routing_id: bytes
    key: str
    frames: Sequence[Frame]


@dataclass(frozen=True, eq=False)
class _Untaken:
    routing_id: bytes
    tracker: Any
    size: int
    answer: int  # the number of the answer that it is a part of


class Listener:
    """A bound ROUTER. Not for several threads at once."""

    def __init__(
        self,
        context: zmq.Context[Socket],
        endpoint: str,
        pair: KeyPair,
        domain: str,
        allowed: Callable[[str], bool],
    ) -> None:
        """Listen under a pair of keys, in a domain of the authenticator's; ``allowed`` says whether a public key may
        still speak, from any thread. Raises UserError ``in_use``.
        """
        self._allowed = allowed
        self._untaken: deque[_Untaken] = deque()
        self._answer = 0
        socket = self.socket = context.socket(zmq.ROUTER)
        socket.linger = LINGER_MS
        socket.router_mandatory = True  # so that a client that left is noticed
        socket.ipv6 = endpoint.startswith("tcp://[")
        socket.zap_domain = domain.encode()
        socket.curve_server = True
        socket.curve_publickey = pair.public.encode()
        socket.curve_secretkey = pair.secret.encode()
        socket.rcvhwm, socket.sndhwm = WAITING_REQUESTS, WAITING_ANSWERS
        socket.backlog = BACKLOG
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_REQUEST_PART_BYTES)
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        socket.setsockopt(zmq.RCVBUF, RECEIVE_BUFFER_BYTES)
        try:
            socket.bind(endpoint)
        except zmq.ZMQError as error:
            socket.close(linger=0)
            raise UserError(
                ErrorCode.IN_USE,
                f"The backend cannot listen on {endpoint}: {error.strerror}.",
                "Another backend may be running; use it or choose a port.",
            ) from error
        self.endpoint = socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self._watch = ConnectionWatch(socket, allowed) if POSSIBLE else None

    def receive(self) -> Arrival | None:
        """The message that waits; None where whoever sent it may not speak any more, or said too much."""
        frames = [self.socket.recv(copy=False)]
        sizes: list[int] = []
        kept = 0
        while self.socket.rcvmore:
            frame = self.socket.recv(copy=False)
            sizes.append(len(frame))
            kept += len(frame)
            if (
                len(frames) <= MAX_PARTS + 2 and kept <= MAX_REQUEST_BYTES
            ):  # enough for decode to see that it is too many
                frames.append(frame)
        routing_id, key, descriptor = frames[0].bytes, _public_key(frame), _descriptor(frame)
        if self._watch is not None:
            self._watch.heard(descriptor, routing_id, key, wire_bytes(sizes))
        if not self._allowed(key):
            log.info("a message under a key that is not trusted any more was dropped")
        elif kept > MAX_REQUEST_BYTES:
            log.warning("a message of %d bytes was dropped, more than any request has", kept)
        else:
            return Arrival(routing_id, key, [frame.buffer for frame in frames[1:]])
        if self._watch is not None:
            self._watch.end(descriptor)
        return None

    def send(self, routing_id: bytes, frames: Sequence[Frame]) -> zmq.MessageTracker | None:
        """Send without waiting, as what tells when the large frames are needed no more; None where the client has left,
        or is let go because it does not read."""
        large = [memoryview(frame).nbytes > TRACKED_BYTES for frame in frames]
        if any(large) and not self._make_room(routing_id):
            return None
        parts = [
            zmq.Frame(frame, copy=False, track=True, copy_threshold=0) if is_large else frame
            for frame, is_large in zip(frames, large, strict=True)
        ]
        try:
            self.socket.send_multipart([routing_id, *parts], zmq.NOBLOCK, copy=False)
        except zmq.ZMQError as error:
            log.debug("a client did not take its message: %s", error)
            return None if error.errno == zmq.EHOSTUNREACH else zmq.MessageTracker()
        tracked = [part for part in parts if isinstance(part, zmq.Frame)]
        self._answer += 1
        self._untaken += [_Untaken(routing_id, part.tracker, len(part), self._answer) for part in tracked]
        return zmq.MessageTracker(*(part.tracker for part in tracked))

    def close(self) -> None:
        """Stop listening; what was sent has ``LINGER_MS`` to leave."""
        if self._watch is not None:
            self._watch.close()
        self.socket.close(linger=LINGER_MS)

    def _make_room(self, routing_id: bytes) -> bool:
        """End the connection that has left most unread, where all have left too much; False where it is this one.

        The largest answer of each does not count: a result may be larger than the bound, and takes its time to read.
        """
        self._untaken = deque(answer for answer in self._untaken if not answer.tracker.done)
        answers: dict[tuple[bytes, int], int] = {}
        for part in self._untaken:
            which = part.routing_id, part.answer
            answers[which] = answers.get(which, 0) + part.size
        waiting: dict[bytes, int] = {}
        for peer in {peer for peer, _ in answers}:
            sizes = [size for (other, _), size in answers.items() if other == peer]
            waiting[peer] = sum(sizes) - max(sizes)
        if sum(waiting.values()) <= MAX_UNTAKEN_BYTES:
            return True
        slowest = max(waiting, key=lambda key: waiting[key])
        log.warning("a client that left %d bytes of answers unread was let go", waiting[slowest])
        if self._watch is not None:
            self._watch.end_client(slowest)
            self._untaken = deque(answer for answer in self._untaken if answer.routing_id != slowest)
        return slowest != routing_id


def _public_key(frame: Any) -> str:
    """The key that a message came under, as the authenticator told the socket."""
    try:
        return str(frame.get("User-Id"))
    except zmq.ZMQError:
        return ""


def _descriptor(frame: Any) -> int:
    """The file descriptor of the connection that a message came over; -1 where ZeroMQ does not tell."""
    try:
        return int(frame.get(zmq.SRCFD))
    except zmq.ZMQError:
        return -1
