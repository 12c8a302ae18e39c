"""The add-on as Blender sees it: on and off, Track, Cancel, and every way that a job can end."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import bpy
import pytest

import blender_addon
from backend.server.app import Server
from blender_addon import backend_process, preferences, pump, session, settings
from blender_addon.client import Connection
from blender_addon.registration import CLASSES
from protocol import codec
from protocol import messages as m
from tests.backend.server.curve import bare_backend

from .conftest import wait_until
from .takes import write_clip
from .test_client import free_port

pytestmark = pytest.mark.usefixtures("addon")


@pytest.fixture(autouse=True)
def endpoint(monkeypatch: pytest.MonkeyPatch) -> str:
    """An address of the test's own in the preferences; no backend is started unasked."""
    address = f"tcp://127.0.0.1:{free_port()}"
    monkeypatch.setattr(preferences._Defaults, "endpoint", address)
    monkeypatch.setattr(preferences._Defaults, "autostart", False)
    return address


@pytest.fixture
def own_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The backend of this Python, with jobs and log of the test's own."""
    monkeypatch.setattr(preferences._Defaults, "environment", sys.executable)
    monkeypatch.setenv("FLOWFACE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(preferences, "user_folder", lambda: tmp_path / "user")


def choose(folder: Path, deed: str) -> None:
    """Choose footage; the test backend does what its name says."""
    path = folder / f"{deed}.mp4"
    path.touch()
    settings.of(bpy.context.scene).footage = str(path)


def connect(endpoint: str, start_server: Callable[..., Server]) -> None:
    start_server(endpoint)
    wait_until(lambda: session.current().connection is Connection.CONNECTED, pump.tick)


def test_registers_again_and_again() -> None:
    for _ in range(2):
        assert bpy.app.timers.is_registered(pump.tick)
        blender_addon.unregister()
        assert not bpy.app.timers.is_registered(pump.tick)
        assert pump.on_file_opened not in bpy.app.handlers.load_post
        assert not hasattr(bpy.types.Scene, "flowface")
        assert not any(hasattr(bpy.types, cls.__name__) for cls in CLASSES if issubclass(cls, bpy.types.Operator))
        blender_addon.register()
    assert settings.of(bpy.context.scene).match_scene is True


def test_track_needs_footage() -> None:
    assert not bpy.ops.flowface.track.poll()
    assert not bpy.ops.flowface.cancel.poll()


def test_missing_footage_is_one_sentence() -> None:
    settings.of(bpy.context.scene).footage = "/nowhere/clip.mp4"
    assert bpy.ops.flowface.track() == {"CANCELLED"}
    assert session.current().notice == session.Notice("There is no footage at /nowhere/clip.mp4.", is_error=True)


def test_backwards_range_is_one_sentence(tmp_path: Path) -> None:
    choose(tmp_path, "quick")
    chosen = settings.of(bpy.context.scene)
    chosen.use_range, chosen.frame_first, chosen.frame_last = True, 20, 10
    assert bpy.ops.flowface.track() == {"CANCELLED"}
    assert session.current().notice.text == "The frame range 20-10 ends before it starts."


def test_backend_that_is_not_running_is_one_sentence(tmp_path: Path) -> None:
    choose(tmp_path, "quick")
    assert bpy.ops.flowface.track() == {"CANCELLED"}
    notice = session.current().notice
    assert notice.is_error and notice.text.startswith("The FlowFace backend is not running. Start it")
    assert session.current().job is None


def test_job_shows_progress_and_is_cancelled(
    tmp_path: Path, endpoint: str, start_server: Callable[..., Server]
) -> None:
    connect(endpoint, start_server)
    choose(tmp_path, "until-cancelled")
    assert bpy.ops.flowface.track() == {"FINISHED"}
    assert bpy.ops.flowface.track() == {"CANCELLED"}, "the same only once"
    wait_until(lambda: session.current().job.fraction == 0.5, pump.tick)
    assert session.current().job.stage == "Working 1/2"
    assert bpy.ops.flowface.cancel() == {"FINISHED"}
    assert session.current().job.stage == "Cancelling"
    wait_until(lambda: session.current().job is None, pump.tick)
    assert session.current().notice == session.Notice("Cancelled.")


def test_cancel_at_once_reaches_the_job(tmp_path: Path, endpoint: str, start_server: Callable[..., Server]) -> None:
    """Cancel pressed before the backend has answered with the job's id."""
    connect(endpoint, start_server)
    choose(tmp_path, "until-cancelled")
    bpy.ops.flowface.track()
    bpy.ops.flowface.cancel()
    wait_until(lambda: session.current().job is None, pump.tick)
    assert session.current().notice == session.Notice("Cancelled.")


@pytest.mark.parametrize(
    ("deed", "says"),
    [("user-error", "No face was found in"), ("crash", "SIGSEGV"), ("bug", "error in FlowFace itself")],
)
def test_failed_job_is_one_sentence(
    tmp_path: Path, endpoint: str, start_server: Callable[..., Server], deed: str, says: str
) -> None:
    connect(endpoint, start_server)
    choose(tmp_path, deed)
    bpy.ops.flowface.track()
    wait_until(lambda: session.current().job is None, pump.tick)
    notice = session.current().notice
    assert notice.is_error and says in notice.text and "Traceback" not in notice.text and "\n" not in notice.text


def test_backend_that_stops_during_a_job_is_noticed(
    tmp_path: Path, endpoint: str, start_server: Callable[..., Server]
) -> None:
    server = start_server(endpoint)
    wait_until(lambda: session.current().connection is Connection.CONNECTED, pump.tick)
    choose(tmp_path, "until-cancelled")
    bpy.ops.flowface.track()
    wait_until(lambda: session.current().job.fraction == 0.5, pump.tick)
    server.stop()
    wait_until(
        lambda: session.current().job is None or session.current().connection is not Connection.CONNECTED, pump.tick
    )
    if session.current().job is not None:
        bpy.ops.flowface.cancel()
    assert session.current().job is None


def test_an_export_ends_when_the_connection_is_lost(tmp_path: Path, endpoint: str) -> None:
    """With a backend that took the job and then died: no further progress comes, and nobody says so."""
    with bare_backend(endpoint) as peer:

        def answer(message: m.Message) -> None:
            wait_until(lambda: bool(peer.poll(0)), pump.tick)
            sender, *frames = peer.recv_multipart()
            peer.send_multipart([sender, *m.pack(message, m.unpack(frames)[1])])

        answer(m.Welcome("test", 1))
        answer(m.HeadList((), exports=(m.ExportInfo("csv", "Table", ".csv", "numbers"),)))
        answer(m.JobList(()))
        answer(m.StorageReply("/jobs", 0, 0, 1))
        wait_until(lambda: bool(session.current().exports), pump.tick)
        session.current().export("20260101-000000-01234567", "csv", tmp_path / "a.csv")
        answer(m.Submitted(m.JobStatus("20260101-000000-01234568", "a", m.JobState.RUNNING, "writing Table")))
        wait_until(lambda: session.current().exporting.stage == "writing Table", pump.tick)
    wait_until(lambda: session.current().exporting is None, pump.tick)
    assert session.current().notice.is_error and "connection" in session.current().notice.text


def test_backend_of_another_version_is_one_sentence(tmp_path: Path, endpoint: str) -> None:
    with bare_backend(endpoint) as peer:
        pump.tick()
        sender, *_ = peer.recv_multipart()
        welcome = {"type": "welcome", "protocol": 9, "request": 0, "backend_version": "9.0", "pid": 1}
        peer.send_multipart([sender, *codec.encode(welcome)])
        wait_until(lambda: session.current().connection is Connection.REFUSED, pump.tick)
        choose(tmp_path, "quick")
        assert bpy.ops.flowface.track() == {"CANCELLED"}
        says = "This add-on speaks protocol 3, the backend speaks 9: update the add-on."
        assert session.current().notice == session.Notice(says, is_error=True)


@pytest.mark.slow
@pytest.mark.usefixtures("own_backend")
def test_port_in_use_is_explained(endpoint: str) -> None:
    with socket.create_server(("127.0.0.1", int(endpoint.rsplit(":", 1)[1]))):
        assert bpy.ops.flowface.backend_start() == {"FINISHED"}
        wait_until(lambda: session.current().notice is not None, pump.tick)
    notice = session.current().notice
    assert notice.is_error
    assert notice.text.startswith(f"The backend ended with exit code 1: The backend cannot listen on {endpoint}")


@pytest.mark.slow
@pytest.mark.usefixtures("own_backend")
def test_track_starts_the_backend_and_bad_footage_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real backend with its real work, started by pressing Track."""
    monkeypatch.setattr(preferences._Defaults, "autostart", True)
    (tmp_path / "text.mp4").write_text("This is no video.")
    write_clip(tmp_path / "faceless.mp4", 160, 96)
    notices = {}
    for name in ("text", "faceless"):
        settings.of(bpy.context.scene).footage = str(tmp_path / f"{name}.mp4")
        assert bpy.ops.flowface.track() == {"FINISHED"}
        wait_until(lambda: session.current().job is None, pump.tick)
        notices[name] = session.current().notice
        assert notices[name].is_error and "\n" not in notices[name].text
    assert str(tmp_path / "text.mp4") in notices["text"].text
    assert "face" in notices["faceless"].text


@pytest.mark.slow
@pytest.mark.usefixtures("own_backend")
def test_own_backend_starts_answers_and_stops() -> None:
    assert bpy.ops.flowface.backend_start() == {"FINISHED"}
    now = session.current()
    assert now.backend_starting
    wait_until(lambda: now.connection is Connection.CONNECTED, pump.tick)
    process = now.process
    assert now.owns_backend and not bpy.ops.flowface.backend_start.poll()
    assert any("listening" in line for line in process.log)
    assert "listening" in process.log_file.read_text(encoding="utf-8")
    assert bpy.ops.flowface.backend_stop() == {"FINISHED"}
    wait_until(lambda: not process.running and now.connection is not Connection.CONNECTED, pump.tick)
    assert now.notice is None


def test_backend_that_will_not_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preferences._Defaults, "environment", str(tmp_path / "nothing"))
    assert bpy.ops.flowface.backend_start() == {"CANCELLED"}
    assert session.current().notice.text.startswith(f"There is no Python in “{tmp_path / 'nothing'}”.")


@pytest.mark.usefixtures("own_backend")
def test_unregistering_stops_the_own_backend() -> None:
    bpy.ops.flowface.backend_start()
    process = session.current().process
    blender_addon.unregister()
    assert not process.running
    blender_addon.register()


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import backend_that_is_not_there", "No module named"),
        ("raise SystemExit('Der Grund heißt Grüße ✓')", "Der Grund heißt Grüße ✓"),
        ("import sys; sys.stdout.buffer.write(b'\\xff broken \\xe9\\n'); sys.exit(3)", "exit code 3: � broken �"),
        ("import os; os.kill(os.getpid(), 9)", "was killed (signal 9), as systems do where memory runs out."),
    ],
)
def test_backend_that_ends_early_is_explained(tmp_path: Path, code: str, says: str) -> None:
    launch = backend_process.Launch((sys.executable, "-c", code))
    process = backend_process.BackendProcess(launch, [], tmp_path / "sub" / "backend.log")
    deadline = time.monotonic() + 20
    while process.running and time.monotonic() < deadline:
        time.sleep(0.01)
    assert says in process.why_ended()


ASKS_ITSELF = """
import os, time
ends = time.monotonic() + 20
while os.getpriority(os.PRIO_PROCESS, 0) != {wanted} and time.monotonic() < ends:
    time.sleep(0.01)
print(os.getpriority(os.PRIO_PROCESS, 0), os.environ["OPENBLAS_NUM_THREADS"], os.environ["OMP_WAIT_POLICY"])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no niceness")
def test_a_process_that_steps_back_leaves_the_processor_to_blender(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its threads sleep while they wait, where the user does not say otherwise."""
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "the user's")
    wanted = min(os.getpriority(os.PRIO_PROCESS, 0) + backend_process.NICENESS, 19)
    launch = backend_process.Launch((sys.executable, "-c", ASKS_ITSELF.format(wanted=wanted)))
    process = backend_process.BackendProcess(launch, [], steps_back=True)
    share = Path(f"/proc/{process.pid}/autogroup")
    shared = share.read_text().split() if share.exists() else []
    assert not shared or shared[-1] == str(backend_process.NICENESS)
    deadline = time.monotonic() + 30
    while not process.silent and time.monotonic() < deadline:
        time.sleep(0.01)
    assert list(process.log) == [f"{wanted} 1 the user's"]
    assert backend_process.options_of_popen("win32", steps_back=True)["creationflags"] & 0x4000
