"""A finished track drawn on its footage, one overlay for each view."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from backend.files import file_name
from backend.head_model.library import load_head_of
from backend.head_model.model import HeadModel
from backend.observations import ViewAlignment
from backend.observations.io import load_alignments
from backend.track.geometry import neutral_of, seen_vertices
from backend.track.types import Track

if TYPE_CHECKING:
    from backend.overlay.draw import OverlayTake


def write_overlays(tracks: Sequence[Track], head_id: str, alignments: Sequence[bytes], out: Path) -> dict[str, Path]:
    """Draw the fitted heads and the aligner's points on every view's footage; what was written, by name.

    One view's is ``overlay``; of several, each is ``overlay_<view>``. ``tracks`` are those of a take's faces, which
    have the same views, and ``alignments`` the contents of their alignments.npz, b"" where there is none.

    Raises:
        UserError: what reading footage and alignments and writing an overlay raise.
    """
    from backend.footage.again import open_again
    from backend.overlay.draw import write_overlay

    head = load_head_of(head_id, tracks[0].head_hash)
    drawn = head.regions["skin"] | head.regions["left_eyeball"] | head.regions["right_eyeball"]
    triangles = head.triangles[drawn[head.triangles].all(axis=1)]
    faces = [
        (track, neutral_of(head, track), _alignments(saved)) for track, saved in zip(tracks, alignments, strict=True)
    ]
    cameras = tracks[0].cameras
    files: dict[str, Path] = {}
    for index, camera in enumerate(cameras):
        takes = [
            _overlay_take(head, track, neutral, triangles, index, views[index] if index < len(views) else None)
            for track, neutral, views in faces
        ]
        name = f"overlay_{file_name(camera.name)}" if len(cameras) > 1 else "overlay"
        path = write_overlay(out / name, open_again(camera), *takes)
        files[f"overlay {camera.name}" if len(cameras) > 1 else "overlay"] = path
    return files


def _alignments(content: bytes) -> tuple[ViewAlignment, ...]:
    if not content:
        return ()
    with tempfile.TemporaryDirectory(prefix="flowface-") as folder:
        saved = Path(folder) / "alignments.npz"
        saved.write_bytes(content)
        return load_alignments(saved)


def _overlay_take(
    head: HeadModel,
    track: Track,
    neutral: NDArray[np.float32],
    triangles: NDArray[np.int32],
    view: int,
    alignment: ViewAlignment | None,
) -> OverlayTake:
    from backend.cameras.distortion import distort, lens_of
    from backend.overlay.draw import OverlayTake

    camera = track.cameras[view]
    shown = np.flatnonzero(camera.footage_frames >= 0)
    lens = lens_of(camera)

    def vertices_at(index: int) -> NDArray[np.float64]:
        t = shown[index]
        seen = seen_vertices(head, track, np.array([t]), neutral=neutral, view=view)[0]
        if not lens.ideal:
            seen[:, :2] = distort(seen[:, :2], lens)
        return seen

    numbers = camera.footage_frames[shown]
    return OverlayTake(
        numbers=numbers,
        vertices_at=vertices_at,
        triangles=triangles,
        landmarks=_points(alignment, numbers),
        tracked=track.tracked[shown],
        error_percent_iod=camera.reprojection_error_percent_iod[shown],
    )


def _points(alignment: ViewAlignment | None, numbers: NDArray[np.int64]) -> NDArray[np.float32] | None:
    """The points that the aligner saw (n,N,2) in the frames ``numbers``, NaN where it saw no face."""
    seen = None if alignment is None else alignment.mu
    if alignment is None or seen is None or not seen.shape[1]:
        return None
    row = {int(number): t for t, number in enumerate(alignment.numbers)}
    points = np.full((len(numbers), *seen.shape[1:]), np.nan, np.float32)
    for index, number in enumerate(numbers):
        t = row.get(int(number))
        if t is not None and alignment.found[t]:
            points[index] = seen[t]
    return points
