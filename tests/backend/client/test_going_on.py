"""The command line's client through the death of its backend, and through its own end by a signal."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
import time
from dataclasses import dataclass

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


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    """A backend that can be killed and started again; tests leave it running."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(REPOSITORY))
        with serving(tmp_path_factory.mktemp("going on") / "jobs") as found:
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


@dataclass
class Seen:
    """What four clients saw of a backend that hung, was killed and came back: two of one job, each other of its own."""

    job: m.JobStatus
    stages: list[str]
    final: m.JobStatus
    gone: UserError
    stopped: KeyboardInterrupt
    submitted: m.JobStatus
    jobs: tuple[m.JobStatus, ...]


@pytest.fixture(scope="module")
def seen(backend):
    """The death of a backend, and its return."""
    stages, shown = [], []
    with contextlib.ExitStack() as stack:
        patient, asking, other = (stack.enter_context(Client(backend.endpoint)) for _ in range(3))
        impatient, stopping = (stack.enter_context(Client(backend.endpoint, patience=0.5)) for _ in range(2))
        job = patient.submit(spec("until-cancelled", "my take"))
        following, final = in_thread(lambda: patient.wait(job.job_id, lambda status: stages.append(status.stage)))
        giving_up, gone = in_thread(lambda: error_of(lambda: impatient.wait(job.job_id, shown.append)))
        killed, waits = threading.Event(), []

        def stop_when_killed(status):
            waits.append(status)
            killed.wait(60)
            raise KeyboardInterrupt

        ending, stopped = in_thread(lambda: error_of(lambda: stopping.run(spec("quick"), stop_when_killed)))
        wait_until(lambda: "working" in stages and shown and waits)
        backend.pause()
        submitting, submitted = in_thread(lambda: asking.submit(spec("quick")))
        time.sleep(0.1)  # so that it has been sent, as a rule; if not, it is sent later
        backend.kill()
        killed.set()
        wait_until(lambda: stages[-1] == WAITING and gone and stopped)
        backend.start()
        wait_until(lambda: stages[-1] == "working" and submitted)
        jobs = other.jobs()
        other.cancel(job.job_id)
        for thread in (following, giving_up, submitting, ending):
            thread.join(30)
        return Seen(job, stages, final[0], gone[0], stopped[0], submitted[0], jobs)


def error_of(work):
    """The error that ``work`` ends with."""
    with pytest.raises((UserError, KeyboardInterrupt)) as caught:
        work()
    return caught.value


def test_a_job_is_followed_through_the_death_of_its_backend(seen):
    assert (seen.final.job_id, seen.final.state) == (seen.job.job_id, JobState.CANCELLED)
    stages = [stage for stage, _ in itertools.groupby(seen.stages)]
    assert stages.index("working") < stages.index(WAITING) < len(stages) - 1 - stages[::-1].index("working")


def test_what_a_killed_backend_left_unanswered_is_asked_again_and_a_job_submitted_once(seen):
    newest, stopped, first = seen.jobs
    assert (newest.job_id, first.job_id) == (seen.submitted.job_id, seen.job.job_id)
    assert stopped.job_id in str(seen.stopped)


def test_a_backend_that_does_not_come_back_is_told_with_the_job_and_the_way_to_its_result(seen):
    assert seen.gone.code == "backend_gone"
    assert f"“my take” ({seen.job.job_id})" in seen.gone.message
    assert f"flowface jobs fetch {seen.job.job_id}" in seen.gone.hint


def test_ctrl_c_that_the_backend_cannot_be_told_is_said(seen):
    assert re.search(r"the job \S+ could not be cancelled: The backend at .* stopped", str(seen.stopped))


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
        pids.append(client.welcome.pid)
        os.kill(pids[-1], signal.SIGKILL)
        assert client.jobs() == ()
        pids.append(client.welcome.pid)
    assert len(set(pids)) == 2
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in pids))


class Interrupted(Client):
    """Somebody presses Ctrl-C once, while the answer to a submit is awaited."""

    pressed = False

    def _answer(self, reply, seconds):
        if reply is m.Submitted and not self.pressed:
            self.pressed = True
            raise KeyboardInterrupt
        return super()._answer(reply, seconds)


def test_ctrl_c_before_the_job_has_a_number_cancels_it_all_the_same(backend):
    with Interrupted(backend.endpoint) as client:
        before = len(client.jobs())
        with pytest.raises(KeyboardInterrupt):
            client.run(spec("until-cancelled"))
        jobs = client.jobs()
    assert len(jobs) == before + 1 and jobs[0].state is JobState.CANCELLED


TRACK = [sys.executable, "-m", "backend.cli", "track", "until-cancelled.mp4", "--no-blend"]


def default_signals():
    """A shell's background job ignores Ctrl-C, and so would its children, were the tests run in one."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def own_terminal():
    """Make what is standard input the terminal of this process."""
    default_signals()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def wait_until_running(backend):
    with Client(backend.endpoint) as client:
        wait_until(lambda: any(job.state is JobState.RUNNING for job in client.jobs()))


def test_sigterm_cancels_the_job_that_the_command_line_follows(backend, tmp_path):
    command = [*TRACK, "--out", str(tmp_path / "out"), "--endpoint", backend.endpoint]
    with subprocess.Popen(command, stderr=subprocess.PIPE, preexec_fn=default_signals) as process:
        wait_until_running(backend)
        process.terminate()
        words = process.stderr.read()
        assert process.wait(60) == 143
    assert b"cancelled" in words and b"Traceback" not in words
    assert JobStore(backend.jobs).latest(1)[0].state is JobState.CANCELLED


def test_a_terminal_that_is_closed_cancels_the_job_that_is_followed_in_it(backend, tmp_path):
    command = [*TRACK, "--out", str(tmp_path / "out"), "--endpoint", backend.endpoint]
    leader, terminal = pty.openpty()
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), terminal)
    with subprocess.Popen(command, **streams, start_new_session=True, preexec_fn=own_terminal) as process:
        wait_until_running(backend)
        os.close(terminal)
        os.close(leader)
        assert process.wait(60) == 129
    assert JobStore(backend.jobs).latest(1)[0].state is JobState.CANCELLED
