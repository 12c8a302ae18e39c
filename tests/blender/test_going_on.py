"""A job goes on through the end of its backend, is submitted once, and is built when it is done."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import bpy
import pytest

from backend.server.app import Server
from blender_addon import backend_link, preferences, pump, restarts, session, settings
from blender_addon.client import Connection
from blender_addon.scene.ownership import takes_of
from protocol import messages as m
from tests.backend.server.conftest import REPOSITORY

from .conftest import wait_until
from .takes import write_clip
from .test_client import free_port

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("addon")]

SERVE = """#!{python}
import os, sys
sys.path.insert(0, {repository!r})
os.environ["PYTHONPATH"] = {repository!r}
import backend.server.app as app
app.DEFAULT_RUNNER = app.Server.__init__.__kwdefaults__["runner"] = "tests.blender.patient_runner:perform_when_told"
from backend.server.cli import serve
import typer
sys.argv[1:2] = []
typer.run(serve)
"""
"""``flowface`` with work that ends when a test says so."""


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A backend to be started by the add-on, in folders of the test's own; the folder of its jobs."""
    program = tmp_path / "flowface"
    program.write_text(SERVE.format(python=sys.executable, repository=str(REPOSITORY)))
    program.chmod(0o700)
    monkeypatch.setattr(preferences._Defaults, "environment", str(program))
    monkeypatch.setattr(preferences._Defaults, "endpoint", f"tcp://127.0.0.1:{free_port()}")
    monkeypatch.setenv("FLOWFACE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(preferences, "user_folder", lambda: tmp_path / "user")
    choose(write_clip(tmp_path / "someone.mp4", 64, 48, count=2))
    return tmp_path / "data" / "flowface" / "jobs"


def choose(footage: Path) -> None:
    settings.of(bpy.context.scene).footage = str(footage)


def runs() -> bool:
    job = session.current().job
    return session.current().connection is Connection.CONNECTED and job.status is not None and job.status.fraction > 0


def killed() -> None:
    os.kill(session.current().process.pid, signal.SIGKILL)
    wait_until(lambda: session.current().connection is not Connection.CONNECTED, pump.tick)


def cancelled() -> None:
    """Leave nothing that the next test's session would go on with."""
    bpy.ops.flowface.cancel()
    wait_until(lambda: session.current().job is None, pump.tick)


def built(jobs: Path) -> None:
    """Let the job end; there is one, and its take is in the scene."""
    now = session.current()
    (folder,) = jobs.glob("2*")
    (folder / "proceed").touch()
    wait_until(lambda: now.job is None, pump.tick)
    assert now.notice.text.startswith("Tracked 10 of 10 frames"), now.notice.text
    assert [take.name for take in takes_of(bpy.context.scene)] == ["someone"]


def test_a_killed_backend_is_started_again_as_often_as_makes_sense_and_its_job_goes_on(
    jobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restarts, "DELAYS", (0.05,))
    now = session.current()
    bpy.ops.flowface.track()
    wait_until(runs, pump.tick)
    first, job_id = now.process.pid, now.job.job_id
    killed()
    wait_until(lambda: now.restart_at is not None or now.process.pid != first, pump.tick)
    assert now.away == backend_link.STOPPED and now.job.job_id == job_id and now.notice is None
    wait_until(lambda: now.process is not None and now.process.pid != first and runs(), pump.tick)
    wait_until(lambda: now.jobs.find(job_id).attempts == 2 == now.job.status.attempts, pump.tick)
    assert now.job.job_id == job_id
    killed()
    wait_until(lambda: now.notice is not None, pump.tick)
    assert now.notice.text == (
        "The backend was killed (signal 9), as systems do where memory runs out. It had been started again as often as "
        "makes sense, and now is not: its log says more. “someone” goes on when the backend is started again."
    )
    assert now.process is None and now.last_process.log
    bpy.ops.flowface.backend_start()
    wait_until(runs, pump.tick)
    built(jobs)


def test_a_submission_whose_answer_was_lost_is_repeated_and_makes_no_second_job(
    tmp_path: Path, start_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    monkeypatch.setattr(preferences._Defaults, "endpoint", endpoint)
    choose(write_clip(tmp_path / "someone.mp4", 64, 48, count=2))
    now = session.current()
    start_server(endpoint, "tests.blender.patient_runner:perform_when_told")
    wait_until(lambda: now.connection is Connection.CONNECTED, pump.tick)
    bpy.ops.flowface.track()
    wait_until(lambda: bool(list((tmp_path / "jobs").glob("2*/state.json"))), lambda: None)
    now.disconnect()  # with what the backend had answered by then
    assert now.job.submitted and not now.job.job_id
    wait_until(runs, pump.tick)
    assert len(list((tmp_path / "jobs").glob("2*"))) == 1
    cancelled()


def test_a_job_waits_for_a_backend_of_elsewhere_that_comes_back(
    tmp_path: Path, start_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    monkeypatch.setattr(preferences._Defaults, "endpoint", endpoint)
    choose(write_clip(tmp_path / "someone.mp4", 64, 48, count=2))
    now, runner = session.current(), "tests.blender.patient_runner:perform_when_told"
    first = start_server(endpoint, runner)
    wait_until(lambda: now.connection is Connection.CONNECTED, pump.tick)
    bpy.ops.flowface.track()
    wait_until(runs, pump.tick)
    job_id = now.job.job_id
    first.stop()
    wait_until(lambda: now.connection is not Connection.CONNECTED, pump.tick)
    assert "the job goes on when it" in now.away
    assert now.job.status.state is not m.JobState.INTERRUPTED and now.notice is None
    wait_until(lambda: starts(lambda: start_server(endpoint, runner)), pump.tick)
    wait_until(lambda: runs() and now.job.status.attempts == 2, pump.tick)
    assert now.job.job_id == job_id and now.notice is None
    cancelled()


def starts(start: Callable[[], object]) -> bool:
    """Whether a backend could be started: the last one may not have left its address yet."""
    try:
        start()
    except Exception:
        return False
    return True


def test_starts_after_ends_are_few_and_begin_anew_when_it_lived_long() -> None:
    plan = restarts.Restarts()
    first = [plan.plan(now) for now in (0.0, 10.0, 20.0, 30.0)]
    assert first == [0.5, 15.0, 40.0, None]
    assert plan.plan(640.5) == 641.0
