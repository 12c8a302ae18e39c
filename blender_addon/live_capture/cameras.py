"""The names of this computer's cameras, as the backend finds them; asked for in a thread. Knows nothing of bpy."""

from __future__ import annotations

import subprocess
import sys
import threading

from ..backend_places import Launch
from ..backend_process import environment, options_of_popen

MAX_WORDS = 300  # letters of what is said about a failure
PATIENCE = 60.0  # seconds: a backend that was never loaded takes a while

_names: list[str] = []
_problem = ""
_thread: threading.Thread | None = None


def names() -> list[str]:
    """The cameras that were found last."""
    return list(_names)


def problem() -> str:
    """Why none were found, in a sentence; "" where some were, or nobody has asked yet."""
    return _problem


def looking() -> bool:
    """True while cameras are being looked for."""
    return _thread is not None and _thread.is_alive()


def look(launch: Launch) -> None:
    """Begin to look for cameras; does nothing while that goes on."""
    global _thread
    if not looking():
        _thread = threading.Thread(target=_look, args=(launch,), name="FlowFace cameras", daemon=True)
        _thread.start()


def _look(launch: Launch) -> None:
    global _names, _problem
    try:
        done = subprocess.run(
            [*launch.live_command, "--list"],
            cwd=launch.folder,
            env=environment(),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
            **options_of_popen(sys.platform),
        )
    except (OSError, subprocess.SubprocessError) as error:
        _names, _problem = [], f"The cameras could not be asked for: {error}."
        return
    _names = [line.strip() for line in done.stdout.decode("utf-8", "replace").splitlines() if line.strip()]
    said = " ".join(done.stderr.decode("utf-8", "replace").split()).removeprefix("flowface: ")
    _problem = "" if _names else (said[-MAX_WORDS:] if done.returncode else "No camera was found on this computer.")
