"""Every test here runs inside bpy, from factory settings and an empty file."""

from __future__ import annotations

import contextlib
import sys
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


_FACTORY: list[tuple[dict[str, Any], frozenset[str]]] = []
"""``settings()`` of factory settings, once it is known."""


def settings() -> tuple[dict[str, Any], frozenset[str]]:
    """What a new file leaves as it was: the preferences' values, by name, and modules of add-ons that are enabled."""
    preferences, values = bpy.context.preferences, {}
    values["addons"] = tuple(preferences.addons.keys())
    for part in (p.identifier for p in preferences.bl_rna.properties if p.type == "POINTER"):
        group = getattr(preferences, part)
        for known in () if group is None else group.bl_rna.properties:
            if known.type in {"BOOLEAN", "INT", "FLOAT", "STRING", "ENUM"}:
                value = getattr(group, known.identifier, None)
                listed = value is not None and getattr(known, "is_array", False)
                values[f"{part}.{known.identifier}"] = tuple(value) if listed else value
    enabled = (name for name, module in list(sys.modules.items()) if getattr(module, "__dict__", {}).get(ENABLED))
    return values, frozenset(enabled)


ENABLED = "__addon_enabled__"
"""What Blender's own ``addon_utils`` marks an add-on's module with."""


def new_file() -> None:
    """An empty file and factory settings, which are read only where they have changed: that is 80 ms, not 12."""
    if _FACTORY and settings() == _FACTORY[0]:
        bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
        return
    bpy.ops.wm.read_factory_settings(use_empty=True)
    if not _FACTORY:
        _FACTORY.append(settings())


@pytest.fixture(autouse=True)
def empty_file() -> None:
    """An empty file from factory settings before each test, so that none depends on another."""
    new_file()


@pytest.fixture(autouse=True, scope="module")
def nothing_left() -> Iterator[None]:
    """What the last test of a file made does not stay in memory."""
    yield
    new_file()


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
