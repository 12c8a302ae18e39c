"""The Check of the preferences: what works, what does not, and how to mend it, with real processes and sockets."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path

import bpy
import pytest

from backend.server.app import Server
from blender_addon import backend_places, preferences, pump, retention, session, settings
from blender_addon.check import Check, Connected, Finding, Verdict
from blender_addon.client import Connection

from .conftest import wait_until
from .takes import write_clip
from .test_client import free_port


def finished(check: Check) -> list[Finding]:
    wait_until(lambda: not check.running, lambda: None)
    return check.findings


@pytest.fixture
def nowhere(tmp_path: Path) -> str:
    return str(tmp_path / "nothing")


def address(check: Check) -> Finding:
    return finished(check)[0]


def test_a_missing_backend_is_said_with_how_to_install_it(nowhere: str) -> None:
    check = Check(nowhere, "auto", f"tcp://127.0.0.1:{free_port()}", None)
    free, missing = finished(check)
    assert free.verdict is Verdict.GOOD and "is free: a backend can be started there" in free.sentence
    assert missing.verdict is Verdict.BAD
    assert missing.sentence.startswith(f"There is no Python in “{nowhere}”. Install it (“uv tool install”")
    assert check.summary == "Nothing can be tracked like this:"


def test_another_program_at_the_address_is_said(nowhere: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        endpoint = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        found = address(Check(nowhere, "auto", endpoint, None))
    assert found.verdict is Verdict.BAD and found.sentence.startswith(f"Another program listens at {endpoint}")
    assert found.hint == "Choose another port in the address."


@pytest.mark.parametrize(
    ("endpoint", "refused", "says"),
    [("127.0.0.1", "", "is not an address like"), ("tcp://127.0.0.1:1", "It speaks protocol 9.", "protocol 9")],
)
def test_a_wrong_address_and_a_wrong_peer_are_said(nowhere: str, endpoint: str, refused: str, says: str) -> None:
    found = address(Check(nowhere, "auto", endpoint, None, refused))
    assert found.verdict is Verdict.BAD and says in found.sentence and found.hint


def test_a_backend_that_answers_is_enough(nowhere: str) -> None:
    check = Check(nowhere, "auto", "tcp://127.0.0.1:1", Connected("0.1.0", "CPU", False))
    answers, missing = finished(check)
    assert answers.sentence == "Backend 0.1.0, started elsewhere, answers at tcp://127.0.0.1:1; fits run on CPU."
    assert (answers.verdict, missing.verdict) == (Verdict.GOOD, Verdict.WARNING)


def test_a_python_without_the_backend_is_said(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho "$0: No module named backend" >&2\nexit 1\n')
    python.chmod(0o755)
    found = finished(Check(str(tmp_path), "auto", f"tcp://127.0.0.1:{free_port()}", None))[-1]
    assert found.sentence == "The Python that was found does not have the backend." and "uv tool install" in found.hint


def test_a_backend_that_knows_no_check_is_said(tmp_path: Path) -> None:
    program = tmp_path / "flowface"
    program.write_text("#!/bin/sh\necho 'Loading…'\necho \"No such command '$1'.\" >&2\nexit 2\n")
    program.chmod(0o755)
    found = finished(Check(str(program), "auto", f"tcp://127.0.0.1:{free_port()}", None))[-1]
    says = "The backend that was found could not check itself (exit code 2): No such command 'check'."
    assert found.sentence == says and found.hint.endswith("install the same version of both.")


def test_a_check_can_be_ended_early(tmp_path: Path) -> None:
    program = tmp_path / "flowface"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    check = Check(str(program), "auto", f"tcp://127.0.0.1:{free_port()}", None)
    wait_until(lambda: check._process is not None, lambda: None)
    check.stop()
    assert not check.running


@pytest.mark.slow
@pytest.mark.usefixtures("addon")
def test_the_button_checks_the_real_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preferences._Defaults, "endpoint", f"tcp://127.0.0.1:{free_port()}")
    monkeypatch.setattr(preferences._Defaults, "environment", sys.executable)
    monkeypatch.setattr(preferences._Defaults, "device", "CPU")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert bpy.ops.flowface.check() == {"FINISHED"}
    assert not bpy.ops.flowface.check.poll()
    check = session.current().check
    assert check is not None and check.summary == "Checking…"
    wait_until(lambda: not check.running, pump.tick)
    assert check.summary == "All works.", check.findings
    said = " ".join(finding.sentence for finding in check.findings)
    for words in (
        "is free",
        "A backend was found at",
        "FlowFace 0",
        "0 jobs",
        "Videos can be read",
        "fits run on the CPU",
    ):
        assert words in said


@pytest.mark.usefixtures("addon")
def test_jobs_on_disk_are_told_and_the_old_ones_deleted(
    start_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    monkeypatch.setattr(preferences._Defaults, "endpoint", endpoint)
    start_server(endpoint, "tests.blender.runners:perform")
    now = session.current()
    wait_until(lambda: now.connection is Connection.CONNECTED and now.storage is not None, pump.tick)
    assert now.storage is not None
    assert retention.storage_in_words(now.storage).startswith(f"0 jobs in {tmp_path / 'jobs'}: 0.0 GB; ")
    assert not bpy.ops.flowface.prune.poll(), "all jobs are kept"
    write_clip(tmp_path / "someone.mp4", 640, 480)
    settings.of(bpy.context.scene).footage = str(tmp_path / "someone.mp4")
    bpy.ops.flowface.track()
    wait_until(lambda: now.job is None, pump.tick)
    assert len([path for path in (tmp_path / "jobs").iterdir() if path.is_dir()]) == 1
    monkeypatch.setattr(preferences._Defaults, "keep_gb", 1e-6)
    assert bpy.ops.flowface.prune() == {"FINISHED"}
    wait_until(lambda: now.storage is not None and now.storage.deleted == 1, pump.tick)
    assert now.storage.jobs == 0
    assert not [path for path in (tmp_path / "jobs").iterdir() if path.is_dir()]


def test_what_uv_and_pipx_installed_is_found_without_its_link(tmp_path: Path) -> None:
    linux = backend_places.usual_programs("linux", {"HOME": "/home/a"})
    assert "/home/a/.local/share/uv/tools/flowface/bin/flowface" in linux
    assert "/home/a/.local/share/pipx/venvs/flowface/bin/flowface" in linux
    told = {"HOME": "/home/a", "UV_TOOL_DIR": "/uv", "PIPX_HOME": "/pipx"}
    assert {"/uv/flowface/bin/flowface", "/pipx/venvs/flowface/bin/flowface"} < set(
        backend_places.usual_programs("linux", told)
    )
    program = tmp_path / "uv" / "tools" / "flowface" / "bin" / "flowface"
    program.parent.mkdir(parents=True)
    program.touch()
    (tmp_path / "flowface").symlink_to(program)
    launch = backend_places.find_launch(str(tmp_path))
    assert backend_places.installed_by(launch) == ", installed with uv"
    assert launch.check_command == (str(tmp_path / "flowface"), "check")
    module = backend_places.find_launch(sys.executable)
    assert module.check_command == (sys.executable, "-m", "backend.server", "check")
