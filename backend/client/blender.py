"""The Blender that writes scenes: the module of this Python, else one that is installed on this computer."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

OLDEST = (4, 2)
SECONDS = 30.0  # for an answer to --version, on a cold disk

PROGRAM = "FLOWFACE_BLENDER"
"""Environment variable with the path of the Blender to use."""


@dataclass(frozen=True)
class Blender:
    """``program`` is the path of an installed Blender, None for the module ``bpy`` of this Python."""

    program: Path | None


def find_blender() -> Blender | None:
    """The Blender to write scenes with; None where there is none from 4.2 on."""
    if importlib.util.find_spec("bpy") is not None:
        return Blender(None)
    for program in _programs():
        version = _version(program)
        if version is not None and version >= OLDEST:
            return Blender(program)
    return None


def usual_places(system: str, environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """Folders, and patterns in them, where Blender's installers put the program on ``system`` (``sys.platform``)."""
    home = environment.get("HOME", "")
    if system == "win32":
        programs = [environment.get(name, "") for name in ("ProgramFiles", "ProgramW6432")]
        steam = environment.get("ProgramFiles(x86)", "")
        found = [
            (f"{folder}\\Blender Foundation", "Blender */blender.exe") for folder in dict.fromkeys(programs) if folder
        ]
        return [*found, *([(f"{steam}\\Steam\\steamapps\\common\\Blender", "blender.exe")] if steam else [])]
    if system == "darwin":
        folders = ["/Applications", *([f"{home}/Applications"] if home else [])]
        return [(folder, "Blender*.app/Contents/MacOS/Blender") for folder in folders]
    folders = ["/opt", *([home, f"{home}/.local/share", f"{home}/Applications"] if home else [])]
    return [("/snap/bin", "blender"), *((folder, "blender-*/blender") for folder in folders)]


def _programs() -> list[Path]:
    named = os.environ.get(PROGRAM)
    if named:
        return [Path(named)]
    on_path = shutil.which("blender")
    found = [Path(on_path)] if on_path else []
    for folder, pattern in usual_places(sys.platform, os.environ):
        found += sorted(Path(folder).glob(pattern), key=lambda path: _numbers(str(path)), reverse=True)
    return found


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def _version(program: Path) -> tuple[int, int] | None:
    try:
        done = subprocess.run(
            [str(program), "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"^Blender (\d+)\.(\d+)", done.stdout.decode("utf-8", "replace"), re.MULTILINE)
    return (int(found[1]), int(found[2])) if found else None
