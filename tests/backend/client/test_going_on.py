"""The command line's client through the death of its backend, and through its own end by a signal."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest
import zmq

from backend.client.connection import WAITING, Client
from backend.errors import UserError
from backend.server.discovery import private_server
from backend.server.jobs import JobStore
from backend.server.keys import KeyRing, keys_folder
from protocol import messages as m
from protocol.states import JobState
from tests.backend.client.serving import serving
from tests.backend.server.conftest import REPOSITORY, spec

pytestmark = pytest.mark.slow


@pytest.fixture
def backend(tmp_path, monkeypatch):
    """A backend that can be killed and started again."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    with serving(tmp_path / "jobs") as found:
        yield found


def wait_until(condition, seconds=30):
    """Poll a condition that must come true; the bound only keeps a broken test from hanging."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def in_thread(work):
    """Start ``work``; gives the thread and the list that gets what it returns."""
    found = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    return thread, found


def test_a_job_is_followed_through_the_death_of_its_backend(backend):
    seen = []
    with Client(backend.endpoint) as client:
        job = client.submit(spec("until-cancelled"))
        following, final = in_thread(lambda: client.wait(job.job_id, seen.append))
        wait_until(lambda: any(status.stage == "working" for status in seen))
        backend.kill()
        wait_until(lambda: seen[-1].stage == WAITING)
        backend.start()
        wait_until(lambda: seen[-1].stage == "working")
        with Client(backend.endpoint) as other:
            other.cancel(job.job_id)
        following.join(30)
    assert final[0].state is JobState.CANCELLED
    assert (final[0].job_id, len(JobStore(backend.jobs).latest(9))) == (job.job_id, 1)


def test_what_a_killed_backend_left_unanswered_is_asked_again_and_a_job_submitted_once(backend):
    with Client(backend.endpoint) as client:
        backend.pause()
        asking, answers = in_thread(lambda: (client.submit(spec("quick")), client.jobs()))
        time.sleep(0.1)  # so that it has been sent, as a rule; if not, it is sent later
        backend.kill()
        backend.start()
        asking.join(30)
    submitted, jobs = answers[0]
    assert [job.job_id for job in jobs] == [submitted.job_id]


def test_a_backend_that_does_not_come_back_is_told_with_the_job_and_the_way_to_its_result(backend):
    with Client(backend.endpoint, patience=0.5) as client:
        job = client.submit(spec("until-cancelled", "my take"))
        backend.kill()
        with pytest.raises(UserError) as caught:
            client.wait(job.job_id)
        assert caught.value.code == "backend_gone"
        assert f"“my take” ({job.job_id})" in caught.value.message
        assert f"flowface jobs fetch {job.job_id}" in caught.value.hint
        backend.start()


def test_an_answer_that_does_not_come_is_asked_for_again_under_the_same_token():
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.curve_server = True
    router.curve_secretkey = KeyRing(keys_folder()).backend.secret.encode()
    port = router.bind_to_random_port("tcp://127.0.0.1")
    tokens, stop = [], threading.Event()

    def serve():
        while not stop.is_set():
            if router.poll(50):
                identity, *frames = router.recv_multipart()
                message, request = m.unpack(frames)
                answer = m.Welcome("1", 1)
                if isinstance(message, m.Submit):
                    tokens.append(message.token)
                    if len(tokens) < 2:
                        continue
                    answer = m.Submitted(m.JobStatus("20260101-000000-00000000", "a", JobState.QUEUED))
                router.send_multipart([identity, *m.pack(answer, request)])

    serving_thread = threading.Thread(target=serve)
    serving_thread.start()
    try:
        with Client(f"tcp://127.0.0.1:{port}", timeout=1.0) as client:
            client.submit(spec("quick"))
            client.submit(spec("quick"))
    finally:
        stop.set()
        serving_thread.join()
        context.destroy(linger=0)
    first, again, other = tokens
    assert first == again != other and len(first) == 32


def test_a_private_backend_that_is_killed_is_there_again_on_its_port_and_ends_with_its_block(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    pids = []
    with private_server(tmp_path / "jobs") as endpoint, Client(endpoint) as client:
        for _ in range(2):
            pids.append(client.welcome.pid)
            os.kill(pids[-1], signal.SIGKILL)
            assert client.jobs() == ()
        pids.append(client.welcome.pid)
    assert len(set(pids)) == 3
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in pids))


def test_a_submit_that_is_called_off_before_its_answer_leaves_no_job(backend):
    with Client(backend.endpoint) as client:
        answer = client._answer
        client._answer = lambda _reply: (_ for _ in ()).throw(KeyboardInterrupt)  # Ctrl-C while it is awaited
        client._link.send, send = (
            (lambda *a: (send(*a), setattr(client, "_answer", once(answer)))[0]),
            client._link.send,
        )
        with pytest.raises(KeyboardInterrupt):
            client.run(spec("until-cancelled"))


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
def test_a_signal_cancels_the_job_that_the_command_line_follows(backend, tmp_path, name, status):
    command = [sys.executable, "-m", "backend.cli", "track", "until-cancelled.mp4", "--out", str(tmp_path / "out")]
    command += ["--no-blend", "--endpoint", backend.endpoint]
    leader, terminal = pty.openpty() if name == "SIGHUP" else (None, subprocess.PIPE)
    with subprocess.Popen(
        command,
        stdin=terminal if leader else subprocess.DEVNULL,
        stderr=terminal,
        start_new_session=True,
        # A shell's background job ignores Ctrl-C, and so would its children, were the tests run in one.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        with Client(backend.endpoint) as client:
            wait_until(lambda: any(job.state is JobState.RUNNING for job in client.jobs()))
        if leader is not None:
            os.close(terminal)
            os.close(leader)  # the terminal is gone: whoever writes to it gets an error
        process.send_signal(getattr(signal, name))
        words = b"" if leader is not None else process.stderr.read()
        assert process.wait(60) == status
    assert b"Traceback" not in words
    assert [job.state for job in JobStore(backend.jobs).latest(9)] == [JobState.CANCELLED]
