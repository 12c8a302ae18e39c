"""What becomes of a job when something else happens: nothing is lost, nothing stays locked, one true sentence each."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import bpy
import pytest

import blender_addon
from backend.server.app import Server
from blender_addon import action_slots, building, preferences, pump, session, settings
from blender_addon.client import Connection
from blender_addon.compat import LAYERED_ACTIONS
from blender_addon.scene.ownership import ARMATURE
from protocol import messages as m

from .conftest import wait_until
from .takes import write_clip
from .test_client import free_port

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def endpoint(addon: None, monkeypatch: pytest.MonkeyPatch) -> str:  # noqa: ARG001 - enabled, not used
    """An address of the test's own in the preferences; no backend is started unasked."""
    address = f"tcp://127.0.0.1:{free_port()}"
    monkeypatch.setattr(preferences._Defaults, "endpoint", address)
    monkeypatch.setattr(preferences._Defaults, "autostart", False)
    return address


@pytest.fixture
def own_backend(tmp_path: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    """The backend of this Python, started by the add-on, with jobs and log of the test's own."""
    monkeypatch.setattr(preferences._Defaults, "environment", sys.executable)
    monkeypatch.setenv("FLOWFACE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(preferences, "user_folder", lambda: tmp_path / "user")
    write_clip(tmp_path / "clip.mp4", 160, 96)
    settings.of(bpy.context.scene).footage = str(tmp_path / "clip.mp4")
    bpy.ops.flowface.backend_start()
    connected()


@pytest.fixture
def performing(tmp_path: Path, endpoint: str, start_server: Callable[..., Server]) -> Server:
    """A backend whose jobs end at once in a real take of “someone”."""
    server = start_server(endpoint, "tests.blender.runners:perform")
    connected()
    write_clip(tmp_path / "someone.mp4", 640, 480)
    settings.of(bpy.context.scene).footage = str(tmp_path / "someone.mp4")
    return server


def connected() -> None:
    wait_until(lambda: session.current().connection is Connection.CONNECTED, pump.tick)


def ended() -> session.Notice:
    """What is told once the job has ended in whatever way."""
    wait_until(lambda: session.current().job is None, pump.tick)
    assert session.current().notice is not None
    return session.current().notice


def taken() -> None:
    """The backend has the job."""
    wait_until(lambda: session.current().job.status is not None, pump.tick)


def takes() -> list[str]:
    return [collection.name for collection in bpy.context.scene.collection.children]


def listed(done: Callable[[m.JobStatus], bool]) -> m.JobStatus:
    """The newest job of the list, once it is so."""
    now = session.current()
    wait_until(lambda: bool(now.jobs.jobs) and done(now.jobs.jobs[0]), lambda: (now.ask_jobs(), pump.tick()))
    return now.jobs.jobs[0]


@pytest.mark.usefixtures("own_backend")
def test_stop_leaves_the_job_to_the_next_start_and_locks_nothing() -> None:
    bpy.ops.flowface.track()
    taken()
    now, process = session.current(), session.current().process
    assert bpy.ops.flowface.backend_stop() == {"FINISHED"}
    assert now.notice == session.Notice("The backend was stopped. “clip” goes on when the backend is started again.")
    wait_until(lambda: not process.running and now.connection is not Connection.CONNECTED, pump.tick)
    assert now.job is not None and now.restart_at is None and not now.coming_back
    wait_until(lambda: not now.stopping, pump.tick)
    assert bpy.ops.flowface.backend_start() == {"FINISHED"}
    assert "face" in ended().text, "followed to its end: the clip shows no face"


@pytest.mark.usefixtures("own_backend")
def test_switching_the_addon_off_and_on_loses_no_job(tmp_path: Path) -> None:
    bpy.ops.flowface.track()
    taken()
    process, job_id = session.current().process, session.current().job.status.job_id
    blender_addon.unregister()
    assert process.running
    blender_addon.register()
    settings.of(bpy.context.scene).footage = str(tmp_path / "clip.mp4")
    assert session.current().owns_backend and session.current().job.status.job_id == job_id
    assert "face" in ended().text, "followed to its end: the clip shows no face"


@pytest.mark.usefixtures("own_backend")
def test_a_backend_that_must_not_go_on_is_ended_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preferences._Defaults, "finish_jobs", False)
    bpy.ops.flowface.track()
    taken()
    process = session.current().process
    blender_addon.unregister()
    assert not process.running
    blender_addon.register()
    told = "The add-on was switched off. “clip” goes on when the backend is started again."
    assert session.current().notice == session.Notice(told) and session.current().job.name == "clip"


def test_a_backend_of_elsewhere_that_vanishes_leaves_no_lock(
    tmp_path: Path, endpoint: str, start_server: Callable[..., Server]
) -> None:
    server = start_server(endpoint)
    connected()
    (tmp_path / "until-cancelled.mp4").touch()
    settings.of(bpy.context.scene).footage = str(tmp_path / "until-cancelled.mp4")
    bpy.ops.flowface.track()
    wait_until(lambda: session.current().job.fraction == 0.5, pump.tick)
    server.stop()
    wait_until(lambda: session.current().connection is not Connection.CONNECTED, pump.tick)
    assert session.current().job is not None, "it is waited for"
    bpy.ops.flowface.cancel()
    assert ended().text.startswith("Nobody waits for “until-cancelled” any more")


@pytest.mark.usefixtures("performing")
def test_the_same_file_saved_and_opened_again_gets_its_take(tmp_path: Path) -> None:
    bpy.ops.flowface.track()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    assert "Tracked 10 of 10 frames" in ended().text
    assert takes() == ["someone"]


@pytest.mark.usefixtures("performing")
def test_a_take_waits_while_another_file_is_open(tmp_path: Path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    bpy.ops.flowface.track()
    bpy.ops.wm.read_homefile(use_empty=True)
    wait_until(lambda: session.current().job.take is not None, pump.tick)
    assert session.current().job.stage == "Ready; another file is open now"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "other.blend"))
    pump.tick()
    assert not takes()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
    ended()
    assert takes() == ["someone"]


@pytest.mark.usefixtures("performing")
def test_a_dismissed_take_is_built_from_the_list() -> None:
    bpy.ops.flowface.track()
    bpy.ops.wm.read_homefile(use_empty=True)
    wait_until(lambda: session.current().job.take is not None, pump.tick)
    bpy.ops.flowface.cancel()
    assert session.current().notice == session.Notice("“someone” is kept: build it from the list of jobs.")
    job = listed(lambda job: job.state is m.JobState.DONE)
    assert bpy.ops.flowface.job_take_up(job_id=job.job_id) == {"FINISHED"}
    assert "Tracked 10 of 10 frames" in ended().text
    assert takes() == ["someone"]


@pytest.mark.usefixtures("performing")
def test_a_result_that_came_while_blender_was_away_is_told_and_built() -> None:
    bpy.ops.flowface.track()
    taken()
    session.current().job = None  # as a Blender that was closed forgets it
    wait_until(lambda: bool(session.current().jobs.waiting), lambda: (session.current().ask_jobs(), pump.tick()))
    session.current().disconnect()
    session.current().notice = None
    connected()
    wait_until(lambda: session.current().notice is not None, pump.tick)
    assert session.current().notice.text == "“someone” was tracked meanwhile: build it from the list of jobs."
    bpy.ops.flowface.job_take_up(job_id=session.current().jobs.waiting[0].job_id)
    ended()
    assert takes() == ["someone"]
    assert listed(lambda job: job.fetched).state is m.JobState.DONE


@pytest.mark.usefixtures("performing")
def test_an_undone_take_is_no_longer_told_of() -> None:
    bpy.ops.ed.undo_push(message="Before")
    bpy.ops.flowface.track()
    notice = ended()
    assert building.still_true(notice)
    bpy.ops.ed.undo()
    assert not building.still_true(notice)
    bpy.ops.ed.redo()
    assert building.still_true(notice)


@pytest.mark.usefixtures("performing")
def test_a_take_comes_in_pose_mode_and_the_user_stays_there() -> None:
    bpy.ops.flowface.track()
    ended()
    armature = bpy.data.collections["someone"][ARMATURE]
    own = bpy.data.objects.new("own", armature.data.copy())
    bpy.context.scene.collection.objects.link(own)
    bpy.context.view_layer.objects.active = own
    bpy.ops.object.mode_set(mode="POSE")
    bpy.ops.flowface.track()
    ended()
    assert bpy.context.mode == "POSE" and bpy.context.active_object.name == "own"
    assert takes() == ["someone"]


@pytest.mark.usefixtures("performing")
def test_what_was_given_an_action_of_the_take_follows_it_when_it_is_tracked_again() -> None:
    bpy.ops.flowface.track()
    ended()
    armature = bpy.data.collections["someone"][ARMATURE]
    other = bpy.data.objects.new("other", armature.data)
    bpy.context.scene.collection.objects.link(other)
    first = other.animation_data_create().action = armature.animation_data.action
    action_slots.pick_slots()
    bpy.ops.flowface.track()
    ended()
    armature = bpy.data.collections["someone"][ARMATURE]
    shown = bpy.data.objects["other"].animation_data
    assert shown.action == armature.animation_data.action != first
    if LAYERED_ACTIONS:
        assert shown.action_slot == armature.animation_data.action_slot


@pytest.mark.usefixtures("performing")
def test_a_take_waits_in_other_modes_and_says_for_what() -> None:
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.flowface.track()
    wait_until(lambda: session.current().job.take is not None, pump.tick)
    pump.tick()
    assert not takes()
    assert building.waits_for(bpy.context) == "Ready: it is built when you leave Edit Mode"
    bpy.ops.object.mode_set(mode="OBJECT")
    assert building.waits_for(bpy.context) == ""
    ended()
    assert takes() == ["someone"]


@pytest.mark.usefixtures("performing")
def test_a_renamed_scene_still_gets_its_take() -> None:
    here = bpy.context.scene
    bpy.data.scenes.new("another")
    bpy.ops.flowface.track()
    here.name = "renamed"
    bpy.context.window.scene = bpy.data.scenes["another"]
    ended()
    assert [collection.name for collection in here.collection.children] == ["someone"]


@pytest.mark.usefixtures("performing")
def test_a_failed_job_of_the_list_leaves_a_text_with_its_log_and_is_removed(tmp_path: Path) -> None:
    now = session.current()
    bpy.ops.flowface.track()
    ended()
    job = listed(lambda job: job.state is m.JobState.DONE)
    (tmp_path / "jobs" / job.job_id / "log.txt").write_text("all that was said\n")
    wait_until(lambda: now.storage is not None, pump.tick)
    assert bpy.ops.flowface.job_text(job_id=job.job_id) == {"FINISHED"}
    text = bpy.data.texts["someone log"].as_string()
    assert text.startswith(f"someone: done\njob {job.job_id}") and "all that was said" in text
    assert bpy.ops.flowface.job_unfold(job_id=job.job_id) == {"FINISHED"} and now.jobs.unfolded == job.job_id
    assert bpy.ops.flowface.job_remove(job_id=job.job_id) == {"FINISHED"}
    wait_until(lambda: now.jobs.find(job.job_id) is None, pump.tick)
    assert not (tmp_path / "jobs" / job.job_id).exists()
    assert takes() == ["someone"], "what was built of it stays"
