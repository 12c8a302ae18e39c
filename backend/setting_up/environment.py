"""A virtual environment that holds exactly what requirements.txt pins, and this checkout as an editable package."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
from pathlib import Path
from typing import NamedTuple

from backend.setting_up.commands import ROOT, SetupError, output, program_in, run, say, this_machine
from backend.setting_up.machines import NAMES, blender_module, installed_words, needed_gigabytes
from backend.setting_up.system_libraries import apt_install

REQUIREMENTS = ROOT / "requirements.txt"
UV_REQUIREMENTS = ROOT / "requirements-uv.txt"


class Environment(NamedTuple):
    """A virtual environment to be: its folder, and version and path of the Python that it is made from."""

    folder: Path
    version: tuple[int, int]
    python: str

    def program(self, name: str) -> str:
        """Path of a program in it."""
        return program_in(self.folder, name)

    @property
    def stamp(self) -> Path:
        """The file that says what it was finished from."""
        return self.folder / "flowface-setup.txt"


def wanted_stamp(environment: Environment) -> str:
    """Record of what a finished environment was made from: pins, project settings, version, place and interpreter."""
    digest = hashlib.sha256()
    version = ROOT / "backend" / "__init__.py"
    for path in (UV_REQUIREMENTS, REQUIREMENTS, ROOT / "pyproject.toml", version):
        digest.update(path.read_bytes())
    return f"{digest.hexdigest()}\n{ROOT}\n{os.path.realpath(environment.python)}\n"


def is_ready(environment: Environment) -> bool:
    """Whether it is finished and still what is wanted."""
    try:
        finished = environment.stamp.read_text(encoding="utf-8") == wanted_stamp(environment)
    except OSError:
        return False
    return finished and Path(environment.program("python")).exists()


def make_venv(environment: Environment) -> None:
    """Have a virtual environment with pip; one that does not work (interrupted, moved, other Python) is made anew."""
    folder, version = environment.folder, environment.version
    probe = f"import pip, sys; sys.exit(sys.version_info[:2] != {version} or sys.prefix != {str(folder)!r})"
    if output([environment.program("python"), "-c", probe]) is not None:
        return
    say(f"{'repairing' if folder.exists() else 'making'} the virtual environment {folder}")
    if output([environment.python, "-c", "import ensurepip, venv"]) is None:
        reason = "This Python cannot make virtual environments"
        if not sys.platform.startswith("linux"):
            raise SetupError(f"{reason}; install one from python.org, then run the same command again.")
        apt_install([f"python{version[0]}.{version[1]}-venv"], reason)
    if run([environment.python, "-m", "venv", "--clear", str(folder)]) != 0:
        raise SetupError(f"The virtual environment {folder} could not be made; Python's own words are above.")


def uv_settings(environment: Environment) -> dict[str, str]:
    """Environment variables for uv: the machine's own, plus what pip was told here and uv was not."""
    settings = dict(os.environ)
    settings["VIRTUAL_ENV"] = str(environment.folder)
    if not any(settings.get(name) for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX")):
        index = pip_setting(environment, "index-url")
        if index:
            settings["UV_DEFAULT_INDEX"] = index
    if not settings.get("SSL_CERT_FILE"):
        certificates = pip_setting(environment, "cert")
        if certificates:
            settings["SSL_CERT_FILE"] = certificates
        elif not sys.platform.startswith("linux") or Path("/etc/ssl/certs/ca-certificates.crt").exists():
            settings.setdefault("UV_SYSTEM_CERTS", "true")
    return settings


def pip_setting(environment: Environment, name: str) -> str:
    """A setting of this machine's pip from the environment or its configuration files; empty where unset."""
    value = os.environ.get("PIP_" + name.upper().replace("-", "_"), "")
    return value or output([environment.program("python"), "-m", "pip", "config", "get", f"global.{name}"]) or ""


def install_uv(environment: Environment) -> str:
    """Path of the pinned uv, installed into the environment with the environment's pip."""
    command = [environment.program("python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    if run([*command, "--require-hashes", "--no-deps", "-r", str(UV_REQUIREMENTS)]) != 0:
        raise SetupError(
            "pip could not install uv; its own words are above. Check the network connection and this machine's pip "
            "settings (proxy, index, certificates), then run the same command again."
        )
    return environment.program("uv")


def ensure_environment(environment: Environment) -> None:
    """Have the environment; says what it takes before it begins."""
    if is_ready(environment):
        return
    machine = this_machine()
    free = shutil.disk_usage(str(ROOT)).free
    if not environment.folder.exists() and free < needed_gigabytes(machine) * 10**9:
        raise SetupError(
            f"Set-up needs about {needed_gigabytes(machine)} GB of free disk space at {ROOT}, "
            f"and {free / 1e9:.1f} GB are free."
        )
    start = time.monotonic()
    number = f"{environment.version[0]}.{environment.version[1]}"
    say(f"setting up for {NAMES[machine]} with Python {number}; {installed_words(machine, environment.version)}")
    if blender_module(machine, environment.version) is None:
        say("scenes are written by an installed Blender 4.2 or later then, or left out with --no-blend")
    make_venv(environment)
    if environment.stamp.exists():
        environment.stamp.unlink()
    uv = install_uv(environment)
    settings = uv_settings(environment)
    say("installing the pinned packages (minutes on a slow line)")
    pinned = [uv, "pip", "install", "--require-hashes", "--no-deps", "-r", str(REQUIREMENTS)]
    project = [uv, "pip", "install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
    if run(pinned, settings) != 0 or run(project, settings) != 0:
        raise SetupError(
            "The pinned packages could not be installed; uv's own words are above. Check the network connection, free "
            "disk space and this machine's pip or uv settings, then run the same command again: it keeps what it has."
        )
    environment.stamp.write_text(wanted_stamp(environment), encoding="utf-8")
    say(f"set up in {time.monotonic() - start:.0f} s")
