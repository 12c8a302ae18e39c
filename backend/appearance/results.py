"""The files that driven footage leaves behind: those of a tracked take, as far as a driver tells them."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from backend.appearance.drive import Performed, drive
from backend.appearance.driver import Driver
from backend.appearance.storage import load_driver
from backend.client.track import forget, output_folder, write_result
from backend.footage import open_footage
from backend.overlay.track import write_overlays
from backend.pipeline.take_files import files_of_take, track_file
from backend.track.io import save_track
from backend.track.types import Track

OnProgress = Callable[[str, int, int], None]
ShouldCancel = Callable[[], bool]
PACKAGES = ("flowface", "ai-edge-litert", "av", "numpy")


def drive_footage(
    footage: Path,
    driver_file: Path,
    out: Path,
    frames: tuple[int, int] | None,
    focal_px: float | None,
    overlay: bool,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
) -> dict[str, Any]:
    """Drive footage and write its results into ``out``, in place of an earlier take there; returns the report.

    Raises:
        UserError: ``output_unwritable``, and what reading driver and footage and ``drive`` raise.
        Cancelled: ``should_cancel`` said so; nothing was written.
    """
    model = load_driver(driver_file)
    opened = open_footage(str(footage.absolute()), frames)
    with output_folder(out):  # before anybody waits
        driver = Driver(model, focal_px=focal_px)
    try:
        track, found = drive(driver, opened, on_progress, should_cancel)
    finally:
        driver.close()
    report = make_report(track, found, str(footage), str(driver_file))
    earlier = files_of_take(out)
    save_track(track, out / track_file(1), public=True)
    write_result(out / "report.json", json.dumps(report, indent=1, ensure_ascii=False).encode())
    forget(earlier, {track_file(1)})
    if overlay:
        on_progress("drawing the overlay", 0, 1)
        write_overlays([track], track.head_id, [b""], out)
    return report


def make_report(track: Track, found: Performed, footage: str, driver_file: str) -> dict[str, Any]:
    """The facts of driven footage, as plain values."""
    error = track.reprojection_error_percent_iod[np.isfinite(track.reprojection_error_percent_iod)]
    return {
        "footage": footage,
        "driver": driver_file,
        "image_size": list(found.image_size),
        "frames": len(track.frames),
        "first_frame": int(track.frames[0]),
        "last_frame": int(track.frames[-1]),
        "frames_tracked": int(track.tracked.sum()),
        "reprojection_error_percent_iod": {
            "mean": round(float(error.mean()), 4),
            "p95": round(float(np.percentile(error, 95)), 4),
        },
        "focal_px": round(float(track.cameras[0].focal_px[0]), 3),
        "milliseconds": round(1000 * found.seconds / len(track.frames), 2),
        "head": track.head_id,
        "aligner": "driver",
        "warnings": [],
        "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in PACKAGES},
    }
