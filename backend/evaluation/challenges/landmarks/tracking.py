"""Our tracker on the face that is annotated, where a picture shows several."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.alignment.align_footage import align_footage
from backend.alignment.choice import FaceChoice
from backend.alignment.finder import face_finder
from backend.alignment.registry import find_aligner
from backend.errors import ErrorCode, UserError
from backend.evaluation.trackers.flowface import FlowFace, fitted_mesh, open_clip
from backend.evaluation.types import MeshSequence
from backend.head_model.library import load_head

F64 = NDArray[np.float64]
_UNSEEN = (ErrorCode.NO_FACE, ErrorCode.FACE_NOT_CHOSEN)


def box_of(points: F64, frame: int | None = None) -> FaceChoice:
    """The face in the box around annotated ``points (n,2)``: 300-W hands such boxes out with its pictures."""
    low, size = points.min(axis=0), np.ptp(points, axis=0)
    return FaceChoice("box", (*low.tolist(), *size.tolist()), frame)


def track_face(tracker: FlowFace, clip: Path, choice: FaceChoice) -> tuple[MeshSequence, NDArray[np.int64]] | None:
    """The chosen face's mesh in every frame of a clip or still, and the frames' footage numbers (T,).

    None where it is not found. Raises UserError as reading footage and ``find_aligner`` do.
    """
    head = load_head(tracker.head_name)
    aligner = find_aligner(tracker.aligner, head, tracker.weights)
    try:
        observed = align_footage(open_clip(clip), aligner, choice, finder=face_finder())
    except UserError as error:
        if error.code in _UNSEEN:
            return None
        raise
    if not observed.tells_pose.any():
        return None
    return fitted_mesh(head, tracker.solve(head, observed, clip), observed), observed.numbers
