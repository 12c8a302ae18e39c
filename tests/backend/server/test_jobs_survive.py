"""Jobs that lose their worker, their backend or their disk: each ends once, and nothing ends the server."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import resource
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from backend.client.connection import Client
from backend.errors import UserError
from backend.server import disk_pause, worker_keeper
from backend.server.jobs import JobStore
from backend.server.worker_keeper import is_large
from protocol import messages as m
from protocol.codec import ProtocolError
from protocol.states import JobState
from tests.backend.server.conftest import REPOSITORY, spec
from tests.backend.server.runners import STEPS

pytestmark = pytest.mark.slow

Backend = tuple["subprocess.Popen[str]", str]


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Poll a condition that must come true; the bound only keeps a broken test from hanging."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Backend]]:
    """Start backends in processes of their own, on one folder; gives process and endpoint."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    with contextlib.ExitStack() as stack:

        def begin() -> Backend:
            command = [sys.executable, "-m", "tests.backend.server.toy_server", str(tmp_path / "jobs")]
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            stack.callback(process.kill)
            assert process.stdout
            return process, json.loads(process.stdout.readline())["endpoint"]

        yield begin


def half_way(client: Client, job_id: str) -> bool:
    return client.status(job_id).stage == "half-way"


def attempts(folder: Path) -> list[list[str]]:
    return [line.split() for line in (folder / "attempts.txt").read_text().splitlines()]


def steps(folder: Path) -> list[int]:
    return [int(line) for line in (folder / "steps.txt").read_text().split()]


def test_jobs_of_a_killed_backend_go_on_in_their_order_with_the_next(backend, tmp_path):
    first, endpoint = backend()
    token = secrets.token_hex(16)
    with Client(endpoint) as client:
        job = client._ask(m.Submit(spec("resumable"), token=token), m.Submitted).job
        later = [client.submit(spec("quick", name)).job_id for name in ("second", "third")]
        wait_until(lambda: half_way(client, job.job_id))
    first.kill()
    first.wait()
    folder = tmp_path / "jobs" / job.job_id
    assert json.loads((folder / "state.json").read_bytes())["state"] == "running", "as it died"
    with Client(backend()[1]) as client:
        again = client._ask(m.Submit(spec("resumable"), token=token), m.Submitted).job
        assert again.job_id == job.job_id and not again.finished, "the same job, however often it is submitted"
        (folder / "proceed").touch()
        final = client.wait(job.job_id)
        assert (final.state, final.attempts, final.problem) == (JobState.DONE, 2, None)
        assert [client.wait(job_id).state for job_id in later] == [JobState.DONE] * 2
        assert len(client.jobs()) == 3
    assert steps(folder) == list(range(STEPS)), "no step is done twice"
    assert attempts(folder) == [["1", "0"], ["2", "0"]], "the end of a backend is not the job's fault"
    assert (tmp_path / "jobs" / "order.txt").read_text().split() == ["second", "third"]


def test_what_a_backend_that_ends_leaves_is_taken_up_by_one_that_runs(backend, tmp_path):
    first, endpoint = backend()
    with Client(endpoint) as client:
        job = client.submit(spec("resumable"))
        wait_until(lambda: half_way(client, job.job_id))
        other = backend()[1]
        first.send_signal(signal.SIGTERM)
        assert first.wait(20) == 0
    folder = tmp_path / "jobs" / job.job_id
    (folder / "proceed").touch()
    with Client(other) as client:
        final = client.wait(job.job_id)  # looked for every few seconds
        assert (final.state, final.attempts) == (JobState.DONE, 2)
    assert steps(folder) == list(range(STEPS))
    assert not (folder / "lock").exists() and not (folder / "worker.lock").exists()


def test_the_backend_of_one_client_takes_up_what_that_asks_for_only(start, tmp_path):
    store = JobStore(tmp_path / "jobs")
    others, own = (store.create(spec("quick")).job_id for _ in range(2))
    store.close()  # as a backend that was killed
    with Client(start(adopt=False).endpoint) as client:
        assert client.wait(own).state is JobState.DONE
        assert client.status(others).attempts == 0, "left to a backend of all"
        assert client.cancel(others).state is JobState.CANCELLED


def test_a_job_goes_on_after_its_worker_was_killed(server, client, tmp_path):
    job = client.submit(spec("resumable"))
    waiting = client.submit(spec("quick"))
    wait_until(lambda: half_way(client, job.job_id))
    os.kill(server._scheduler.worker.pid, signal.SIGKILL)
    folder = tmp_path / "jobs" / job.job_id
    wait_until(lambda: client.status(job.job_id).state is JobState.QUEUED)
    assert "SIGKILL" in client.status(job.job_id).stage
    (folder / "proceed").touch()
    final = client.wait(job.job_id)
    assert (final.state, final.attempts) == (JobState.DONE, 2) and steps(folder) == list(range(STEPS))
    assert client.wait(waiting.job_id).state is JobState.DONE


def test_a_job_that_ends_every_worker_is_set_aside_with_its_reason(client, tmp_path):
    job = client.submit(spec("crash"))
    waiting = client.submit(spec("quick"))
    final = client.wait(job.job_id)
    assert final.state is JobState.FAILED and final.problem.code == "worker_died" and final.attempts == 3
    assert final.problem.message.count("was ended by SIGSEGV during “decode and align”") == 3
    assert len(attempts(tmp_path / "jobs" / job.job_id)) == 3
    assert client.wait(waiting.job_id).state is JobState.DONE


def test_a_job_without_enough_memory_is_tried_with_less(client, tmp_path):
    job = client.submit(spec("hungry"))
    assert client.wait(job.job_id).state is JobState.DONE
    assert attempts(tmp_path / "jobs" / job.job_id) == [["1", "0"], ["2", "1"], ["3", "2"]]


def test_one_token_makes_one_job(client):
    token = secrets.token_hex(16)
    made = {client._ask(m.Submit(spec("quick", "a"), token=token), m.Submitted).job.job_id for _ in range(3)}
    (job_id,) = made
    client.wait(job_id)
    after = client._ask(m.Submit(spec("quick", "a"), token=token), m.Submitted).job
    assert (after.job_id, after.state) == (job_id, JobState.DONE)
    with pytest.raises(UserError) as caught:
        client._ask(m.Submit(spec("quick", "b"), token=token), m.Submitted)
    assert caught.value.code == "token_taken"
    other = client._ask(m.Submit(spec("quick", "b"), token=token[:4] + secrets.token_hex(14)), m.Submitted).job
    assert other.job_id not in made and len(client.jobs()) == 2
    with pytest.raises(ProtocolError, match="32 hexadecimal"):
        m.Submit(spec("quick"), token="1")


def test_a_folder_deleted_by_hand_costs_its_job_only(client, tmp_path):
    running, gone, stays = (client.submit(spec(deed)) for deed in ("until-cancelled", "quick", "quick"))
    wait_until(lambda: client.status(running.job_id).stage == "working")
    shutil.rmtree(tmp_path / "jobs" / gone.job_id)
    shutil.rmtree(tmp_path / "jobs" / running.job_id)
    client.cancel(running.job_id)
    assert client.wait(stays.job_id).state is JobState.DONE
    for job in (running, gone):
        with pytest.raises(UserError, match="There is no job"):
            client.status(job.job_id)


def test_damaged_states_are_begun_anew_or_left_alone(start, tmp_path):
    root = tmp_path / "jobs"
    store = JobStore(root)
    anew, lost, half_made, old, mixed_up = (store.create(spec("quick", name)).job_id for name in "abcde")
    store.close()  # as a backend that was killed
    (root / anew / "state.json").write_bytes(b"")
    (root / mixed_up / "state.json").write_bytes((root / half_made / "state.json").read_bytes())
    (root / lost / "state.json").write_bytes(b"{")
    (root / lost / "spec.json").write_bytes(b"\xff")
    (root / half_made / "state.json").unlink()
    state = json.loads((root / old / "state.json").read_bytes())
    (root / old / "state.json").write_text(json.dumps(state | {"state": "interrupted"}))
    with Client(start().endpoint) as client:
        for job_id in (anew, mixed_up):
            assert client.wait(job_id).state is JobState.DONE
        assert client.status(old).state is JobState.INTERRUPTED
    assert (root / lost).is_dir() and not (root / half_made).exists() and not (root / old / "lock").exists()


@contextlib.contextmanager
def limited(pid: int, what: int, bound: int) -> Iterator[None]:
    """Have the system refuse a process more than ``bound`` of something."""
    soft, hard = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (bound, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, what, (soft, hard))


def test_on_a_full_disk_submits_are_refused_without_a_trace_and_states_are_written_later(backend, tmp_path):
    process, endpoint = backend()
    about = psutil.Process(process.pid)
    with Client(endpoint) as client:
        job = client.submit(spec("until-cancelled"))
        wait_until(lambda: client.status(job.job_id).stage == "working")
        path = tmp_path / "jobs" / job.job_id / "state.json"
        assert client.heads() and client.jobs()  # by then the processes that read have started, and have their handles
        before, folders = about.num_fds(), set((tmp_path / "jobs").iterdir())
        with limited(process.pid, resource.RLIMIT_FSIZE, 0):
            for _ in range(200):
                with pytest.raises(UserError, match="cannot be written to") as caught:
                    client.submit(spec("quick"))
                assert caught.value.code == "jobs_folder"
            assert about.num_fds() == before and set((tmp_path / "jobs").iterdir()) == folders
            client.cancel(job.job_id)
            assert client.wait(job.job_id).state is JobState.CANCELLED
            assert "not on disk yet" in client.status(job.job_id).stage
            assert json.loads(path.read_bytes())["state"] == "running"
        wait_until(lambda: json.loads(path.read_bytes())["state"] == "cancelled")
        assert "not on disk" not in client.status(job.job_id).stage
        assert client.wait(client.submit(spec("quick")).job_id).state is JobState.DONE


def test_a_job_waits_while_the_disk_is_full_and_goes_on_when_it_is_not(server, client, monkeypatch):
    monkeypatch.setattr(disk_pause, "PAUSE_SECONDS", 0.2)
    wait_until(lambda: server._scheduler.worker.state == "ready")
    with limited(server._scheduler.worker.pid, resource.RLIMIT_FSIZE, 1000):
        job = client.submit(spec("writing"))
        wait_until(lambda: client.status(job.job_id).problem is not None)
        status = client.status(job.job_id)
        assert status.state is JobState.QUEUED and status.problem.code in ("disk_full", "jobs_folder")
        assert "is full" in status.problem.message
    final = client.wait(job.job_id)
    assert (final.state, final.problem) == (JobState.DONE, None)


def test_a_jobs_folder_that_cannot_be_made_now_is_made_later(start, tmp_path, caplog):
    disk = tmp_path / "disk"
    disk.symlink_to("/proc/none")  # in which nothing can be made, by root neither, as on a disk that is read-only
    with caplog.at_level(logging.ERROR):
        server = start(jobs=disk / "jobs")
    assert any("cannot be made" in record.message for record in caplog.records)
    with Client(server.endpoint) as client:
        assert client.jobs() == ()
        with pytest.raises(UserError, match="cannot be written") as caught:
            client.submit(spec("quick"))
        assert caught.value.code == "jobs_folder"
        disk.unlink()
        disk.mkdir()
        assert client.wait(client.submit(spec("quick")).job_id).state is JobState.DONE


def test_a_worker_that_cannot_be_started_is_tried_again(server, client, monkeypatch):
    job = client.submit(spec("until-cancelled"))
    wait_until(lambda: client.status(job.job_id).stage == "working")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/nowhere/python")  # as after an update of Python
        os.kill(server._scheduler.worker.pid, signal.SIGKILL)
        wait_until(lambda: client.status(job.job_id).finished)
    final = client.status(job.job_id)
    assert final.state is JobState.FAILED and "would not start" in final.problem.message
    assert client.wait(client.submit(spec("quick")).job_id).state is JobState.DONE


def test_a_worker_that_is_never_ready_is_started_again(start, tmp_path, monkeypatch):
    monkeypatch.setattr(worker_keeper, "START_SECONDS", 0.5)
    monkeypatch.setenv("SLOW_TO_START", str(tmp_path / "started before"))
    server = start("tests.backend.server.slow_start:run")
    first = server._scheduler.worker.pid
    wait_until(lambda: server._scheduler.worker.pid not in (first, 0))
    monkeypatch.setattr(worker_keeper, "START_SECONDS", 180.0)
    (tmp_path / "started before").touch()
    with Client(server.endpoint) as client:
        assert client.wait(client.submit(spec("quick")).job_id).state is JobState.DONE


def test_a_worker_that_does_not_answer_is_ended_and_its_job_goes_on(server, client, tmp_path, monkeypatch):
    job = client.submit(spec("resumable"))
    wait_until(lambda: half_way(client, job.job_id))
    stopped = server._scheduler.worker.pid
    monkeypatch.setattr(worker_keeper, "SILENT_SECONDS", 0.5)
    os.kill(stopped, signal.SIGSTOP)
    wait_until(lambda: server._scheduler.worker.pid != stopped)
    monkeypatch.setattr(worker_keeper, "SILENT_SECONDS", 120.0)
    (tmp_path / "jobs" / job.job_id / "proceed").touch()
    final = client.wait(job.job_id)
    assert final.state is JobState.DONE and final.attempts >= 2


def test_a_worker_is_started_anew_only_where_it_has_grown_much():
    ready = 700 << 20
    assert not is_large(ready, ready) and not is_large(ready + (200 << 20), ready)
    assert is_large(ready + (300 << 20), ready) and not is_large(5 * ready, 4 * ready)
    assert not is_large(2 * ready, ready, times=4), "while jobs wait for it"


def test_after_a_large_job_the_worker_is_back_at_its_idle_size(server, client, monkeypatch):
    monkeypatch.setattr(worker_keeper, "LARGE_BYTES", 50 << 20)
    monkeypatch.setattr(worker_keeper, "REST_SECONDS", 0.1)
    worker = server._scheduler.worker
    client.wait(client.submit(spec("quick")).job_id)
    small = worker.pid
    client.wait(client.submit(spec("large")).job_id)
    wait_until(lambda: worker.pid != small and worker.state == "ready")
    assert worker.process.resident_bytes() < 150 << 20
    assert client.wait(client.submit(spec("quick")).job_id).state is JobState.DONE
