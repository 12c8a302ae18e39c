"""A live session's process and the connection to it, as Blender's main thread sees them. Knows nothing of bpy.

Nothing here waits but ``finish``.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import zmq

from .backend_places import Launch
from .backend_process import BackendProcess
from .live_client import Event, LiveClient
from .vendor import codec, keys, live

END_SECONDS = 3.0
"""A session that was asked to end has so long to do it by itself."""
LAST_WORDS_SECONDS = 0.05
PHASES = {
    live.LivePhase.OPENING: "Starting",
    live.LivePhase.CALIBRATING: "Calibrating",
    live.LivePhase.RUNNING: "Live",
    live.LivePhase.RECORDING: "Recording",
    live.LivePhase.WAITING: "Waiting",
    live.LivePhase.ENDED: "Ended",
    live.LivePhase.FAILED: "Failed",
}
OVER = (live.LivePhase.ENDED, live.LivePhase.FAILED)
STARTING = live.LiveState(live.LivePhase.OPENING, "The live session starts.")


@dataclass(frozen=True)
class Source:
    """What drives the head: options of ``flowface live``, its name, whether it gives pictures, and whether the person
    is calibrated."""

    options: tuple[str, ...]
    name: str
    pictures: bool = True
    calibrates: bool = True


class Capture:
    """One live session, started on construction."""

    def __init__(self, launch: Launch, source: Source, log_file: Path | None = None) -> None:
        """Start it; raises CannotStart."""
        self.source = source
        self.state = STARTING
        self.client: LiveClient | None = None
        self.ending = False
        self.over = False
        self._ends_at = float("inf")
        self._stopper: threading.Thread | None = None
        public, secret = (key.decode("ascii") for key in zmq.curve_keypair())
        self._own = keys.KeyPair(public, secret)
        options = [*source.options, "--client-key", keys.public_text(public), "--parent-pid", str(os.getpid())]
        command = Launch(launch.live_command, launch.folder)
        self.process = BackendProcess(command, options, log_file, "The live session", steps_back=True)

    @property
    def recording(self) -> bool:
        """True while the session records."""
        return self.state.phase is live.LivePhase.RECORDING

    @property
    def running(self) -> bool:
        """True where faces are being looked at, as far as there are any."""
        return not self.over and self.state.phase not in (live.LivePhase.OPENING, *OVER)

    def newest(self) -> live.LivePose | None:
        """The newest pose that was not seen yet, None where there is none; never waits."""
        return self.client.newest() if self.client is not None else None

    def events(self) -> list[Event]:
        """What else came since the last call, oldest first; keeps the state up to date, and never waits."""
        if self.client is None:
            self._connect()
        found = self.client.events() if self.client is not None else []
        for event in found:
            if isinstance(event, live.LiveState):
                self.state = event
        return found + self._look_after_process()

    def ask(self, verb: live.LiveVerb) -> None:
        """Ask the session for something."""
        if self.client is not None:
            self.client.send(verb)

    def end(self) -> None:
        """Ask the session to end; it is ended where it does not."""
        if not self.ending:
            self.ending, self._ends_at = True, time.monotonic() + END_SECONDS
            self.ask(live.LiveVerb.END)
            if self.client is None:
                self._ends_at = 0.0

    def finish(self) -> None:
        """End the process and wait for that; the connection is closed."""
        self.over = True
        if self.client is not None:
            self.client.close()
        self.client = None
        if self._stopper is not None:
            self._stopper.join()
        elif self.process.running:
            self.process.stop(patience=1.0)

    def parked(self) -> contextlib.AbstractContextManager[bool]:
        """No thread of the connection touches a Python object meanwhile, where it says True."""
        return contextlib.nullcontext(True) if self.client is None else self.client.parked()

    def _connect(self) -> None:
        for line in list(self.process.log):
            ready = _ready(line)
            if ready is None:
                continue
            with contextlib.suppress(codec.ProtocolError, zmq.ZMQError):
                self.client = LiveClient(ready[0], ready[1], self._own)
            return

    def _look_after_process(self) -> list[Event]:
        """End with the process; returns what had come from it until then, and a recording that it did not end."""
        if self.over:
            return []
        if self.process.running:
            if time.monotonic() > self._ends_at and self._stopper is None:
                self._stopper = threading.Thread(target=self.process.stop, name="FlowFace live stop", daemon=True)
                self._stopper.start()
            return []
        last = self.client.rest() if self.client is not None else []
        told = [event for event in last if isinstance(event, live.LiveState)]
        self.state = told[-1] if told else self.state
        if self.state.phase not in OVER:
            why = "" if self.ending else self.process.why_ended(LAST_WORDS_SECONDS)
            phase = live.LivePhase.FAILED if why else live.LivePhase.ENDED
            self.state = live.LiveState(phase, why or "The live session has ended.", "Start it again." if why else "")
        self.finish()
        return last


def _ready(line: str) -> tuple[str, str] | None:
    """Endpoint and public key that a session's line of JSON tells."""
    if not line.startswith("{"):
        return None
    with contextlib.suppress(ValueError):
        match json.loads(line):
            case {"live": str() as endpoint, "key": str() as key}:
                return endpoint, key
    return None


def options_of_live_link(port: int, *, network: bool, subject: str) -> Sequence[str]:
    """Options with which a session listens to Live Link Face."""
    options = ["--live-link", "--port", str(port)]
    options += ["--bind", "0.0.0.0"] if network else []
    return [*options, *(["--subject", subject] if subject else [])]
