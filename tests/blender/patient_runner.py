"""Work that goes on until a test says so, through the ends of backends, and loads little before that."""

from __future__ import annotations

import time
from pathlib import Path

from backend.errors import Cancelled
from backend.progress import JobProgress, OnPartial, OnProgress, ShouldCancel
from protocol.messages import TrackJob


def warm_up() -> str:
    """Nothing to load."""
    return "test device"


def perform_when_told(
    spec: TrackJob, folder: Path, *, on_progress: OnProgress, should_cancel: ShouldCancel, on_partial: OnPartial
) -> None:
    """``runners.perform`` once there is a file named ``proceed``."""
    on_progress(JobProgress("waiting for the test", 0.25, 2, 10))
    while not (folder / "proceed").exists():
        if should_cancel():
            raise Cancelled
        time.sleep(0.01)
    from tests.blender.runners import perform

    perform(spec, folder, on_progress=on_progress, should_cancel=should_cancel, on_partial=on_partial)
