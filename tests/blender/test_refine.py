"""From a pin on the built head to the head that holds to it: a real backend refines a known performance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np
import pytest
from numpy.typing import NDArray

from backend.server.app import Server
from blender_addon import compat, preferences, pump, session, settings
from blender_addon.client import Connection
from blender_addon.scene import corrections, surface
from blender_addon.scene import takes as things
from blender_addon.scene import versions_of_take as versions
from blender_addon.scene.ownership import ARMATURE, HEAD, ROOT, camera_role
from blender_addon.scene.picture_lines import Eye, eye_of

from .conftest import wait_until
from .refine_runners import SIDE
from .takes import write_clip
from .test_client import free_port

pytestmark = pytest.mark.slow

FRAME = 30
LIPS = (256.0, 300.0)
"""A pixel of the mouth's region on that frame."""


@pytest.fixture
def take(
    addon: None,  # noqa: ARG001 - enabled, not used
    start_server: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> bpy.types.Collection:
    """A tracked take, somewhere in the scene and larger than life."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    monkeypatch.setattr(preferences._Defaults, "endpoint", endpoint)
    start_server(endpoint, "tests.blender.refine_runners:perform_or_refine")
    wait_until(lambda: session.current().connection is Connection.CONNECTED, pump.tick)
    settings.of(bpy.context.scene).footage = str(write_clip(tmp_path / "someone.mp4", SIDE, SIDE))
    run("track")
    collection = bpy.data.collections["someone"]
    collection[ROOT].location, collection[ROOT].scale = (2.0, 1.0, 0.0), (1.5,) * 3
    bpy.context.scene.frame_set(FRAME)
    return collection


def run(operator: str) -> str:
    assert getattr(bpy.ops.flowface, operator)() == {"FINISHED"}
    return finished()


def finished() -> str:
    wait_until(lambda: session.current().job is None, pump.tick)
    notice = session.current().notice
    assert not notice.is_error, notice.text
    return notice.text


def seen(collection: bpy.types.Collection) -> tuple[Eye, surface.Surface]:
    graph = bpy.context.evaluated_depsgraph_get()
    return eye_of(collection[camera_role("camera")], (SIDE, SIDE), graph), surface.surface_of(collection[HEAD], graph)


def keys(collection: bpy.types.Collection) -> dict[tuple[str, int], NDArray]:
    return {
        (curve.data_path, curve.array_index): compat.read_numbers(curve, "co")
        for block in (collection[HEAD].data.shape_keys, collection[ARMATURE])
        for curve in compat.action_curves(block)
        if "tracking" not in curve.data_path
    }


def changed(one: dict[tuple[str, int], NDArray], other: dict[tuple[str, int], NDArray]) -> set[int]:
    """The frames on which keys differ."""
    assert one.keys() == other.keys()
    return {int(frame) for path in one for frame in one[path][(one[path] != other[path]).any(axis=1), 0]}


def test_a_take_holds_to_its_corrections_and_what_is_taken_back_is_gone(take: bpy.types.Collection) -> None:
    """One take, as the backend is slow to start: a pin, its removal, then values set by hand and a mask."""
    tracked = keys(take)
    eye, head = seen(take)
    point = head.under(eye, LIPS)
    assert point is not None
    wanted = eye.pixels(head.at([point]))[0] + (6.0, -3.0)
    corrections.add_pin(take, "camera", FRAME, point, tuple(wanted))
    assert bpy.ops.flowface.refine() == {"FINISHED"}
    twin = things.duplicate(bpy.context.scene, take)
    settings.of(bpy.context.scene).take = twin  # the result goes where it was asked for
    said = finished()
    assert said.startswith("Refined frames 14 to 46 by 1 pin. This is version 2 of “someone”.")
    assert len(versions.all_of(twin)) == 1
    things.delete(twin)
    bpy.context.scene.frame_set(FRAME)
    eye, head = seen(take)
    assert np.linalg.norm(eye.pixels(head.at([point]))[0] - wanted) < 1.0
    assert FRAME in changed(tracked, keys(take)) <= set(range(14, 47))

    assert bpy.ops.flowface.pin_remove() == {"FINISHED"}
    assert run("refine").startswith("Took back what was refined in frames 10 to 50.")
    assert changed(tracked, keys(take)) == set()
    assert not bpy.ops.flowface.refine.poll()

    bpy.context.scene.frame_set(FRAME)
    block, rig = take[HEAD].data.shape_keys.key_blocks["jawOpen"], take[ARMATURE]
    block.value, rig.location.x = 0.6, rig.location.x + 0.01
    placed = rig.location.copy()
    assert bpy.ops.flowface.hold_frame() == {"FINISHED"}
    corners = [((200.0, 230.0), (0, 0, 0)), ((250.0, 230.0), (0, 0, 0)), ((230.0, 260.0), (0, 0, 0))]
    corrections.add_mask(take, "camera", (33, 34), 32, corners, follows=True)
    assert "by 1 mask and 2 held keys" in run("refine")
    bpy.context.scene.frame_set(FRAME)
    assert block.value == pytest.approx(0.6, abs=0.02)
    assert (rig.location - placed).length < 0.001
    assert [version.number for version in versions.all_of(take)] == [1, 2, 3, 4]

    (job,) = [job for job in session.current().jobs.jobs if job.job_id == versions.all_of(take)[1].job]
    assert bpy.ops.flowface.job_take_up(job_id=job.job_id) == {"FINISHED"}
    wait_until(lambda: session.current().job is None, pump.tick)
    assert session.current().notice.text.endswith("This is version 5 of “someone”."), "as one taken from the list"
    bpy.context.scene.frame_set(FRAME)
    eye, head = seen(take)
    assert np.linalg.norm(eye.pixels(head.at([point]))[0] - wanted) < 1.0
