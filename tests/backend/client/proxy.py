"""A network between client and backend that is slow, ends connections, or stops in the middle: a proxy in threads."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterator

PIECE = 1 << 16


class Network:
    """Passes bytes between whoever connects to ``endpoint`` and a backend; each fault may be set at any time."""

    def __init__(self, endpoint: str) -> None:
        host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
        self._to = (host.strip("[]"), int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self.delay = 0.0  # seconds that each piece takes
        self.passed = 0  # bytes from clients to the backend
        self.cut_after: int | None = None  # of these bytes: the connection ends in the middle, once
        self._frozen = threading.Event()  # half-open: nothing passes, nobody is told
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._closed = False
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """End all connections, as a router that is restarted does."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def freeze(self) -> None:
        """Let nothing pass any more on the connections there are; new ones work."""
        self._frozen.set()
        self._frozen = threading.Event()

    def close(self) -> None:
        """End it all."""
        self._closed = True
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
                backend = socket.create_connection(self._to)
            except OSError:
                time.sleep(0.02)  # closed, or no backend at the moment
                continue
            self._pairs.append((client, backend))
            threading.Thread(target=self._pass, args=(client, backend, self._frozen), daemon=True).start()

    def _pass(self, client: socket.socket, backend: socket.socket, frozen: threading.Event) -> None:
        other = {client: backend, backend: client}
        with client, backend, contextlib.suppress(OSError):
            while not self._closed:
                ready, _, _ = select.select([client, backend], [], [], 0.05)
                if frozen.is_set():
                    time.sleep(0.05)
                    continue
                for end in ready:
                    data = end.recv(PIECE)
                    if not data:
                        return
                    if end is client and self._must_cut(len(data)):
                        return
                    time.sleep(self.delay)
                    other[end].sendall(data)

    def _must_cut(self, count: int) -> bool:
        self.passed += count
        if self.cut_after is None or self.passed < self.cut_after:
            return False
        self.cut_after = None
        return True


@contextlib.contextmanager
def network(endpoint: str) -> Iterator[Network]:
    """A network before a backend."""
    between = Network(endpoint)
    try:
        yield between
    finally:
        between.close()
