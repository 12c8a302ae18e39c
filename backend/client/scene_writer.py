"""The .blend of a finished take, written by Blender in a process of its own."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from backend.client.blender import PROGRAM, Blender, find_blender
from backend.client.request import TrackRequest
from backend.errors import ErrorCode, UserError
from protocol import messages as m
from protocol.codec import join

COPIED = ("blender_addon", "protocol", "msgpack")
"""What an installed Blender needs of ours; msgpack is plain Python where its compiled part is missing."""

TRACK_IS_THERE = "The track itself is written; see track.npz."


def require_blender(request: TrackRequest) -> Blender | None:
    """The Blender that will write the request's scene: ``wanted_blender``."""
    return wanted_blender(request.blend)


def wanted_blender(wanted: bool) -> Blender | None:
    """The Blender that will write a scene, None where none is wanted.

    Raises:
        UserError: ``no_blender``.
    """
    return needed_blender("scene.blend", "pass --no-blend") if wanted else None


def needed_blender(file: str, otherwise: str) -> Blender:
    """The Blender that will write ``file``; ``otherwise`` is what a user without one can do instead, in a few words.

    Raises:
        UserError: ``no_blender``.
    """
    blender = find_blender()
    if blender is None:
        raise UserError(
            ErrorCode.NO_BLENDER,
            f"{file} cannot be written: neither Blender 4.2 or later nor Blender as a Python module was found.",
            f"Install Blender, name it in the environment variable {PROGRAM}, install FlowFace with its extra "
            f"“blender” (Python 3.11 or 3.13), or {otherwise}.",
        )
    return blender


@contextlib.contextmanager
def scene_writer(blender: Blender, reply: m.ResultReply, path: Path, export: str = "") -> Iterator[Callable[[], None]]:
    """Blender writes the scene of a result in a process of its own while the block runs; the value waits for it.

    With ``export`` it writes the head as this format of ``blender_addon.headless`` instead. Raises UserError
    (``scene``) from the wait where Blender could not write it.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, tempfile.TemporaryFile() as log:
        result = Path(folder) / "result"
        result.write_bytes(join(m.pack(m.ResultReply(reply.job, reply.take), 0)))
        arguments = ["--result", str(result), "--out", str(path), *(["--export", export] if export else [])]
        command = _command(blender, Path(folder), arguments)
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        hint = "The take itself is as it was; try again, or choose another export." if export else TRACK_IS_THERE
        try:
            yield lambda: _finish_scene(process, log, path, hint)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _command(blender: Blender, folder: Path, arguments: list[str]) -> list[str]:
    if blender.program is None:
        return [sys.executable, "-m", "blender_addon.headless", *arguments]
    own = folder / "python"  # and not our site-packages, whose compiled packages are for another Python
    for name in COPIED:
        spec = importlib.util.find_spec(name)  # found, not imported: the add-on needs Blender
        assert spec is not None and spec.submodule_search_locations
        source = spec.submodule_search_locations[0]
        shutil.copytree(source, own / name, ignore=shutil.ignore_patterns("__pycache__", "*.so", "*.pyd"))
    code = f"import sys; sys.path.insert(0, {str(own)!r}); from blender_addon.headless import main; "
    code += f"sys.exit(main({arguments!r}))"
    options = ["--background", "--factory-startup", "--python-exit-code", "2", "--python-expr", code]
    return [str(blender.program), *options]


def _finish_scene(process: subprocess.Popen[bytes], log: IO[bytes], path: Path, hint: str) -> None:
    if process.wait() == 0 and path.is_file():
        return
    log.seek(0)
    lines = log.read().decode("utf-8", "replace").strip().splitlines()
    said = f": {lines[-1]}" if lines else "."
    raise UserError(ErrorCode.SCENE, f"Blender could not write {path}{said}", hint)
