"""The add-on's own backend: starts it, keeps its log, and says in words why it will not start.

Knows nothing of bpy, so that it runs and is tested in plain Python. Nothing here waits for the process except ``stop``.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from .backend_places import HOW_TO_INSTALL, CannotStart, Launch

LOG_LINES = 500
MAX_LOG_BYTES = 8 << 20
LOG_PREFIX = re.compile(r"^\d{4}-\d\d-\d\d [\d:,]+ [A-Z]+ ")
_NEWS = re.compile(r"^\d{4}-\d\d-\d\d [\d:,]+ INFO ")
"""Begins lines of what went as it should, which explain no end."""
_LOG_TIME = re.compile(r"^\d{4}-\d\d-\d\d [\d:,]+ (INFO )?")


class BackendProcess:
    """One run of a backend, started on construction."""

    def __init__(
        self,
        launch: Launch,
        options: Sequence[str],
        log_file: Path | None = None,
        what: str = "The backend",
        *,
        steps_back: bool = False,
    ) -> None:
        """Start it; ``what`` it is called where it ends unasked. One that ``steps_back`` leaves a processor that
        Blender wants to Blender.

        Raises:
            CannotStart: the command cannot be run.
        """
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self.log_file = log_file
        self._stopping, self._what = False, what
        try:
            self._process = subprocess.Popen(
                [*launch.command, *options],
                cwd=launch.folder,
                env={**(SLEEPING if steps_back else {}), **environment()},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                **options_of_popen(sys.platform, steps_back=steps_back),
            )
        except OSError as error:
            raise CannotStart(f"“{launch.command[0]}” cannot be run: {error.strerror}. {HOW_TO_INSTALL}") from error
        if steps_back:
            _step_back(self._process.pid)
        assert self._process.stdout is not None
        self._reader = threading.Thread(
            target=self._collect, args=(self._process.stdout,), name="FlowFace backend log", daemon=True
        )
        self._reader.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """True while it runs."""
        return self._process.poll() is None

    @property
    def silent(self) -> bool:
        """True where all that it ever said is in the log."""
        return not self._reader.is_alive()

    @property
    def was_stopped(self) -> bool:
        """True where it has ended because somebody asked it to."""
        return self._stopping or self._process.poll() == 0

    def why_ended(self, patience: float = 0.2) -> str:
        """One sentence about an end that nobody asked for, "" while it runs or where it was stopped.

        Waits ``patience`` seconds at most for its last words.
        """
        code = self._process.poll()
        if code is None or self._stopping:
            return ""
        self._reader.join(timeout=patience)
        return _explain(code, list(self.log), self._what)

    def stop(self, patience: float = 5.0) -> None:
        """End it: kindly at first, after ``patience`` seconds for good. Waits for the end."""
        self._stopping = True
        if self.running:
            self._process.terminate()
            try:
                self._process.wait(patience)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join(timeout=1.0)

    def _collect(self, stream: IO[bytes]) -> None:
        written = 0
        file = _open_log(self.log_file)
        try:
            for raw in stream:
                self.log.append(raw.decode("utf-8", "replace").rstrip())
                if file is not None and written < MAX_LOG_BYTES:
                    file.write(raw)
                    file.flush()
                    written += len(raw)
        finally:
            stream.close()
            if file is not None:
                file.close()


def short_lines(log: Sequence[str]) -> list[str]:
    """A log's lines for a reader with little room: no dates, no INFO, nothing that is meant for programs."""
    return [_LOG_TIME.sub("", line) for line in log if line.strip() and not line.startswith("{")]


def _open_log(path: Path | None) -> IO[bytes] | None:
    if path is None:
        return None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):  # the last run's, which may have ended for a reason that only it tells
            path.replace(path.with_suffix(f".previous{path.suffix}"))
        return path.open("wb")
    except OSError:
        return None  # a log in memory is enough to work with


BELOW_NORMAL_PRIORITY_CLASS = 0x4000  # as in ``subprocess``, which knows it on Windows only
NICENESS = 5
"""A quarter of a processor where Blender wants all of it (Linux: 335 parts beside 1,024), all of one that is free."""
SLEEPING = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}
"""Of a process that steps back, where the user's own does not say otherwise: threads that wait for each other by
spinning take a second processor for nothing."""


def options_of_popen(system: str, *, steps_back: bool = False) -> dict[str, Any]:
    """Options of ``Popen`` that keep a terminal's Ctrl-C from a child, and open no window on Windows."""
    if system == "win32":
        below = BELOW_NORMAL_PRIORITY_CLASS if steps_back else 0
        return {"creationflags": getattr(subprocess, "CREATE_NO_WINDOW", 0) | below}
    return {"start_new_session": True}


def _step_back(pid: int) -> None:
    """Have a process that has only just begun, and threads that it will have, come second; where the system will not,
    it goes on as it is."""
    if sys.platform == "win32":
        return  # it began so
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS)
    # Linux shares the processors between sessions first (sched(7), autogroups), and niceness counts within one only
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(NICENESS))


def environment() -> dict[str, str]:
    """This process's environment without what makes Blender's Python Blender's, and with UTF-8 everywhere."""
    hidden = {"PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "__PYVENV_LAUNCHER__"}
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return kept | {"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}


KILLED = 9
CRASHES = {4: "SIGILL", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 11: "SIGSEGV"}


def _how_ended(code: int) -> str:
    if code == -KILLED:
        return f"was killed (signal {KILLED}), as systems do where memory runs out"
    if -code in CRASHES:
        return f"crashed ({CRASHES[-code]})"
    if code < 0:
        return f"was ended by signal {-code}"
    if code >= 1 << 31:  # Windows' own codes, such as an access violation
        return f"was ended by Windows (0x{code:08X})"
    return f"ended with exit code {code}"


def _explain(code: int, log: Sequence[str], what: str) -> str:
    text = "\n".join(log[-40:])
    if "No module named backend" in text or "No module named 'backend'" in text:
        return f"The Python that was asked to start the backend does not have it. {HOW_TO_INSTALL}"
    if code == 0:
        return f"{what} was stopped by another program."
    how = _how_ended(code)
    if code < 0:
        return f"{what} {how}."
    last = next((line for line in reversed(log) if line.strip() and not line.startswith("{")), "")
    last = LOG_PREFIX.sub("", last) if not _NEWS.match(last) else ""
    return f"{what} {how}: {last}" if last else f"{what} {how} and left no message."
