"""What a backend says of itself when it is ready: one JSON line, which it also leaves in the state file."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class RunningServer:
    """A backend's description of itself when it is ready, as one JSON line and in the state file.

    ``started`` is when its process began (``process.start_time``): its id may be another's after its end.
    """

    endpoint: str
    pid: int
    protocol: int
    started: float


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
