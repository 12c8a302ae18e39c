"""Every test here runs inside bpy, from factory settings and an empty file."""

from __future__ import annotations

from collections.abc import Iterator

import bpy
import pytest


@pytest.fixture(autouse=True)
def empty_file() -> Iterator[None]:
    """An empty file before each test, so that none depends on another."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    yield
    bpy.ops.wm.read_factory_settings(use_empty=True)
