"""From the button to the shape keys, with a real backend between them whose answer is known."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from backend.head_model.library import load_head
from backend.server.app import Server
from blender_addon import preferences, pump, session, transferring
from blender_addon.client import Connection
from blender_addon.retarget import face_mesh
from protocol.face_actions import ARKIT_ACTIONS
from tests.backend.transfer.runners import UNIT
from tests.blender.conftest import wait_until
from tests.blender.retarget import characters
from tests.blender.test_client import free_port

pytestmark = pytest.mark.slow


@pytest.fixture
def mesh(
    addon: None,  # noqa: ARG001 - enabled, not used
    start_server: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Any:
    """The open head as a mesh that has one key already, turned and twice as large, with a backend that answers."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    monkeypatch.setattr(preferences._Defaults, "endpoint", endpoint)
    monkeypatch.setattr(preferences, "user_folder", lambda: tmp_path / "own")
    start_server(endpoint, runner="tests.backend.transfer.runners:transfer")
    wait_until(lambda: session.current().connection is Connection.CONNECTED, pump.tick)
    head = load_head("open")
    obj = characters.mesh_object("Ann", head.template, head.triangles, {"jawOpen": 0 * head.template})
    obj.scale, obj.rotation_euler, obj.location = (UNIT,) * 3, (0.3, -0.2, 1.0), (4, 5, 6)
    bpy.context.view_layer.objects.active = obj
    bpy.context.view_layer.update()
    return obj


def made() -> session.Notice:
    assert bpy.ops.flowface.make_shape_keys() == {"FINISHED"}
    wait_until(lambda: transferring.current() is None, pump.tick)
    notice = session.current().notice
    assert notice is not None
    return notice


def test_a_mesh_gets_the_keys_that_it_lacks(mesh: Any, tmp_path: Path) -> None:
    mesh[face_mesh.POINTS_KEY] = {"chin": [0.1, 0.0, -0.2]}
    before = face_mesh.rest(mesh.data)
    assert made().text == "“Ann” has 51 new shape keys."
    keys = mesh.data.shape_keys.key_blocks
    assert sorted(keys.keys()) == sorted(["Basis", *ARKIT_ACTIONS])
    assert all(key.value == 0 and key.relative_key == keys["Basis"] for key in list(keys)[1:])
    head = load_head("open")
    x, y, z = head.expression_basis[head.expression_names.index("mouthSmileLeft")].T
    moved = np.empty(before.size, np.float32)
    keys["mouthSmileLeft"].points.foreach_get("co", moved)
    assert np.abs(moved.reshape(-1, 3) - before - np.stack([x, -z, y], axis=1)).max() < 2e-5
    keys["jawOpen"].points.foreach_get("co", moved)
    assert np.array_equal(moved.reshape(-1, 3), before)  # its own stays as it was
    assert tuple(bpy.data.images["Ann shape keys"].size) == (60, 40)
    (sent,) = (tmp_path / "jobs").glob("*/job.json")
    (point,) = json.loads(sent.read_text())["points"]
    assert np.allclose(point["at"], mesh.matrix_world.to_3x3() @ mesh.data.vertices[0].co.__class__((0.1, 0.0, -0.2)))
    assert not bpy.ops.flowface.make_shape_keys.poll()


def test_a_mirrored_mesh_is_handed_over_with_its_faces_outwards(mesh: Any, tmp_path: Path) -> None:
    outwards = []
    for scale in ((1, 1, 1), (-1, 1, 1)):
        mesh.scale = scale
        bpy.context.view_layer.update()
        with np.load(face_mesh.job_of(mesh, tmp_path / "own").mesh) as data:
            corners = data["vertices"].astype(np.float64)[data["triangles"]]
        outwards.append(np.linalg.det(corners - corners.mean(axis=(0, 1))).sum())
    assert outwards[0] == pytest.approx(outwards[1], rel=0.1) and outwards[0] > 0


def test_a_mesh_that_has_changed_meanwhile_is_left_alone(mesh: Any) -> None:
    assert bpy.ops.flowface.make_shape_keys() == {"FINISHED"}
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.mesh.subdivide()
    bpy.ops.object.mode_set(mode="OBJECT")
    wait_until(lambda: transferring.current() is None, pump.tick)
    notice = session.current().notice
    assert notice is not None and notice.is_error and "other vertices now" in notice.text
    assert len(mesh.data.shape_keys.key_blocks) == 2


def test_a_transfer_can_be_called_off(mesh: Any) -> None:
    mesh.name = "slow"
    assert bpy.ops.flowface.make_shape_keys() == {"FINISHED"}
    wait_until(lambda: getattr(transferring.current(), "fraction", 0) > 0, pump.tick)
    assert not bpy.ops.flowface.make_shape_keys.poll()
    bpy.ops.flowface.cancel_shape_keys()
    wait_until(lambda: transferring.current() is None, pump.tick)
    assert len(mesh.data.shape_keys.key_blocks) == 2


def test_what_the_backend_cannot_do_is_told(mesh: Any) -> None:
    mesh.name = "faceless"
    notice = made()
    assert notice.is_error and "No face was found" in notice.text and "by hand" in notice.text


def test_points_are_marked_on_selected_vertices(mesh: Any) -> None:
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="DESELECT")
    bpy.ops.object.mode_set(mode="OBJECT")
    mesh.data.vertices[7].select = True
    bpy.ops.object.mode_set(mode="EDIT")
    assert bpy.ops.flowface.mark_face_point(name="nose tip") == {"FINISHED"}
    assert math.dist(face_mesh.points_of(mesh)["nose tip"], face_mesh.rest(mesh.data)[7]) < 1e-6
    bpy.ops.flowface.mark_face_point(name="nose tip", clear=True)
    assert face_mesh.points_of(mesh) == {}
