"""Several takes asked for one after the other: tracked, shown and built in order, each to be cancelled for itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bpy
import pytest

from backend.server.app import Server
from blender_addon import preferences, pump, session, settings
from blender_addon.client import Connection
from blender_addon.scene.ownership import takes_of
from protocol import messages as m

from .conftest import wait_until
from .takes import write_clip
from .test_client import free_port

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("addon")]


@pytest.fixture
def start(start_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Start a backend whose jobs do what the runner says, and connect to it."""

    def begin(runner: str) -> None:
        endpoint = f"tcp://127.0.0.1:{free_port()}"
        monkeypatch.setattr(preferences._Defaults, "endpoint", endpoint)
        start_server(endpoint, runner)
        wait_until(lambda: session.current().connection is Connection.CONNECTED, pump.tick)

    return begin


def track(footage: Path) -> set[str]:
    if not footage.exists():
        write_clip(footage, 64, 48, count=2)
    settings.of(bpy.context.scene).footage = str(footage)
    return bpy.ops.flowface.track()


def names() -> list[str]:
    return [job.name for job in session.current().followed]


def test_jobs_wait_in_order_and_each_can_be_cancelled(start: Callable[[str], None], tmp_path: Path) -> None:
    start("tests.backend.server.runners:run")
    now = session.current()
    for name in ("until-cancelled", "partial", "quick"):
        assert track(tmp_path / f"{name}.mp4") == {"FINISHED"}
    assert track(tmp_path / "partial.mp4") == {"CANCELLED"}
    assert now.notice.text == "“partial” is being tracked already." and names() == [
        "until-cancelled",
        "partial",
        "quick",
    ]
    wait_until(lambda: all(job.status is not None for job in now.followed), pump.tick)
    wait_until(lambda: now.job.status.state is m.JobState.RUNNING, pump.tick)
    wait_until(lambda: now.waiting[1].stage == "Waiting for 2 other jobs", pump.tick)
    assert now.waiting[0].stage == "Waiting for 1 other job"
    dropped = now.waiting[1].status.job_id
    assert bpy.ops.flowface.waiting_cancel(index=1) == {"FINISHED"}
    wait_until(lambda: now.jobs.find(dropped).state is m.JobState.CANCELLED, pump.tick)
    assert names() == ["until-cancelled", "partial"] and now.job.status.state is m.JobState.RUNNING
    bpy.ops.flowface.cancel()
    wait_until(lambda: names() == ["partial"], pump.tick)
    assert now.notice.text == "Cancelled."
    wait_until(lambda: now.job.partial is not None, pump.tick)
    for to in ("second", "end"):
        (tmp_path / "jobs" / now.job.status.job_id / to).touch()
    wait_until(lambda: now.job is None, pump.tick)
    assert [take.name for take in takes_of(bpy.context.scene)] == ["partial"]


def test_results_that_come_together_are_built_one_after_the_other(start: Callable[[str], None], tmp_path: Path) -> None:
    start("tests.blender.runners:perform")
    now = session.current()
    mesh = bpy.data.objects.new("mesh", bpy.data.meshes.new("mesh"))
    bpy.context.scene.collection.objects.link(mesh)
    bpy.context.view_layer.objects.active = mesh
    bpy.ops.ed.undo_push(message="Before")
    bpy.ops.object.mode_set(mode="EDIT")
    for name in ("first", "second"):
        track(tmp_path / f"{name}.mp4")
    wait_until(lambda: all(job.done for job in now.followed) and now.job.take is not None, pump.tick)
    bpy.ops.object.mode_set(mode="OBJECT")
    wait_until(lambda: not now.followed, pump.tick)
    assert [take.name for take in takes_of(bpy.context.scene)] == ["first", "second"]
    assert now.notice.text.startswith("Tracked 10 of 10 frames")
    bpy.ops.ed.undo()
    assert [take.name for take in takes_of(bpy.context.scene)] == ["first"]


def test_a_job_that_fails_lets_the_next_one_be_built_and_says_which(
    start: Callable[[str], None], tmp_path: Path
) -> None:
    start("tests.backend.server.runners:run")
    now = session.current()
    for name in ("until-cancelled", "user-error", "partial"):
        track(tmp_path / f"{name}.mp4")
    wait_until(lambda: now.job.status is not None and now.job.status.state is m.JobState.RUNNING, pump.tick)
    bpy.ops.flowface.cancel()
    wait_until(lambda: names() == ["partial"], pump.tick)
    assert now.notice.is_error and "user-error.mp4" in now.notice.text
    wait_until(lambda: now.job.partial is not None, pump.tick)
    bpy.ops.flowface.cancel()
    wait_until(lambda: not now.followed, pump.tick)
