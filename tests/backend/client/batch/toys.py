"""Work that needs no face, for batches in tests: each clip leaves a report, and a line in a diary whenever it runs."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from backend.errors import UserError
from protocol.job import TrackJob

PATIENCE = 120.0  # seconds, after which a clip that waits does so in vain


def warm_up() -> str:
    """Nothing to load."""
    return "test device"


def run(spec: TrackJob, folder: Path, *, on_progress: Any, should_cancel: Any, on_partial: Any) -> None:  # noqa: ARG001
    """Do what the footage says: refuse, die (once), wait for a file ``go`` beside it, or seconds of work."""
    footage = Path(spec.footage)
    deed = "" if footage.suffix == ".png" else footage.read_text()
    diary = Path(os.environ["FLOWFACE_TEST_DIARY"])
    begun_before = diary.exists() and f"{footage.stem}\n" in diary.read_text().splitlines(keepends=True)
    with diary.open("a") as file:
        file.write(f"{footage.stem}\n")
    if deed == "refuse":
        raise UserError("no_face", f"No face was found in {spec.footage}.", "Choose footage that shows a face.")
    if deed == "die" or (deed == "die once" and not begun_before):
        os._exit(3)
    time.sleep(float(deed) if deed[:1].isdigit() else 0.0)
    deadline = time.monotonic() + PATIENCE
    while deed == "wait" and time.monotonic() < deadline and not footage.with_name("go").exists():
        time.sleep(0.02)
    report = {
        "frames": 7,
        "frames_tracked": 7,
        "reprojection_error_percent_iod": {"mean": 0.5},
        "footage": spec.footage,
        "beside": sorted(path.name for path in footage.parent.iterdir()) if footage.suffix == ".png" else [],
        "others": [],
    }
    (folder / "proxy").mkdir()
    (folder / "proxy" / "camera.mp4").write_bytes(footage.read_bytes())
    (folder / "report.json").write_text(json.dumps(report))
