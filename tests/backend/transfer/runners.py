"""Work for the test backend: the true actions of the open head, as a transfer's result for its own mesh."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from backend.errors import Cancelled, UserError
from backend.head_model.library import load_head
from backend.head_model.rigid import Similarity
from backend.pipeline.transfer_job import leave, read_mesh
from backend.progress import JobProgress
from backend.transfer.types import Transferred
from protocol.messages import Job

UNIT = 2.0
"""Of the scene that the mesh is in, a metre of the head's."""


def warm_up() -> str:
    """Nothing to load."""
    return "test device"


def transfer(spec: Job, folder: Path, *, on_progress: Any, should_cancel: Any, **_worker: Any) -> None:
    """Leave the open head's own actions, turned and scaled as its mesh is; a job called “slow” waits to be cancelled,
    one called “faceless” fails.
    """
    on_progress(JobProgress("looking for the face", 0.1))
    if spec.name == "faceless":
        raise UserError("face_not_found", "No face was found on renders of the mesh.", "Mark points by hand.")
    while spec.name == "slow":
        if should_cancel():
            raise Cancelled
        time.sleep(0.01)
    head, mesh = load_head("open"), read_mesh(spec)
    home = head.template.astype(np.float64)
    linear = np.linalg.lstsq(home - home.mean(axis=0), mesh.vertices - mesh.vertices.mean(axis=0), rcond=None)[0]
    (folder / "job.json").write_text(json.dumps(spec.to_plain()))
    done = Transferred(
        head.expression_names,
        (head.expression_basis @ linear).astype(np.float32),
        Similarity(1 / UNIT, np.eye(3), np.zeros(3)),
        {"lid_gap_mm": 0.0, "surface_mean_mm": 0.1},
    )
    leave(done, np.full((40, 60, 3), 128, np.uint8), folder)
