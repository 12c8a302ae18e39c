"""Kinds of work that end in every way that work can end: what the server runs in tests that need no face.

The worker loads these as it loads ``backend.pipeline.track_job:run_job``; they run in its process, under its rules.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from backend.errors import Cancelled, UserError
from backend.progress import JobProgress, OnProgress, ShouldCancel
from protocol.messages import JobSpec


def warm_up() -> str:
    """Nothing to load."""
    return "test device"


def run(spec: JobSpec, folder: Path, *, on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
    """Do what the file name of the footage says."""
    deeds = {
        "quick": quick,
        "until-cancelled": until_cancelled,
        "deaf": deaf,
        "user-error": user_error,
        "bug": bug,
        "memory": memory,
        "crash": crash,
        "noisy": noisy,
    }
    deeds[Path(spec.views[0].footage).stem](spec, folder, on_progress, should_cancel)


def quick(spec: JobSpec, folder: Path, on_progress: OnProgress, _should_cancel: ShouldCancel) -> None:
    """Count three frames and leave a note of the order in which jobs ran."""
    for done in range(1, 4):
        on_progress(JobProgress("counting", done / 3, done, 3))
    with (folder.parent / "order.txt").open("a", encoding="utf-8") as order:
        order.write(f"{spec.name}\n")


def until_cancelled(_spec: JobSpec, _folder: Path, on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
    """Work until told to stop, and stop."""
    on_progress(JobProgress("working", 0.5, 1, 2))
    while not should_cancel():
        time.sleep(0.005)
    raise Cancelled


def deaf(_spec: JobSpec, _folder: Path, on_progress: OnProgress, _should_cancel: ShouldCancel) -> None:
    """Never listen."""
    on_progress(JobProgress("not listening", 0.5, 1, 2))
    while True:
        time.sleep(1)


def user_error(spec: JobSpec, _folder: Path, _on_progress: OnProgress, _should_cancel: ShouldCancel) -> None:
    """Refuse the footage."""
    raise UserError("no_face", f"No face was found in {spec.views[0].footage}.", "Choose footage that shows a face.")


def bug(_spec: JobSpec, _folder: Path, _on_progress: OnProgress, _should_cancel: ShouldCancel) -> None:
    """Fail as a programming error does."""
    [].pop()


def memory(_spec: JobSpec, _folder: Path, _on_progress: OnProgress, _should_cancel: ShouldCancel) -> None:
    """Ask for more than any machine has."""
    bytearray(1 << 60)


def crash(_spec: JobSpec, _folder: Path, on_progress: OnProgress, _should_cancel: ShouldCancel) -> None:
    """Die as a decoder's segmentation fault does."""
    on_progress(JobProgress("decode and align", 0.25, 1, 4))
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(60)


def noisy(spec: JobSpec, folder: Path, on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
    """Print where events travel, as libraries do, in Python and below it."""
    print('{"event": "done", "job": "nobody"}', flush=True)
    os.write(1, b"not json\n")
    sys.stdout.flush()
    quick(spec, folder, on_progress, should_cancel)
