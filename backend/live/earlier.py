"""An earlier take of a person: who they are, and what they look like at rest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backend.live.frame_basis import POINTS
from backend.live.telling import KEPT
from backend.observations import Alignment
from backend.track.types import Track

TRACK, ALIGNMENTS = "track", "alignments"


@dataclass(frozen=True, eq=False)
class EarlierTake:
    """``seen`` are pictures of it with their times (seconds), none where its alignment is not beside its track."""

    track: Track
    seen: list[tuple[Alignment, float]]


def read_earlier(path: Path) -> EarlierTake:
    """The take of a track's file, or of the folder with a ``track.npz``.

    Raises:
        UserError: what ``load_track`` raises, and ``load_alignments`` where such a file is there.
    """
    from backend.observations.io import load_alignment
    from backend.track.io import load_track

    file = path / f"{TRACK}.npz" if path.is_dir() else path
    track = load_track(file)
    beside = file.with_name(file.name.replace(TRACK, ALIGNMENTS, 1))
    if beside == file or not beside.is_file():
        return EarlierTake(track, [])
    view = load_alignment(beside)
    if POINTS not in [own.id.name for own in view.point_sets]:
        return EarlierTake(track, [])
    found = np.flatnonzero(view.found)
    some = found[np.linspace(0, len(found) - 1, min(len(found), KEPT)).astype(int)] if len(found) else found
    frames = view.at(some).frames()
    return EarlierTake(track, [(frame.alignment, frame.time) for frame in frames if frame.alignment is not None])
