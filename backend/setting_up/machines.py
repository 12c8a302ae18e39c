"""The systems that the packages are pinned for, and what set-up does on each of them: plain functions of a machine."""

from __future__ import annotations

import ntpath
import posixpath
from typing import NamedTuple


class Machine(NamedTuple):
    """A system as Python names it: ``sys.platform``, ``platform.machine()``."""

    system: str
    processor: str


LINUX = Machine("linux", "x86_64")
LINUX_ARM = Machine("linux", "aarch64")
WINDOWS = Machine("win32", "AMD64")
MACOS = Machine("darwin", "arm64")

NAMES = {
    LINUX: "Linux on x86-64",
    LINUX_ARM: "Linux on ARM64",
    WINDOWS: "Windows on x86-64",
    MACOS: "macOS 14 or later on ARM64",
}
"""Every machine that requirements.txt has wheels for; on Linux with glibc 2.28 or later."""

UV_PLATFORMS = {
    LINUX: "x86_64-manylinux_2_28",
    LINUX_ARM: "aarch64-manylinux_2_28",
    WINDOWS: "x86_64-pc-windows-msvc",
    MACOS: "aarch64-apple-darwin",
}
"""uv's names of them."""

OLDEST_MACOS = "14.0"
"""What the wheels of torch and av ask for."""

PYTHONS = ((3, 11), (3, 13), (3, 12))
"""The Pythons that can run FlowFace, the preferred ones first.

3.11 and 3.13 have Blender as a module, 3.12 does not. 3.11's is Blender 4.5, whose files every later Blender opens.
"""

BLENDERS = {(3, 11): "4.5", (3, 13): "5.2"}
"""Python → the Blender that exists for it as a module, on every machine but Linux on ARM64."""


def blender_module(machine: Machine, python: tuple[int, int]) -> str | None:
    """Version of the Blender that set-up installs as a module; None where none is made for this machine and Python."""
    return None if machine == LINUX_ARM else BLENDERS.get(python)


def unsupported(machine: Machine) -> str:
    """A sentence on a machine that nothing is pinned for; "" for the others."""
    if machine in NAMES:
        return ""
    *most, last = NAMES.values()
    return (
        f"requirements.txt pins packages for {', '.join(most)} and {last}, "
        f"and this is {machine.system} on {machine.processor}."
    )


def fitting_pythons(machine: Machine, own: tuple[int, int]) -> list[tuple[int, int]]:
    """Pythons to set FlowFace up with, best first: the one that runs if it has Blender as a module, then by PYTHONS."""
    with_blender = blender_module(machine, own) is not None
    return sorted(PYTHONS, key=lambda python: (not (with_blender and python == own), PYTHONS.index(python)))


def needed_gigabytes(machine: Machine) -> int:
    """Free disk space for a set-up, GB: the installed packages, and their downloads, which pass through a cache."""
    return 12 if machine.system == "linux" else 5


def installed_words(machine: Machine, python: tuple[int, int]) -> str:
    """What set-up installs, for the middle of a sentence."""
    size = "about 7 GB, 3.7 of them to download" if machine.system == "linux" else "about 2 GB, 0.7 of them to download"
    torch = {"linux": "torch with CUDA", "win32": "torch for the CPU"}.get(machine.system, "torch for CPU and Metal")
    blender = blender_module(machine, python)
    return f"{size}: {torch}, {f'Blender {blender} as a module' if blender else 'no Blender'}"


def in_environment(environment: str, program: str, system: str) -> str:
    """Path of a program (``python``, ``uv``, ``flowface``) in the folder of a virtual environment."""
    if system == "win32":
        return ntpath.join(environment, "Scripts", f"{program}.exe")
    return posixpath.join(environment, "bin", program)


def python_commands(version: tuple[int, int], system: str) -> list[list[str]]:
    """Commands that may start a Python of this version."""
    number = f"{version[0]}.{version[1]}"
    named = [[f"python{number}"]]
    return [["py", f"-{number}"], *named] if system == "win32" else named
