"""The Python to set FlowFace up with."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from backend.setting_up.commands import SetupError, output
from backend.setting_up.machines import PYTHONS, Machine, fitting_pythons, python_commands

PROBE = "import sys; print(*sys.version_info[:2], sys.executable)"


def choose_python(machine: Machine) -> tuple[tuple[int, int], str]:
    """Version and path of the best Python on this machine for FlowFace; raises SetupError where none fits."""
    own = (sys.version_info[0], sys.version_info[1])
    for version in fitting_pythons(machine, own):
        found = sys.executable if version == own else find_python(version)
        if found:
            return version, found
    numbers = ", ".join(sorted(f"{major}.{minor}" for major, minor in PYTHONS))
    raise SetupError(
        f"FlowFace runs in Python {numbers}, and this is Python {own[0]}.{own[1]}; install Python 3.11 (it has "
        "Blender 4.5 as a module), then run the same command again."
    )


def find_python(version: tuple[int, int]) -> str | None:
    """Path of a Python of this version: on the search path, or among pyenv's, whose own commands may lead nowhere."""
    commands = [*python_commands(version, sys.platform), *([str(path)] for path in _pyenv_pythons(version))]
    for command in commands:
        words = (output([*command, "-c", PROBE]) or "").split(maxsplit=2)
        if words[:2] == [str(number) for number in version]:
            return words[2]
    return None


def _pyenv_pythons(version: tuple[int, int]) -> list[Path]:
    root = Path(os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv"))  # noqa: PTH111 - home may be unset
    folders = (root / "versions").glob(f"{version[0]}.{version[1]}*")
    name = "python.exe" if sys.platform == "win32" else "bin/python"
    return [folder / name for folder in sorted(folders, reverse=True)]
