"""Where FlowFace's backend may be installed on each system, and how it is started there.

Knows nothing of bpy, so that it is tested in plain Python.
"""

from __future__ import annotations

import importlib.util
import ntpath
import os
import posixpath
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SERVER_MODULE = "backend.server"
ENTRY_MODULE = "backend.entry"
HOW_TO_INSTALL = (
    "Install it (“uv tool install” or “pipx install” with FlowFace's wheel, or set up a checkout), or name its folder "
    "in the add-on's preferences."
)


class CannotStart(Exception):  # noqa: N818 - its text is a sentence for the user
    """The reason for which no backend was started."""


@dataclass(frozen=True)
class Launch:
    """The way to start a backend: the command before its options, and the folder to start it in."""

    command: tuple[str, ...]
    folder: Path | None = None

    @property
    def check_command(self) -> tuple[str, ...]:
        """The command that checks this backend."""
        return (*self.command[:-1], "check") if self.command[-1] == "serve" else (*self.command, "check")

    @property
    def live_command(self) -> tuple[str, ...]:
        """The command that starts a live session of this backend."""
        return self._entry("live")

    @property
    def driver_command(self) -> tuple[str, ...]:
        """The command that learns a person's driver."""
        return self._entry("driver", "train")

    def _entry(self, *words: str) -> tuple[str, ...]:
        own = () if self.command[-1] == "serve" else (ENTRY_MODULE,)
        return (*self.command[:-1], *own, *words)

    @property
    def place(self) -> str:
        """The checkout, or the program, that was found."""
        return str(self.folder or self.command[0])


def find_launch(environment: str) -> Launch:
    """Find the backend: in ``environment`` (a virtual environment, its Python, or a checkout), else the usual places.

    The usual places are the checkout that this add-on lies in, this very Python, ``flowface`` on the search path, and
    the folders of ``usual_programs``: a Blender that was started from a dock or a menu has a bare search path.

    Raises:
        CannotStart: nothing was found; says where it was looked for.
    """
    if environment:
        launch = _in_environment(Path(environment).expanduser())
        if launch is None:
            raise CannotStart(f"There is no Python in “{environment}”. {HOW_TO_INSTALL}")
        return launch
    checkout = _in_environment(Path(__file__).resolve().parent.parent)
    if checkout:
        return checkout
    if importlib.util.find_spec("backend") is not None:
        return Launch((sys.executable, "-m", SERVER_MODULE))
    on_path = shutil.which("flowface")
    for program in [*([on_path] if on_path else []), *usual_programs(sys.platform, os.environ)]:
        if os.path.isfile(program):  # noqa: PTH113 - one of another system's paths is none
            return Launch((program, "serve"))
    raise CannotStart(f"FlowFace's backend was not found on this computer. {HOW_TO_INSTALL}")


def installed_by(launch: Launch) -> str:
    """Such as ", installed with uv": what installed a program that was found; "" where nobody can tell."""
    parts = {part.lower() for part in Path(launch.command[0]).resolve().parts}
    if launch.command[-1] != "serve":
        return ""
    if "pipx" in parts:
        return ", installed with pipx"
    return ", installed with uv" if "uv" in parts else ""


def usual_programs(system: str, environment: Mapping[str, str]) -> list[str]:
    """Paths at which uv, pipx and pip leave the program on ``system`` (``sys.platform``), likeliest first."""
    windows = system == "win32"
    paths = ntpath if windows else posixpath
    home = environment.get("USERPROFILE" if windows else "HOME", "")
    folders = [environment.get(name, "") for name in ("UV_TOOL_BIN_DIR", "PIPX_BIN_DIR", "XDG_BIN_HOME")]
    data = environment.get("XDG_DATA_HOME", "")
    folders.append(paths.join(paths.dirname(data), "bin") if data else "")
    if home:
        folders.append(paths.join(home, ".local", "bin"))
    versions = ("3.13", "3.12", "3.11")
    if windows and environment.get("APPDATA"):
        pips = (f"Python{version.replace('.', '')}" for version in versions)
        folders += [paths.join(environment["APPDATA"], "Python", pip, "Scripts") for pip in pips]
    if system == "darwin":
        folders += [paths.join(home, "Library", "Python", version, "bin") for version in versions if home]
        folders.append("/opt/homebrew/bin")
    if not windows:
        folders.append("/usr/local/bin")
    folders += _tool_folders(windows, paths, home, data, environment)
    program = "flowface.exe" if windows else "flowface"
    return [paths.join(folder, program) for folder in dict.fromkeys(folders) if folder]


def _tool_folders(windows: bool, paths: Any, home: str, data: str, environment: Mapping[str, str]) -> list[str]:
    """Folders within uv's and pipx's own environments of FlowFace, for where their links lie in no usual place."""
    data = data or (
        environment.get("APPDATA", "") if windows else (paths.join(home, ".local", "share") if home else "")
    )
    uv, pipx = environment.get("UV_TOOL_DIR", ""), environment.get("PIPX_HOME", "")
    uv = uv or (paths.join(data, "uv", *(["data"] if windows else []), "tools") if data else "")
    homes = [pipx] if pipx else [paths.join(data, "pipx")] * bool(data and not windows)
    homes += [paths.join(home, *parts) for parts in (("pipx",), (".local", "pipx")) if home and not pipx]
    tools = [uv] * bool(uv) + [paths.join(folder, "venvs") for folder in homes]
    return [paths.join(tool, "flowface", "Scripts" if windows else "bin") for tool in tools]


def _in_environment(path: Path) -> Launch | None:
    if path.is_file():
        serves = path.stem.lower() == "flowface"
        return Launch((str(path), "serve") if serves else (str(path), "-m", SERVER_MODULE))
    for base in (path, path / ".venv"):
        for python in (base / "bin" / "python", base / "Scripts" / "python.exe"):
            if python.is_file():
                folder = path if (path / "backend" / "server").is_dir() else None
                return Launch((str(python), "-m", SERVER_MODULE), folder)
    programs = (path / name for name in ("flowface", "flowface.exe"))
    return next((Launch((str(program), "serve")) for program in programs if program.is_file()), None)


def describe(environment: str) -> str:
    """The backend that would be started, as a sentence for the preferences."""
    try:
        launch = find_launch(environment)
        return f"Found: {launch.place}{installed_by(launch)}"
    except CannotStart as problem:
        return str(problem)
