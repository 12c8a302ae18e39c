"""The systems that the packages are pinned for, and what set-up does on each of them: plain functions of a machine."""

from __future__ import annotations

import ntpath
import posixpath
from typing import Dict, List, NamedTuple, Optional, Tuple

Version = Tuple[int, int]


class Machine(NamedTuple):
    """A system as Python names it: ``sys.platform``, ``platform.machine()``."""

    system: str
    processor: str


LINUX = Machine("linux", "x86_64")
LINUX_ARM = Machine("linux", "aarch64")
WINDOWS = Machine("win32", "AMD64")
MACOS = Machine("darwin", "arm64")

NAMES: Dict[Machine, str] = {
    LINUX: "Linux on x86-64",
    LINUX_ARM: "Linux on ARM64",
    WINDOWS: "Windows on x86-64",
    MACOS: "macOS 14 on ARM64",
}
"""Every machine that requirements.txt has wheels for."""

UV_PLATFORMS: Dict[Machine, str] = {
    LINUX: "x86_64-manylinux_2_28",
    LINUX_ARM: "aarch64-manylinux_2_28",
    WINDOWS: "x86_64-pc-windows-msvc",
    MACOS: "aarch64-apple-darwin",
}
"""uv's names of them."""

OLDEST_MACOS = "14.0"
"""What the wheels of torch and av ask for."""

PYTHONS: Tuple[Version, ...] = ((3, 11), (3, 13), (3, 12))
"""The Pythons that can run FlowFace, the preferred ones first.

3.11 and 3.13 have Blender as a module, 3.12 does not. 3.11's is Blender 4.5, whose files every later Blender opens.
"""

BLENDERS: Dict[Version, str] = {(3, 11): "4.5", (3, 13): "5.2"}
"""Python → the Blender that exists for it as a module, on every machine but Linux on ARM64."""


def blender_module(machine: Machine, python: Version) -> Optional[str]:
    """Version of the Blender that set-up installs as a module; None where none is made for this machine and Python."""
    return None if machine == LINUX_ARM else BLENDERS.get(python)


def needed_bytes(machine: Machine) -> int:
    """Free disk space for a set-up: the installed packages and the downloads, which pass through a cache."""
    return (12 if machine.system == "linux" else 5) * 10**9


def installed_words(machine: Machine) -> str:
    """What set-up installs, for a sentence."""
    if machine.system == "linux":
        return "about 7 GB with CUDA"
    return "about 2 GB, for the CPU" if machine.system == "win32" else "about 2 GB"


def in_environment(environment: str, program: str, system: str) -> str:
    """Path of a program (``python``, ``uv``, ``flowface``) in the folder of a virtual environment."""
    if system == "win32":
        return ntpath.join(environment, "Scripts", program + ".exe")
    return posixpath.join(environment, "bin", program)


def python_commands(version: Version, system: str) -> List[List[str]]:
    """Commands that may start a Python of this version."""
    number = "{}.{}".format(*version)
    if system == "win32":
        return [["py", "-" + number], ["python" + number]]
    return [["python" + number]]
