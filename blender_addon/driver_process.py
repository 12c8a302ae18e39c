"""A person's driver being learnt: ``flowface driver train`` as a process of its own. Knows nothing of bpy.

Nothing here waits but ``finish``.
"""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

from .backend_places import Launch
from .backend_process import BackendProcess

_PROGRESS = re.compile(r"^(?P<stage>[a-z ]+): (?P<done>\d+) of (?P<total>\d+)$")
_RATIO = re.compile(r"the fit [\d.]+ % \((?P<ratio>[\d.]+) times\)")
STAGES = {"driving": "Measuring"}
"""What the command line says of a stage, in the panel's words where they differ."""
LAST_WORDS_SECONDS = 0.5


class Learning:
    """One driver on its way, started on construction. An interrupted one goes on where the same take is learnt."""

    def __init__(self, launch: Launch, take: Path, face: int, out: Path, log_file: Path | None = None) -> None:
        """Learn from the head ``face``, counted from 1, of a job's folder ``take``; raises CannotStart."""
        self.out = out
        self.stage, self.fraction = "Starting", 0.0
        self.over = self.cancelled = False
        self.failure = ""
        self.ratio: float | None = None
        """How far the driver's points lie from those seen, beside the fit's, on what was held out; None if unknown."""
        self._stopper: threading.Thread | None = None
        options = [str(take), "--out", str(out), "--face", str(face), "--parent-pid", str(os.getpid())]
        command = Launch(launch.driver_command, launch.folder)
        self._process = BackendProcess(command, options, log_file, "Learning the driver")

    def step(self) -> bool:
        """Look at what it says; True where that is news."""
        if self.over:
            return False
        before = (self.stage, self.fraction)
        found = next((told for line in reversed(list(self._process.log)) if (told := _PROGRESS.match(line))), None)
        if found is not None and not self.cancelled:
            self.stage = STAGES.get(found["stage"], found["stage"].capitalize())
            self.fraction = min(1.0, int(found["done"]) / max(1, int(found["total"])))
        if not self._process.running and self._process.silent:
            self.over = True
            self._conclude()
        return self.over or before != (self.stage, self.fraction)

    def cancel(self) -> None:
        """Ask it to end; what it has looked at is kept by the backend for the next time."""
        if not self.cancelled and not self.over:
            self.cancelled, self.stage = True, "Cancelling"
            self._stopper = threading.Thread(target=self._process.stop, name="FlowFace driver stop", daemon=True)
            self._stopper.start()

    def finish(self) -> None:
        """End it, and wait for that."""
        self.cancel()
        self.over = True
        if self._stopper is not None:
            self._stopper.join()

    def _conclude(self) -> None:
        log = list(self._process.log)
        told = _RATIO.search(" ".join(log))
        self.ratio = float(told["ratio"]) if told else None
        if self.cancelled:
            return
        ended = "" if self._process.was_stopped else self._process.why_ended(LAST_WORDS_SECONDS)
        self.failure = _sentence(log) or ended
        if not self.failure and not self.out.is_file():
            self.failure = f"No driver was written at {self.out}."


def _sentence(log: list[str]) -> str:
    """What the command line says of a mistake: its sentence and hint, "" where there is none."""
    at = next((index for index, line in enumerate(log) if line.startswith("flowface: ")), None)
    return "" if at is None else " ".join(line.strip() for line in log[at:]).removeprefix("flowface: ")
