"""Discovery of the backend that runs by its clients; without one a client starts a private one (``private``)."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from pathlib import Path

import platformdirs

from backend.errors import UserError
from backend.files import write_atomic
from backend.server.endpoint import DEFAULT_ENDPOINT, loopback_endpoint
from backend.server.private import private_server as private_server
from backend.server.process import is_alive
from backend.server.ready import RunningServer as RunningServer
from backend.server.ready import parse_ready_line
from protocol.places import state_folder


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
