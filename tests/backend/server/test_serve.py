"""The ``serve`` process as users and add-ons run it: ready line, signals, parents, discovery."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from backend.client.connection import Client
from backend.errors import UserError
from backend.server import discovery
from backend.server.discovery import RunningServer, find_server, private_server
from backend.server.process import ParentWatch, is_alive, start_time
from protocol.states import JobState
from protocol.version import PROTOCOL_VERSION
from tests.backend.server.conftest import REPOSITORY, spec

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def own_state_folder(tmp_path, monkeypatch):
    """Tests neither see nor disturb the backend of whoever runs them."""
    monkeypatch.setenv("FLOWFACE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))


@pytest.fixture
def serve(tmp_path):
    """Start ``serve`` with further arguments; gives process and ready line."""
    with contextlib.ExitStack() as stack:

        def begin(*arguments, endpoint="tcp://127.0.0.1:*", **options):
            command = [sys.executable, "-m", "backend.server", "--endpoint", endpoint]
            command += ["--jobs-dir", str(tmp_path / "jobs"), *arguments]
            process = stack.enter_context(
                subprocess.Popen(
                    command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", **options
                )
            )
            stack.callback(process.kill)
            line = process.stdout.readline()
            return process, json.loads(line) if line else None

        yield begin


def children_of(pid):
    return [child.pid for child in psutil.Process(pid).children()]


def gone(pid):
    """True where a process ends; the bound only keeps a broken test from hanging."""
    deadline = time.monotonic() + 20
    while start_time(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_ready_line_names_endpoint_pid_and_protocol(serve):
    process, ready = serve()
    started = psutil.Process(process.pid).create_time()
    about = {"endpoint": ready["endpoint"], "pid": process.pid, "protocol": PROTOCOL_VERSION, "started": started}
    assert ready == about
    with Client(ready["endpoint"]) as client:
        assert client.welcome.pid == process.pid


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_signals_end_it_cleanly(serve, name):
    process, _ = serve()
    process.send_signal(getattr(signal, name))
    _, log = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "stopped" in log and "Traceback" not in log


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal to a group")
def test_ctrl_c_in_its_terminal_is_for_it_alone_while_its_processes_load(serve):
    process, _ = serve(start_new_session=True)  # which is the group of a terminal's job
    children = children_of(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    _, log = process.communicate(timeout=60)
    assert process.returncode == 0 and children and all(gone(child) for child in children)
    assert "stopped" in log and "Traceback" not in log


def test_shutdown_request_ends_it_and_its_worker(serve):
    process, ready = serve()
    children = children_of(process.pid)
    with Client(ready["endpoint"]) as client:
        client.shutdown()
    assert process.wait(timeout=20) == 0
    assert children and all(gone(child) for child in children)


def test_killing_it_ends_its_worker(serve):
    process, _ = serve()
    children = children_of(process.pid)
    process.kill()
    process.wait()
    assert children and all(gone(child) for child in children)


def test_the_jobs_of_a_killed_backend_are_taken_up_and_those_of_a_living_one_are_not(serve):
    first, ready = serve()
    (worker,) = children_of(first.pid)
    os.kill(worker, signal.SIGSTOP)  # so that the job stays unfinished
    with Client(ready["endpoint"]) as client:
        job = client.submit(spec("lost"))
    _, other = serve()
    with Client(other["endpoint"]) as client:
        assert not client.status(job.job_id).finished
        first.kill()
        first.wait()
        os.kill(worker, signal.SIGKILL)
        ended = client.wait(job.job_id)
        assert ended.state is JobState.FAILED and "/lost.mp4" in ended.problem.message


def test_it_ends_with_the_process_it_serves(serve):
    parent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process, _ = serve("--parent-pid", str(parent.pid))
    parent.kill()
    parent.wait()
    assert process.wait(timeout=20) == 0


def test_it_finishes_its_jobs_first_where_it_is_told_to(serve):
    parent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process, ready = serve("--parent-pid", str(parent.pid), "--finish-jobs")
    with Client(ready["endpoint"]) as client:
        job = client.submit(spec("not there"))
        process.stdout.close()  # as those of a Blender that has ended
        process.stderr.close()
        parent.kill()
        parent.wait()
        assert client.wait(job.job_id).state is JobState.FAILED
    assert process.wait(timeout=20) == 0


def test_a_refused_address_is_one_sentence_not_a_traceback(serve):
    process, ready = serve(endpoint="tcp://0.0.0.0:5793")
    _, log = process.communicate(timeout=20)
    assert ready is None and process.returncode == 1
    assert "only listens on this machine" in log and "Traceback" not in log


def test_a_running_backend_is_found_and_forgotten_when_it_ends(serve):
    process, ready = serve()
    assert find_server() == ready["endpoint"]
    process.terminate()
    process.wait(timeout=20)
    assert not discovery.state_file().exists()


def test_a_private_backend_is_not_found(serve):
    serve("--private")
    assert discovery.advertised() is None


def test_what_a_killed_backend_left_is_ignored(serve):
    process, _ = serve()
    process.kill()
    process.wait()
    assert discovery.state_file().exists()
    assert discovery.advertised() is None


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"endpoint": 3, "pid": 1, "protocol": 1}', b"\xff"],
    ids=["empty", "cut", "list", "wrong type", "not text"],
)
def test_a_damaged_state_file_is_ignored(content):
    discovery.state_file().parent.mkdir(parents=True)
    discovery.state_file().write_bytes(content)
    assert discovery.advertised() is None


def test_a_state_file_cannot_send_clients_elsewhere():
    own = os.getpid(), 1, start_time(os.getpid())
    discovery.advertise(RunningServer("tcp://127.0.0.1:5793", *own))
    assert discovery.advertised() is not None
    discovery.advertise(RunningServer("tcp://192.0.2.1:5793", *own))
    assert discovery.advertised() is None


def test_another_process_that_took_the_id_of_a_backend_is_not_taken_for_it():
    discovery.advertise(RunningServer("tcp://127.0.0.1:5793", os.getpid(), 1, start_time(os.getpid()) - 60))
    assert discovery.advertised() is None


def test_a_parent_is_gone_from_its_end_on_though_nobody_has_taken_note():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as parent:
        watch, started = ParentWatch(parent.pid), start_time(parent.pid)
        assert started and not watch.gone() and is_alive(parent.pid, started)
        parent.kill()
        os.waitid(os.P_PID, parent.pid, os.WEXITED | os.WNOWAIT)  # it has ended and stays a zombie
        assert watch.gone() and not is_alive(parent.pid, started) and ParentWatch(parent.pid).gone()
    assert watch.gone() and start_time(parent.pid) == 0.0


@pytest.mark.parametrize("pid", [0x7FFFFFFF, -1, 1 << 80])
def test_an_id_that_no_process_has_is_not_alive(pid):
    assert start_time(pid) == 0.0 and not is_alive(pid, 1e9) and not is_alive(pid, 0.0)
    assert ParentWatch(pid).gone()


def test_an_endpoint_nobody_listens_at_is_not_found():
    assert find_server("tcp://127.0.0.1:1") is None
    with pytest.raises(UserError):
        find_server("tcp://192.0.2.1:5793")


def test_a_private_server_serves_and_ends_with_its_block(tmp_path):
    with private_server(tmp_path / "jobs") as endpoint, Client(endpoint) as client:
        pid = client.welcome.pid
        assert client.jobs() == ()
    assert gone(pid)
    with pytest.raises(UserError, match="flowface serve"):
        Client(endpoint)


def test_a_private_server_ends_even_if_its_owner_is_killed(tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\nfrom backend.client.connection import Client\n"
        "from backend.server.discovery import private_server\n"
        "with private_server(Path(sys.argv[1])) as endpoint, Client(endpoint) as client:\n"
        "    print(client.welcome.pid, flush=True)\n    input()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "jobs")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        pid = int(owner.stdout.readline())
        owner.kill()
    assert gone(pid)


def test_a_private_server_that_cannot_start_says_why(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(UserError, match="jobs folder") as caught, private_server(blocked / "jobs"):
        pass
    assert caught.value.code == "backend_start"
