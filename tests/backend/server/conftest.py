"""A server of one's own per test, on a free port, with its work in a real worker process."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backend.client.connection import Client
from backend.server.app import Server
from protocol.messages import TrackJob, ViewSpec

REPOSITORY = Path(__file__).parents[3]


def spec(deed: str, name: str = "") -> TrackJob:
    """A job for ``runners``."""
    return TrackJob((ViewSpec(f"/{deed}.mp4"),), name=name)


@contextlib.contextmanager
def running(server: Server) -> Iterator[Server]:
    """The server, serving in a thread, stopped and closed at the end."""
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(timeout=20)
        assert not thread.is_alive()


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    """Start servers that run ``runners``; all end with the test."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    with contextlib.ExitStack() as stack:

        def begin(
            runner: str = "tests.backend.server.runners:run", jobs: Path = tmp_path / "jobs", *, adopt: bool = True
        ) -> Server:
            server = Server(jobs, "tcp://127.0.0.1:*", runner=runner, adopt=adopt)
            return stack.enter_context(running(server))

        yield begin


@pytest.fixture
def server(start: Callable[..., Server]) -> Server:
    """One running server."""
    return start()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    """A client of ``server``."""
    with Client(server.endpoint) as connected:
        yield connected
