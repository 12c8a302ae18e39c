"""The connections at one listener: how many there are, how much each has sent without an end, and how one is ended.

ZeroMQ bounds a part of a message, not a message: it keeps an unfinished one whatever its size, and tells nobody before
it is whole. The kernel knows how many bytes a connection has brought, though, and the messages that came out of it say
how many of those they account for; what is left is kept unread by somebody. A connection over the bounds is shut down,
and so is one whose key is trusted no more.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import zmq

from backend.server.refusals import MAX_WAITING

log = logging.getLogger(__name__)

Socket = zmq.Socket[bytes]

POSSIBLE = sys.platform != "win32"
"""Whether another part of a process can end ZeroMQ's connections: Windows' sockets are no file descriptors."""
TICK_MS = 20
MAX_UNREAD_BYTES = 8 << 20
"""Of one connection. An honest one has its four requests of 1 MiB under way at most."""
MAX_UNREAD_BYTES_OF_ALL = 16 << 20
MAX_CONNECTIONS = 256  # that have said something; as many again that have not yet
WANTED_FILES = 16 * MAX_CONNECTIONS + MAX_WAITING
"""Two for each connection, and a flood brings more than can be ended at once; one for each job that waits."""
HELLO_SECONDS = 30.0  # until the first message; FlowFace's clients say hello at once
KEYS_SECONDS = 0.5  # between looks at who is trusted
SLACK_BYTES = 4096  # the handshake, about 600 bytes
SLACK_BYTES_PER_SECOND = 64  # ZeroMQ's own heartbeats: 36 bytes every two seconds each way
MAX_SLACK_BYTES = 4 << 20

_BYTES_RECEIVED = 128  # the offset of tcpi_bytes_received in Linux's struct tcp_info
_EVENTS = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_MONITOR_STOPPED


@dataclass(eq=False)
class _Connection:
    handle: socket.socket  # a duplicate: whatever becomes of ZeroMQ's, this one is never another connection
    since: float
    key: str = ""  # once it has said something
    routing_id: bytes = b""
    accounted: int = 0
    heard_at: float = 0.0

    def unread(self, now: float) -> int:
        """How many bytes came that are in no message that was taken, bar ZeroMQ's own."""
        return received(self.handle) - self.accounted - self._slack(now)

    def account(self, wire_bytes: int, now: float) -> None:
        """A message of this size was taken; what ZeroMQ said of its own before it counts no more."""
        came, self.accounted = received(self.handle), self.accounted + wire_bytes
        self.accounted = min(came, self.accounted + self._slack(now))
        self.heard_at = now

    def _slack(self, now: float) -> int:
        return min(MAX_SLACK_BYTES, SLACK_BYTES + int((now - self.heard_at) * SLACK_BYTES_PER_SECOND))


class ConnectionWatch:
    """Watches a listener in a thread of its own, until ``close``."""

    def __init__(self, listener: Socket, allowed: Callable[[str], bool]) -> None:
        """``allowed`` says whether a public key may still speak, from any thread."""
        self._listener = listener
        self._allowed = allowed
        self._port = int(listener.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])
        self._lock = threading.Lock()
        self._silent: dict[int, _Connection] = {}  # both by file descriptor, the oldest first
        self._speaking: dict[int, _Connection] = {}
        self._most = min(MAX_CONNECTIONS, _most_files() // 8)
        self._keys_at = self._bounded_at = self._bound_seconds = 0.0
        self._monitor: Socket = listener.get_monitor_socket(_EVENTS)
        self._thread = threading.Thread(target=self._run, name="FlowFace connections", daemon=True)
        self._thread.start()

    def heard(self, descriptor: int, routing_id: bytes, key: str, wire_bytes: int) -> None:
        """A message came over the connection with this file descriptor, under this key."""
        with self._lock:
            connection = self._speaking.get(descriptor)
            if connection is None:
                connection = self._silent.pop(descriptor, None)
                if connection is None:
                    return
                self._speaking[descriptor] = connection
            connection.routing_id, connection.key = routing_id, key
            connection.account(wire_bytes, time.monotonic())
            if len(self._speaking) > self._most:
                log.warning("a connection was ended: %d others are open", self._most)
                self._end(descriptor)

    def end(self, descriptor: int) -> None:
        """End a connection."""
        with self._lock:
            self._end(descriptor)

    def end_client(self, routing_id: bytes) -> None:
        """End the connection with this address at the listener."""
        with self._lock:
            for descriptor in [key for key, known in self._speaking.items() if known.routing_id == routing_id]:
                self._end(descriptor)

    def close(self) -> None:
        """End the thread, before the listener is closed; connections stay."""
        self._listener.disable_monitor()
        self._thread.join()

    def _run(self) -> None:
        try:
            while self._watch_on():
                pass
        except zmq.ZMQError as error:
            log.error("connections are watched no longer: %s", error)
        finally:
            self._monitor.close(linger=0)
            for descriptor in self._all():
                self._forget(descriptor)

    def _watch_on(self) -> bool:
        """One round; False after the last. The thread must live as long as the listener, which waits for it to listen
        to its news."""
        try:
            if not self._take_events():
                return False
            now = time.monotonic()
            if now - self._bounded_at >= 10 * self._bound_seconds:  # many connections do not fill a core
                with self._lock:
                    self._bound(now)
                self._bounded_at = time.monotonic()
                self._bound_seconds = self._bounded_at - now
        except zmq.ZMQError:
            raise
        except Exception:
            log.exception("a round of the watch over connections failed")
        return True

    def _take_events(self) -> bool:
        """Wait for news of connections, for ``TICK_MS`` where there are any; False once that is all."""
        self._monitor.poll(TICK_MS if self._all() else None)
        for _ in range(100):
            try:
                frames = self._monitor.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            event, descriptor = struct.unpack("=Hi", frames[0])
            if event == zmq.EVENT_MONITOR_STOPPED:
                return False
            with self._lock:
                self._forget(descriptor)
                if event == zmq.EVENT_ACCEPTED:
                    self._remember(descriptor)
        return True

    def _remember(self, descriptor: int) -> None:
        try:
            handle = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=os.dup(descriptor))
        except OSError:  # it has left already
            return
        try:
            known = handle.getsockname()[1] == self._port
        except OSError:
            known = False
        if not known:  # the descriptor is something else's by now
            handle.close()
            return
        now = time.monotonic()
        self._silent[descriptor] = _Connection(handle, now, heard_at=now)
        if len(self._silent) > self._most:  # whoever has a key needs a moment to say so; the oldest had it
            self._end(next(iter(self._silent)))

    def _end(self, descriptor: int) -> None:
        """ZeroMQ sees the connection broken, and its peer too."""
        connection = self._pop(descriptor)
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.handle.shutdown(socket.SHUT_RDWR)
            connection.handle.close()

    def _forget(self, descriptor: int) -> None:
        connection = self._pop(descriptor)
        if connection is not None:
            connection.handle.close()

    def _pop(self, descriptor: int) -> _Connection | None:
        return self._silent.pop(descriptor, None) or self._speaking.pop(descriptor, None)

    def _all(self) -> list[int]:
        return [*self._silent, *self._speaking]

    def _bound(self, now: float) -> None:
        if now - self._keys_at > KEYS_SECONDS:
            self._keys_at = now
            self._end_the_unwanted(now)
        unread = {key: known.unread(now) for key, known in (*self._silent.items(), *self._speaking.items())}
        total = sum(size for size in unread.values() if size > 0)
        for descriptor, size in sorted(unread.items(), key=lambda item: -item[1]):
            if size <= MAX_UNREAD_BYTES and total <= MAX_UNREAD_BYTES_OF_ALL:
                break
            log.warning("a connection that brought %d bytes without the end of a message was ended", size)
            self._end(descriptor)
            total -= size

    def _end_the_unwanted(self, now: float) -> None:
        for descriptor in [key for key, known in self._silent.items() if now - known.since > HELLO_SECONDS]:
            self._end(descriptor)
        for descriptor in [key for key, known in self._speaking.items() if not self._allowed(known.key)]:
            log.info("a connection was ended: its key is trusted no longer")
            self._end(descriptor)


def received(handle: socket.socket) -> int:
    """How many bytes have come over a connection; 0 where the system does not tell (only Linux does here)."""
    if sys.platform != "linux":
        return 0
    try:
        info = handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_RECEIVED + 8)
        return int(struct.unpack_from("<Q", info, _BYTES_RECEIVED)[0])
    except (OSError, struct.error):
        return 0


def wire_bytes(sizes: Sequence[int]) -> int:
    """What a message with parts of these sizes weighs on the wire under CURVE."""
    return sum(size + (35 if size <= 222 else 42) for size in sizes)


def raise_file_limit() -> None:
    """Let this process open as many files as its connections may take, beside its own, where the system allows it."""
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = WANTED_FILES if hard == resource.RLIM_INFINITY else min(WANTED_FILES, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _most_files() -> int:
    if sys.platform == "win32":
        return WANTED_FILES
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return WANTED_FILES if soft == resource.RLIM_INFINITY else soft
