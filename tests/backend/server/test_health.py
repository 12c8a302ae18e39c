"""What a backend says of its health to whoever greets it, and ``flowface check`` to whoever asks."""

from __future__ import annotations

import os
import signal
import time

import pytest

from backend.client.connection import Client
from backend.server.check import Verdict, check
from backend.server.discovery import advertise, withdraw
from backend.server.health import look_at
from backend.server.process import start_time
from backend.server.ready import RunningServer
from protocol.states import JobState
from protocol.version import OLDEST_VERSION, PROTOCOL_VERSION
from tests.backend.server.conftest import spec


def health_once(server, true, seconds=30):
    """The health of a backend as soon as something is true of it; the bound only keeps a broken test from hanging."""
    deadline = time.monotonic() + seconds
    while True:
        with Client(server.endpoint) as client:
            health = client.welcome.health
        if true(health):
            return health
        assert time.monotonic() < deadline, health
        time.sleep(0.05)


@pytest.mark.slow
def test_a_greeting_is_answered_with_the_backends_health(server, client, tmp_path):
    job = client.submit(spec("until-cancelled"))
    client.submit(spec("quick"))
    while client.status(job.job_id).state is not JobState.RUNNING:
        time.sleep(0.02)
    health = health_once(server, lambda health: health.bytes_free is not None)
    assert (health.jobs_running, health.jobs_queued, health.worker_restarts) == (1, 1, 0)
    assert (health.jobs_folder, health.folder_problem) == (str(tmp_path / "jobs"), "")
    assert (health.oldest_protocol, health.newest_protocol) == (OLDEST_VERSION, PROTOCOL_VERSION)
    assert health.backend_bytes > 1 << 20 and health.uptime_seconds > 0
    os.kill(server._scheduler.worker.pid, signal.SIGKILL)
    assert health_once(server, lambda health: health.worker_restarts).worker_restarts == 1


def test_a_jobs_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    assert look_at(tmp_path)[0] == "" and look_at(tmp_path)[1] > 0
    gone = tmp_path / "gone"
    assert look_at(gone) == (f"Nothing can be written to the jobs folder {gone}: No such file or directory.", None)
    (tmp_path / "file").write_text("")
    problem, free = look_at(tmp_path / "file")
    assert problem.endswith(": Not a directory.") and free


@pytest.mark.slow
def test_the_check_asks_the_backend_that_runs(server, tmp_path):
    me = RunningServer(server.endpoint, os.getpid(), PROTOCOL_VERSION, start_time(os.getpid()))
    advertise(me)
    try:
        findings = list(check(tmp_path / "jobs", "tests.backend.server.runners:run"))
    finally:
        withdraw(me)
    (running,) = [finding for finding in findings if server.endpoint in finding.sentence]
    assert running.verdict is Verdict.GOOD
    assert f"protocol {OLDEST_VERSION} to {PROTOCOL_VERSION}; jobs: 0 running, 0 waiting;" in running.sentence
