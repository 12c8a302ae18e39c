"""Work for the test backend that makes a head of photographs: the performance of ``runners``, told as such a job's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from backend.files import write_atomic
from backend.progress import OnPartial, OnProgress, ShouldCancel
from backend.track.io import save_track
from protocol.messages import PhotographsJob

from .runners import performance, warm_up

__all__ = ["perform", "warm_up"]


def perform(
    spec: PhotographsJob,
    folder: Path,
    *,
    on_progress: OnProgress,  # noqa: ARG001
    should_cancel: ShouldCancel,  # noqa: ARG001
    on_partial: OnPartial,  # noqa: ARG001
) -> None:
    """Write the performance as the job's result, and the names of its photographs into the report."""
    if type(spec) is not PhotographsJob:
        raise TypeError(f"a job of another kind: {spec.KIND}")
    done = performance(spec.views[0].footage)
    pictured = np.arange(len(done.tracked)) > 0  # at first the head is at rest
    cameras = tuple(replace(one, footage_frames=np.where(pictured, 1, -1)) for one in done.cameras)
    save_track(replace(done, tracked=pictured, cameras=cameras), folder / "track.npz")
    report = {"photographs": len(spec.views), "warnings": [", ".join(view.name for view in spec.views)]}
    write_atomic(folder / "report.json", json.dumps(report).encode())
