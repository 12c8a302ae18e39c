"""Work for the test backend: a known performance, and where several faces are wanted the same again beside it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from backend.files import write_atomic
from backend.observations.io import load_alignment, save_alignments
from backend.pipeline import export_job
from backend.track.io import load_track, save_track
from protocol.job import ExportJob
from protocol.messages import Job, TrackJob

from .refine_runners import SIDE, perform_or_refine, warm_up

__all__ = ["SIDE", "perform", "warm_up"]

ASIDE = (0.12, 0.01, 0.0)


def perform(spec: Job, folder: Path, **worker: Any) -> None:
    """Track, refine or export as the backend does."""
    if isinstance(spec, ExportJob):
        export_job.run_job(spec, folder, **worker)
        return
    perform_or_refine(spec, folder, **worker)
    if not isinstance(spec, TrackJob) or not spec.several_faces:
        return
    track = load_track(folder / "track.npz")
    view = track.cameras[0]
    moved = track.head_translation + ASIDE
    save_track(replace(track, head_translation=moved), folder / "track_2.npz")
    seen = load_alignment(folder / "alignments.npz")
    (points,) = seen.point_sets
    shift = (view.focal_px / track.head_translation[:, 2])[:, None, None] * np.array(ASIDE[:2])
    shifted = replace(points, mu=(points.mu + shift).astype(np.float32))
    save_alignments([replace(seen, point_sets=(shifted,))], folder / "alignments_2.npz")
    report = {"frames": len(track.tracked), "faces_seen": 2}
    other = {**report, "name": "head 2", "head_number": 2, "track": "track_2.npz"}
    write_atomic(folder / "report.json", json.dumps({**report, "others": [other]}).encode())
