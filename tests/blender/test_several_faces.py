"""Several faces from Track to the scene and back: two heads, one of them refined, each exported; a real backend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np
import pytest

from backend.server.app import Server
from blender_addon import preferences, pump, session, settings
from blender_addon.client import Connection
from blender_addon.scene import corrections, surface
from blender_addon.scene import versions_of_take as versions
from blender_addon.scene.ownership import ARMATURE, HEAD, actors_of, camera_role
from blender_addon.scene.picture_lines import eye_of

from .conftest import wait_until
from .faces_runners import SIDE
from .takes import write_clip
from .test_client import free_port
from .test_refine import FRAME, changed, keys, run

pytestmark = pytest.mark.slow


@pytest.fixture
def connected(
    addon: None,  # noqa: ARG001 - enabled, not used
    start_server: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    monkeypatch.setattr(preferences._Defaults, "endpoint", endpoint)
    start_server(endpoint, "tests.blender.faces_runners:perform")
    wait_until(lambda: session.current().connection is Connection.CONNECTED, pump.tick)
    settings.of(bpy.context.scene).footage = str(write_clip(tmp_path / "duo.mp4", SIDE, SIDE))


@pytest.mark.usefixtures("connected")
def test_two_faces_are_tracked_refined_and_exported_each_for_itself(tmp_path: Path) -> None:
    run("track")
    first = bpy.data.collections["duo"]
    alone = keys(first)
    settings.of(bpy.context.scene).all_faces = True
    said = run("track")
    assert "Tracked “duo”: 60 of 60 frames" in said and "Tracked “duo head 2”: 60 of 60 frames" in said
    (other,) = actors_of(first)
    assert len(versions.all_of(first)) == 2 and changed(alone, keys(first)) == set()

    bpy.context.view_layer.objects.active = other[ARMATURE]
    bpy.context.scene.frame_set(FRAME)
    graph = bpy.context.evaluated_depsgraph_get()
    eye, head = eye_of(first[camera_role("camera")], (SIDE, SIDE), graph), surface.surface_of(other[HEAD], graph)
    middle = eye.pixels(np.array([other[HEAD].matrix_world.translation]))[0]
    point = head.under(eye, (float(middle[0]), float(middle[1]) + 20))
    assert point is not None
    wanted = eye.pixels(head.at([point]))[0] + (5.0, -2.0)
    corrections.add_pin(other, "camera", FRAME, point, tuple(wanted))
    before = keys(other)
    assert "of “duo head 2”" in run("refine")
    bpy.context.scene.frame_set(FRAME)
    graph = bpy.context.evaluated_depsgraph_get()
    seen = eye_of(first[camera_role("camera")], (SIDE, SIDE), graph).pixels(
        surface.surface_of(other[HEAD], graph).at([point])
    )
    assert np.linalg.norm(seen[0] - wanted) < 1.5
    assert FRAME in changed(before, keys(other)) and changed(alone, keys(first)) == set()

    tables = []
    for take in (first, other):
        bpy.context.view_layer.objects.active = take[ARMATURE]
        table = tmp_path / f"{take.name}.csv"
        assert bpy.ops.flowface.export(format="csv", filepath=str(table)) == {"FINISHED"}
        wait_until(lambda: session.current().exporting is None, pump.tick)
        tables.append(table.read_text())
    assert tables[0] != tables[1]
