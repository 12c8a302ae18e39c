"""Discovery of a backend by a client: the one that runs, or a private one that it starts and stops."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from backend.errors import ErrorCode, UserError
from backend.files import write_atomic
from backend.server.endpoint import DEFAULT_ENDPOINT, loopback_endpoint
from backend.server.process import ending_signal, is_alive, own_group
from protocol.places import state_folder

START_TIMEOUT = 60.0  # seconds; on a cold disk Python alone can need ten


@dataclass(frozen=True)
class RunningServer:
    """A backend's description of itself when it is ready, as one JSON line and in the state file.

    ``started`` is when its process began (``process.start_time``): its id may be another's after its end.
    """

    endpoint: str
    pid: int
    protocol: int
    started: float


def default_jobs_dir() -> Path:
    """The folder of jobs unless ``--jobs-dir`` says otherwise."""
    return platformdirs.user_data_path("flowface", appauthor=False) / "jobs"


def state_file() -> Path:
    """The file in which the running backend leaves its endpoint."""
    return state_folder() / "server.json"


def advertise(server: RunningServer) -> None:
    """Leave the endpoint where clients look. Without a place for it the default endpoint still works."""
    path = state_file()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(path, json.dumps(server.__dict__).encode())


def withdraw(server: RunningServer) -> None:
    """Remove what ``advertise`` left, unless a later backend has replaced it."""
    if advertised() == server:
        with contextlib.suppress(OSError):
            state_file().unlink()


def advertised() -> RunningServer | None:
    """The backend that the state file names, where its process is alive and its address is of this machine."""
    try:
        server = parse_ready_line(state_file().read_text(encoding="utf-8"))
        loopback_endpoint(server.endpoint)
    except (OSError, ValueError, UserError):
        return None
    return server if is_alive(server.pid, server.started) else None


def parse_ready_line(line: str) -> RunningServer:
    """The server that a ready line or a state file describes; raises ValueError for anything else."""
    data = json.loads(line)
    match data:
        case {
            "endpoint": str() as endpoint,
            "pid": int() as pid,
            "protocol": int() as protocol,
            "started": float() as at,
        }:
            return RunningServer(endpoint, pid, protocol, at)
    raise ValueError("not a ready line")


def is_listening(endpoint: str) -> bool:
    """True where anything accepts connections: a refusal comes at once, while a hello would wait in vain."""
    match = re.fullmatch(r"tcp://\[?([^\]]+?)\]?:(\d+)", endpoint)
    if not match:
        return False
    try:
        with socket.create_connection((match[1], int(match[2])), timeout=1.0):
            return True
    except OSError:
        return False


def find_server(endpoint: str | None = None) -> str | None:
    """The endpoint of a backend that listens: the one asked for, else the advertised one, else the default; or None."""
    if endpoint is not None:
        asked = loopback_endpoint(endpoint)
        return asked if is_listening(asked) else None
    running = advertised()
    candidates = ([running.endpoint] if running else []) + [DEFAULT_ENDPOINT]
    return next((candidate for candidate in candidates if is_listening(candidate)), None)


@contextlib.contextmanager
def private_server(jobs_dir: Path | None = None, *arguments: str) -> Iterator[str]:
    """A backend of one's own on a free port, as its endpoint; it ends with the block, or with this process.

    Its log is kept and shown only where it does not start. ``arguments`` are further options of ``flowface serve``.

    Raises:
        UserError: ``backend_start``.
    """
    command = [sys.executable, "-m", "backend.server", "--endpoint", "tcp://127.0.0.1:*", "--private"]
    command += ["--parent-pid", str(os.getpid()), *arguments]
    if jobs_dir is not None:
        command += ["--jobs-dir", str(jobs_dir)]
    # Its own group: Ctrl-C in the terminal must reach the client, which cancels its job and then stops the backend.
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **own_group(sys.platform),
    )
    log: list[bytes] = []
    reader = threading.Thread(target=_collect, args=(process, log), daemon=True)
    reader.start()
    try:
        yield _wait_for_ready(process, log).endpoint
    finally:
        _stop(process)
        reader.join(timeout=1)
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()


def _collect(process: subprocess.Popen[bytes], log: list[bytes]) -> None:
    assert process.stderr
    for line in process.stderr:
        log.append(line)
        del log[:-200]


def _wait_for_ready(process: subprocess.Popen[bytes], log: list[bytes]) -> RunningServer:
    found: list[str] = []
    assert process.stdout
    stdout = process.stdout
    waiter = threading.Thread(target=lambda: found.append(stdout.readline().decode("utf-8", "replace")), daemon=True)
    waiter.start()
    waiter.join(START_TIMEOUT)
    try:
        return parse_ready_line(found[0] if found else "")
    except ValueError:
        process.kill()
        process.wait()
        time.sleep(0.1)  # the last words of its log
        last = b"".join(log).decode("utf-8", "replace").strip().splitlines()
        why = f": {last[-1]}" if last else "."
        raise UserError(
            ErrorCode.BACKEND_START, f"The backend did not start{why}", "Run “flowface serve” to see why."
        ) from None


def _stop(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):  # Windows: without a console there is no such signal
        process.send_signal(ending_signal(sys.platform))
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
