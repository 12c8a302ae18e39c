"""Work that is quick, resumable and the same every time: what a soak runs where real footage would take hours."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from backend.errors import Cancelled
from backend.files import write_npz
from backend.progress import JobProgress, OnProgress, ShouldCancel
from protocol.messages import TrackJob

STEPS = 20
SECONDS = float(os.environ.get("FLOWFACE_SOAK_SECONDS", "0.05"))  # of a step


def warm_up() -> str:
    """Nothing to load."""
    return "soak"


def walk(
    spec: TrackJob, folder: Path, *, on_progress: OnProgress, should_cancel: ShouldCancel, **_worker: object
) -> None:
    """A walk of numbers that hangs on the job's name; each step is on disk before the next begins."""
    for step in range(STEPS):
        if should_cancel():
            raise Cancelled
        path = folder / f"step_{step}.npz"
        if not path.exists():
            time.sleep(SECONDS)
            write_npz(path, {"numbers": np.random.default_rng([step, *spec.name.encode()]).standard_normal(100)})
        on_progress(JobProgress("walking", (step + 1) / STEPS, step + 1, STEPS))
    steps = [np.load(folder / f"step_{step}.npz")["numbers"] for step in range(STEPS)]
    write_npz(folder / "track.npz", {"walk": np.cumsum(np.concatenate(steps))})
