"""The check of everything between Blender and a tracked take, in sentences. Knows nothing of bpy.

The backend's own part (``flowface check``) runs in a process of its own, and whether the address is free is tried in a
thread: nothing here waits.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass
from enum import StrEnum

from .backend_places import HOW_TO_INSTALL, CannotStart, find_launch, installed_by
from .backend_process import environment, options_of_popen

CONNECT_SECONDS = 2.0
_TCP = re.compile(r"tcp://\[?([^\]]+?)\]?:(\d+)")


class Verdict(StrEnum):
    """The outcome of one part of the check, as the backend words it as well."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """One part of the check: a sentence, and what to do about it ("" where nothing is to be done)."""

    verdict: Verdict
    sentence: str
    hint: str = ""


@dataclass(frozen=True)
class Connected:
    """A backend that this Blender is connected to."""

    version: str
    device: str  # "" while it loads
    own: bool  # started by this add-on
    version_warning: str = ""


class Check:
    """One run of the check, started on construction; ``findings`` grows until it is not ``running``."""

    def __init__(self, place: str, device: str, endpoint: str, connected: Connected | None, refused: str = "") -> None:
        """``place`` and ``device`` as the preferences have them; ``refused``: why whoever answers cannot be used."""
        self.findings: list[Finding] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(
            target=self._run, args=(place, device, endpoint, connected, refused), name="FlowFace check", daemon=True
        )
        self._thread.start()

    @property
    def running(self) -> bool:
        """True until all is said."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End it early, and wait for that."""
        if self._process is not None:
            self._process.kill()
        self._thread.join()

    @property
    def summary(self) -> str:
        """One sentence for the whole."""
        if self.running:
            return "Checking…"
        verdicts = {finding.verdict for finding in self.findings}
        if Verdict.BAD in verdicts:
            return "Nothing can be tracked like this:"
        return "All works, with one reserve:" if Verdict.WARNING in verdicts else "All works."

    def _run(self, place: str, device: str, endpoint: str, connected: Connected | None, refused: str) -> None:
        self.findings.append(_address(endpoint, connected, refused))
        if connected is not None and connected.version_warning:
            self.findings.append(Finding(Verdict.WARNING, connected.version_warning))
        try:
            launch = find_launch(place)
        except CannotStart as problem:
            # Whoever is connected needs no backend of their own on this machine.
            self.findings.append(Finding(Verdict.WARNING if connected else Verdict.BAD, str(problem)))
            return
        self.findings.append(Finding(Verdict.GOOD, f"A backend was found at {launch.place}{installed_by(launch)}."))
        command = [*launch.check_command, "--json", "--device", device]
        try:
            self._process = subprocess.Popen(
                command,
                cwd=launch.folder,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                **options_of_popen(sys.platform),
            )
        except OSError as error:
            self.findings.append(
                Finding(Verdict.BAD, f"“{command[0]}” cannot be run: {error.strerror}.", HOW_TO_INSTALL)
            )
            return
        self._read(self._process)

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None and process.stderr is not None
        words: list[bytes] = []
        reader = threading.Thread(target=lambda: words.extend(process.stderr or ()), daemon=True)
        reader.start()
        found = 0
        with process.stdout, process.stderr:
            for line in process.stdout:
                finding = _finding(line)
                if finding is not None:
                    self.findings.append(finding)
                    found += 1
            process.wait()
            reader.join(timeout=1.0)
        if not found:
            self.findings.append(_mute(b"".join(words).decode("utf-8", "replace"), process.returncode))


def _finding(line: bytes) -> Finding | None:
    try:
        data = json.loads(line)
        return Finding(Verdict(data["verdict"]), str(data["sentence"]), str(data["hint"]))
    except (ValueError, KeyError, TypeError):
        return None  # what a library prints


def _mute(words: str, code: int) -> Finding:
    if "No module named backend" in words or "No module named 'backend'" in words:
        return Finding(Verdict.BAD, "The Python that was found does not have the backend.", HOW_TO_INSTALL)
    last = next((line.strip() for line in reversed(words.splitlines()) if line.strip()), "")
    why = f": {last.rstrip('.')}" if last else ""
    sentence = f"The backend that was found could not check itself (exit code {code}){why}."
    return Finding(Verdict.BAD, sentence, "It may be older than the add-on: install the same version of both.")


def _address(endpoint: str, connected: Connected | None, refused: str) -> Finding:
    """What is at the address: a backend, somebody else, or nobody, which is as it should be before the first start."""
    if connected is not None:
        by = "started by this Blender" if connected.own else "started elsewhere"
        where = f"; fits run on {connected.device}" if connected.device else "; it is still loading"
        return Finding(Verdict.GOOD, f"Backend {connected.version}, {by}, answers at {endpoint}{where}.")
    match = _TCP.fullmatch(endpoint)
    if match is None:
        return Finding(
            Verdict.BAD, f"“{endpoint}” is not an address like tcp://127.0.0.1:5793.", "Correct the address."
        )
    if refused:
        return Finding(Verdict.BAD, refused, "Stop it, or choose another port in the address.")
    try:
        socket.create_connection((match[1], int(match[2])), timeout=CONNECT_SECONDS).close()
    except ConnectionRefusedError:
        return Finding(Verdict.GOOD, f"The address {endpoint} is free: a backend can be started there.")
    except OSError as error:
        hint = "A backend on another machine must be running, and its address right."
        return Finding(Verdict.BAD, f"The address {endpoint} cannot be reached: {error.strerror or error}.", hint)
    return Finding(
        Verdict.BAD,
        f"Another program listens at {endpoint} and does not answer as a FlowFace backend would.",
        "Choose another port in the address.",
    )
