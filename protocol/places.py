"""The folder in which a backend leaves what its user's clients look for: where it listens, and the keys.

The same on both sides without a package that only one of them has; on each system it is what platformdirs calls the
user's state folder.
"""

from __future__ import annotations

import ntpath
import os
import posixpath
import sys
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "FLOWFACE_STATE_DIR"
"""Moves the folder."""


def state_folder() -> Path:
    """The folder of whoever runs this, on this system."""
    return Path(state_folder_of(sys.platform, os.environ, str(Path.home())))


def state_folder_of(system: str, environment: Mapping[str, str], home: str) -> str:
    """The folder on ``system`` (``sys.platform``) of a user with this environment and home folder."""
    if moved := environment.get(VARIABLE, ""):
        return moved
    if system == "win32":
        local = environment.get("LOCALAPPDATA", "") or ntpath.join(home, "AppData", "Local")
        return ntpath.join(local, "flowface")
    if system == "darwin":
        return posixpath.join(home, "Library", "Application Support", "flowface")
    given = environment.get("XDG_STATE_HOME", "").strip()
    return posixpath.join(given or posixpath.join(home, ".local", "state"), "flowface")
