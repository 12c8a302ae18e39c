"""Points of a head's surface as they were seen: the one type from aligner to fit to disk."""

from backend.observations.types import (
    BOX_FIELDS,
    AlignedFrame,
    Alignment,
    FaceBox,
    PointSet,
    PointSetId,
    Shot,
    ViewAlignment,
    overlap,
)

__all__ = [
    "BOX_FIELDS",
    "AlignedFrame",
    "Alignment",
    "FaceBox",
    "PointSet",
    "PointSetId",
    "Shot",
    "ViewAlignment",
    "overlap",
]
