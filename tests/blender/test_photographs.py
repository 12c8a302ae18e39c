"""Head from Photographs: files chosen together, a real backend, a head in the scene."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np
import pytest

from backend.server.app import Server
from blender_addon import preferences, pump, session
from blender_addon.client import Connection
from blender_addon.scene import confidence
from blender_addon.scene.ownership import HEAD

from .conftest import wait_until
from .test_client import free_port

RUNNER = "tests.blender.photographs_runners:perform"


def make(folder: Path, *names: str) -> set[str]:
    files = [{"name": name} for name in names]
    return bpy.ops.flowface.head_from_photographs(directory=f"{folder}/", files=files)


@pytest.mark.slow
def test_photographs_become_a_head(
    addon: None,  # noqa: ARG001 - enabled, not used
    start_server: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    monkeypatch.setattr(preferences._Defaults, "endpoint", endpoint)
    start_server(endpoint, RUNNER)
    wait_until(lambda: session.current().connection is Connection.CONNECTED, pump.tick)
    for name in ("ann.mp4", "ann.png", "profile.png"):
        (tmp_path / name).write_bytes(b"what is in it, the backend reads")
    rate = bpy.context.scene.render.fps
    made = make(tmp_path, "ann.mp4", "ann.png", "profile.png")
    assert made == {"FINISHED"}, session.current().notice.text
    wait_until(lambda: session.current().job is None, pump.tick)
    said = session.current().notice
    assert not said.is_error and said.text.startswith("Made a head of 3 photographs, mean error 0.90 %"), said.text
    assert said.text.endswith("ann, ann 2, profile")
    head = bpy.data.collections["ann"][HEAD]
    keys = head.data.shape_keys.key_blocks
    assert len(keys) == 53 and bpy.context.scene.render.fps == rate
    known = confidence.confidence_of(bpy.data.collections["ann"])
    assert known.sentence(1) == "Frame 1: the head at rest, which no picture shows"
    assert known.sentence(2) == "Frame 2: error 0.9 % (good)" and known.low_confidence_ranges() == []
    (view,) = (area.spaces.active.region_3d for area in bpy.context.screen.areas if area.type == "VIEW_3D")
    points = np.array([head.matrix_world @ vertex.co for vertex in head.data.vertices])
    assert np.linalg.norm(np.array(view.view_location) - points.mean(axis=0)) < 0.1, (
        "it is in the middle of the viewport"
    )
    assert np.ptp(points, axis=0).max() < view.view_distance < 4 * np.ptp(points, axis=0).max()


@pytest.mark.usefixtures("addon")
def test_photographs_that_cannot_be_taken_are_refused_at_once(tmp_path: Path) -> None:
    for number in range(11):
        (tmp_path / f"{number}.png").write_bytes(b"")
    assert make(tmp_path) == {"CANCELLED"}
    assert session.current().notice.text == "Choose the photographs: one to ten of one person."
    assert make(tmp_path, "none.png") == {"CANCELLED"}
    assert session.current().notice.text.startswith("There is no photograph at ")
    assert make(tmp_path, *(f"{number}.png" for number in range(11))) == {"CANCELLED"}
    assert "not of 11" in session.current().notice.text
