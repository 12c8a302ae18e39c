"""Running other programs during set-up, and speaking to whoever runs it."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

from backend.setting_up.machines import Machine, in_environment

ROOT = Path(__file__).resolve().parent.parent.parent


class SetupError(Exception):
    """Set-up cannot go on; the text is a sentence for whoever runs it."""


def say(text: str) -> None:
    """Print a line, in ASCII where the console knows no more."""
    line = f"flowface: {text}"
    try:
        print(line, flush=True)
    except UnicodeEncodeError:
        print(line.encode("ascii", "replace").decode(), flush=True)


def this_machine() -> Machine:
    """The machine that this runs on."""
    return Machine(sys.platform, platform.machine())


def program_in(environment: Path, program: str) -> str:
    """Path of a program in a virtual environment on this system."""
    return in_environment(str(environment), program, sys.platform)


def run(command: list[str], environment: dict[str, str] | None = None, folder: Path | None = ROOT) -> int:
    """Run a command with its output shown (in the caller's folder for ``folder=None``); its exit status."""
    try:
        return subprocess.call(command, cwd=folder, env=environment)
    except OSError as error:
        raise SetupError(f"{command[0]} could not be started: {error.strerror}.") from error


def output(command: list[str]) -> str | None:
    """What a command prints; None where it does not start or does not end well."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError:
        return None
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else None
