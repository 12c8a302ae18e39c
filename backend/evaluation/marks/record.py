"""How a tracker's head moves beside marks of real skin: reprojection by region and horizon, and jitter where still."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.evaluation.marks.area import MARK_REGIONS
from backend.evaluation.marks.bind import bind, project
from backend.evaluation.marks.follow import HORIZONS, MADE_BY, FollowedMarks, follow_clip
from backend.evaluation.marks.sheet import marks_sheet
from backend.evaluation.trackers.flowface import track_or_none
from backend.evaluation.trackers.results_folder import ResultsFolder
from backend.evaluation.trackers.types import Tracker
from backend.evaluation.types import MeshSequence
from backend.head_model.model import SurfacePoints

F64 = NDArray[np.float64]
Record = dict[str, Any]
MARKED_BY = (*MADE_BY, "evaluation/marks/", "evaluation/real_data.py")
"""Parts of the backend that the figures of whatever tracker depend on."""

ENOUGH = 8
"""Marks whose median tells how the footage itself moves."""
_NOISE = np.sqrt(6.0)  # the second difference of white noise over the noise itself


def mark_tasks(
    clips: Sequence[Path], trackers: Sequence[Tracker], cache: Path, sheets: Path
) -> Iterator[tuple[tuple[str, ...], Callable[[], Record]]]:
    """For every clip and tracker a key and the work that makes its record; contact sheets go to ``sheets``."""
    for clip in clips:
        for tracker in trackers:
            if isinstance(tracker, ResultsFolder) and not tracker.has(clip, single_image=False):
                continue
            sheet = sheets / f"{clip.stem}_{tracker.name}_marks.png"
            yield ("marks", tracker.name, str(clip.resolve())), partial(marks_record, tracker, clip, cache, sheet)


def marks_record(tracker: Tracker, clip: Path, cache: Path, sheet: Path) -> Record:
    """The figures of a clip, whose sheet is written to ``sheet``.

    Raises UserError as reading footage and aligning do, and ``bad_results`` for another number of frames.
    """
    followed = follow_clip(clip, cache)
    record: Record = {"clip": clip.stem, "tracker": tracker.name, "marks": len(followed.start), "bound": 0}
    record["returned_percent"] = _spread(100 * followed.returned / float(followed.unit))
    mesh = track_or_none(tracker, clip, single_image=False)
    if mesh is None:
        return record
    if mesh.frame_count != followed.seen.shape[1]:
        raise UserError(
            ErrorCode.BAD_RESULTS,
            f"{tracker.name} has {mesh.frame_count} frames of {clip.name}, not {followed.seen.shape[1]}.",
        )
    there = reprojected(mesh, followed)
    marks_sheet(sheet, clip, followed, there)
    return record | figures(followed, there) | jitter(mesh, followed)


def reprojected(mesh: MeshSequence, followed: FollowedMarks) -> F64:
    """(K,T,2) pixels where the mesh has each mark, bound where it begins; NaN before that, unbound and where lost."""
    count = followed.seen.shape[1]
    there = np.full((len(followed.start), count, 2), np.nan)
    for first in np.unique(followed.start):
        which = np.flatnonzero(followed.start == first)
        points = bind(mesh, int(first), followed.seen[which, first])
        frames = np.arange(first, min(first + HORIZONS[-1] + 1, count))
        there[np.ix_(which, frames)] = project(mesh, points, frames)
    return there


def figures(followed: FollowedMarks, there: F64) -> Record:
    """Errors in % of the inter-ocular distance: all later frames, by region, and by horizon in frames."""
    error = 100 * np.linalg.norm(there - followed.seen, axis=2) / float(followed.unit)
    marks = np.arange(len(followed.start))
    bound = np.isfinite(there[marks, followed.start, 0])
    error[marks, followed.start] = np.nan
    by_horizon = {}
    for horizon in HORIZONS:
        at = followed.start + horizon
        inside = at < error.shape[1]
        by_horizon[str(horizon)] = _spread(error[marks[inside], at[inside]])
    return {
        "bound": int(bound.sum()),
        "error": _spread(error),
        "regions": {name: _spread(error[followed.region == n]) for n, name in enumerate(MARK_REGIONS)},
        "horizons": by_horizon,
    }


def _spread(values: F64) -> Record:
    known = values[np.isfinite(values)]
    if not len(known):
        return {"count": 0, "median": None, "mean": None, "p90": None}
    return {
        "count": len(known),
        "median": float(np.median(known)),
        "mean": float(known.mean()),
        "p90": float(np.percentile(known, 90)),
    }


def jitter(mesh: MeshSequence, followed: FollowedMarks) -> Record:
    """High-frequency motion in still stretches, % of the inter-ocular distance.

    The root mean square of the second difference over three frames, over √6, so that it is the standard deviation of a
    white jitter: of the mesh's surface on the skin, and of the marks themselves, which hold their tracker's noise too.
    ``jitter_beyond`` is the surface's without what the median mark does at the same time: a head that trembles or a
    camera in a hand is no jitter of the track.
    """
    head: list[F64] = []
    skin: list[F64] = []
    beyond: list[F64] = []
    for number, (first, last) in enumerate(followed.still):
        frames = np.arange(first, last + 1)
        points = bind(mesh, int(first + last) // 2, followed.grid[followed.grid_still == number])
        kept = points.triangle >= 0
        bound = SurfacePoints(points.triangle[kept], points.barycentric[kept])
        mine, theirs = _second_difference(project(mesh, bound, frames)), _second_difference(followed.seen[:, frames])
        head.append(_lengths(mine))
        skin.append(_lengths(theirs))
        seen = np.isfinite(theirs[..., 0]).sum(axis=0) >= ENOUGH
        beyond.append(_lengths(mine[:, seen] - np.nanmedian(theirs[:, seen], axis=0)))
    return {
        "still_frames": int(sum(last - first + 1 for first, last in followed.still)),
        "jitter": _root_mean(head, float(followed.unit)),
        "jitter_beyond": _root_mean(beyond, float(followed.unit)),
        "jitter_of_marks": _root_mean(skin, float(followed.unit)),
    }


def _second_difference(positions: F64) -> F64:
    return np.asarray(positions[:, 2:] - 2 * positions[:, 1:-1] + positions[:, :-2])


def _lengths(differences: F64) -> F64:
    return np.asarray(np.linalg.norm(differences, axis=2).ravel() / _NOISE)


def _root_mean(parts: list[F64], unit: float) -> float | None:
    values = np.concatenate([*parts, np.zeros(0)])
    known = values[np.isfinite(values)]
    return float(100 * np.sqrt(np.mean(np.square(known))) / unit) if len(known) else None
