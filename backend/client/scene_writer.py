"""The .blend of a finished take, written by Blender in a process of its own."""

from __future__ import annotations

import contextlib
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from backend.client.request import TrackRequest
from backend.errors import ErrorCode, UserError


def _check_blender(request: TrackRequest) -> None:
    if request.blend and importlib.util.find_spec("bpy") is None:
        raise UserError(
            ErrorCode.NO_BLENDER,
            "scene.blend cannot be written because Blender as a Python module (bpy) is not installed.",
            "Install this project with requirements.txt, or pass --no-blend.",
        )


@contextlib.contextmanager
def _scene_writer(endpoint: str, job_id: str, path: Path) -> Iterator[Callable[[], None]]:
    """Blender writes the scene in a process of its own while the block runs; the value waits for it.

    Raises UserError (``scene``) from the wait where Blender could not write it.
    """
    command = [sys.executable, "-m", "blender_addon.headless"]
    command += ["--endpoint", endpoint, "--job", job_id, "--out", str(path)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield lambda: _finish_scene(process, log, path)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _finish_scene(process: subprocess.Popen[bytes], log: IO[bytes], path: Path) -> None:
    if process.wait() == 0 and path.is_file():
        return
    log.seek(0)
    lines = log.read().decode("utf-8", "replace").strip().splitlines()
    said = f": {lines[-1]}" if lines else "."
    raise UserError(
        ErrorCode.SCENE, f"Blender could not write {path}{said}", "The track itself is written; see track.npz."
    )
