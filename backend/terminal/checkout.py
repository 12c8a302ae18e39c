"""The checkout that runs, for the provenance of figures."""

from __future__ import annotations

import subprocess
from pathlib import Path

_HERE = Path(__file__).resolve().parent


def git(*words: str) -> str | None:
    """Git's answer about this checkout; None where there is no git or no checkout."""
    command = ["git", "-C", str(_HERE), *words]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
