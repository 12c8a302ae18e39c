"""The shared libraries that wheels load from the system. Only Linux can lack them."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

from backend.setting_up.commands import SetupError, say

# What the wheels of bpy, opencv and moderngl load from the system: shared library -> Debian package.
SYSTEM_LIBRARIES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libX11.so.6": "libx11-6",
    "libXext.so.6": "libxext6",
    "libXrender.so.1": "libxrender1",
    "libXfixes.so.3": "libxfixes3",
    "libXi.so.6": "libxi6",
    "libXt.so.6": "libxt6",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
}
MESA_DRIVERS = ("lib/*/dri/*_dri.so", "lib*/dri/*_dri.so", "lib/*/libgallium*.so")
MESA_PACKAGE = "libgl1-mesa-dri"


def missing_system_packages() -> list[str]:
    """Debian names of the system libraries that the dynamic linker cannot load."""
    missing = []
    for library, package in SYSTEM_LIBRARIES.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            missing.append(package)
    if not any(path for pattern in MESA_DRIVERS for path in Path("/usr").glob(pattern)):
        missing.append(MESA_PACKAGE)
    return missing


def apt_install(packages: list[str], reason: str) -> None:
    """Install Debian packages as root, or say which ones are needed."""
    names = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise SetupError(f"{reason}; install what Debian calls {names}, then run the same command again.")
    if os.geteuid() != 0:
        raise SetupError(f"{reason}; run `sudo apt-get install {names}`, then the same command again.")
    say(f"installing system packages: {names}")
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    for command in (["apt-get", "update", "-q"], install):
        result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if result.returncode != 0:
            sys.stdout.write(result.stdout.decode(errors="replace"))
            raise SetupError(f"{reason}, and apt-get could not install {names}; its own words are above.")


def ensure_system_libraries() -> None:
    """Have the shared libraries that Blender, OpenCV and headless OpenGL load."""
    if not sys.platform.startswith("linux"):
        return
    missing = missing_system_packages()
    if missing:
        apt_install(missing, "System libraries that Blender and OpenGL load are missing")
        still = missing_system_packages()
        if still:
            raise SetupError(f"After installing, these system libraries still cannot be loaded: {', '.join(still)}.")
