"""Every test here runs inside bpy, from factory settings and an empty file."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest

import blender_addon
from backend.server.app import Server
from blender_addon import session
from blender_addon.active_job import Remains
from tests.backend.server.conftest import REPOSITORY, running

WAIT = 60.0
"""Only keeps a broken test from hanging."""


@pytest.fixture(autouse=True)
def empty_file() -> Iterator[None]:
    """An empty file before each test, so that none depends on another."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    yield
    bpy.ops.wm.read_factory_settings(use_empty=True)


@pytest.fixture
def addon() -> Iterator[None]:
    """The add-on, enabled."""
    blender_addon.register()
    try:
        yield
    finally:
        blender_addon.unregister()
        session._remains = Remains()  # jobs that another session would go on with


@pytest.fixture
def start_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    """Start real backends, whose jobs do what the footage's file name says (``tests.backend.server.runners``)."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    with contextlib.ExitStack() as stack:

        def start(
            endpoint: str = "tcp://127.0.0.1:*", runner: str = "tests.backend.server.runners:run", **options: Any
        ) -> Server:
            return stack.enter_context(running(Server(tmp_path / "jobs", endpoint, runner=runner, **options)))

        yield start


def wait_until(done: Callable[[], bool], step: Callable[[], object] = lambda: session.current().poll()) -> None:
    """Do what Blender's timer does until ``done``."""
    deadline = time.monotonic() + WAIT
    while not done():
        assert time.monotonic() < deadline, "nothing happened"
        step()
        time.sleep(0.005)
