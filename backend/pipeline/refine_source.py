"""What a refine starts from: a take as it was tracked, read from its folder and kept for the next refine of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.errors import ErrorCode, UserError
from backend.pipeline import take_files as files
from backend.reading import MAX_REPORT_BYTES, read_json
from backend.track.io import load_track
from backend.track.types import Track

if TYPE_CHECKING:
    from backend.fitting.corrections import TrackedTake
    from backend.head_model.model import HeadModel
    from backend.observations import ViewAlignment

KEPT = 2
"""Takes that stay ready: whoever corrects a take does so many times in a row."""
Ranges = tuple[tuple[int, int], ...]
_RECENT: dict[Any, tuple[Track, HeadModel, tuple[ViewAlignment, ...], TrackedTake]] = {}


@dataclass(frozen=True, eq=False)
class TakeSource:
    """A take as it was tracked: its files, what its views saw as ideal pinholes see it, and the fit from there on."""

    track_file: Path
    alignments_file: Path
    track: Track
    head: HeadModel
    seen: tuple[ViewAlignment, ...]
    tracked: TrackedTake
    report: Mapping[str, Any]


def read_source(folder: Path, face: int = 1) -> TakeSource:
    """The take of a folder, or the face of it, as it was tracked before any refine; faces are counted from 1.

    Raises:
        UserError: ``no_result`` where there is no take, or nothing of what was seen in its pictures; ``bad_file``,
            ``bad_alignment``, ``head_changed`` and what reading a track raises.
    """
    names = (files.TRACKED, files.track_file(1)) if face == 1 else (files.track_file(face),)
    track_file = next((folder / name for name in names if (folder / name).is_file()), None)
    if track_file is None:
        what = "take" if face == 1 else f"head {face}"
        raise UserError(ErrorCode.NO_RESULT, f"There is no {what} in {folder}.", "Name a take that was tracked.")
    alignments_file = folder / files.alignments_file(face)
    if not alignments_file.is_file():
        raise UserError(
            ErrorCode.NO_RESULT,
            f"The take in {folder} cannot be refined: {alignments_file.name}, what was seen in it, is missing.",
            "Track the footage again.",
        )
    report, resting = _read_report(folder / "report.json", face)
    track, head, seen, tracked = _loaded(track_file, alignments_file, resting)
    return TakeSource(track_file, alignments_file, track, head, seen, tracked, report)


def _stamp(*files: Path) -> tuple[tuple[int, ...], ...]:
    """Which contents these files have: the same for links to one file."""
    stats = [file.stat() for file in files]
    return tuple((stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in stats)


def _loaded(
    track_file: Path, alignments_file: Path, resting: Ranges
) -> tuple[Track, HeadModel, tuple[ViewAlignment, ...], TrackedTake]:
    """A take read and ready to be solved; ``resting`` are the first and last of its frames at rest."""
    key = (_stamp(track_file, alignments_file), resting)
    if key not in _RECENT:
        while len(_RECENT) >= KEPT:
            _RECENT.pop(next(iter(_RECENT)))
        _RECENT[key] = _load(track_file, alignments_file, resting)
    return _RECENT[key]


def _load(
    track_file: Path, alignments_file: Path, resting: Ranges
) -> tuple[Track, HeadModel, tuple[ViewAlignment, ...], TrackedTake]:
    from backend.fitting import FitOptions
    from backend.fitting.corrections import tracked_take
    from backend.head_model.library import load_head_of
    from backend.observations.io import load_alignments
    from backend.pipeline.result import solution_of
    from backend.track.geometry import person_of

    track = load_track(track_file)
    head = load_head_of(track.head_id, track.head_hash)
    alignments = load_alignments(alignments_file)
    _require_points_of(head, alignments, alignments_file)
    seen = seen_by(track, alignments, alignments_file)
    at_rest = tuple(n for n in track.frames.tolist() if any(first <= n <= last for first, last in resting))
    # on the CPU: a few frames are solved before a GPU has begun
    options = FitOptions(neutral_frames=at_rest, device="cpu")
    return track, head, seen, tracked_take(head, person_of(head, track), seen, solution_of(track, head), options)


def seen_by(track: Track, alignments: Sequence[ViewAlignment], path: Path) -> tuple[ViewAlignment, ...]:
    """What each of a track's cameras saw at its frames, as ideal pinholes see it, from its job's ``alignments``.

    Raises UserError ``bad_alignment`` where they are of another take.
    """
    from backend.cameras.distortion import lens_of
    from backend.pipeline.align_views import ideal, unseen_like

    if len(alignments) != len(track.cameras):
        raise _of_another(path)
    seen = []
    for camera, alignment in zip(track.cameras, alignments, strict=True):
        frames = camera.footage_frames
        index = np.searchsorted(alignment.numbers, frames).clip(0, alignment.frame_count - 1)
        if not np.array_equal(alignment.numbers[index][frames >= 0], frames[frames >= 0]):
            raise _of_another(path)
        points = alignment if alignment.mu.shape[1] else unseen_like(alignments[0], alignment)
        at_frames = points.at(np.where(frames >= 0, index, -1)).at_times(track.times)
        seen.append(ideal(at_frames, lens_of(camera)))
    return tuple(seen)


def _require_points_of(head: HeadModel, alignments: Sequence[ViewAlignment], path: Path) -> None:
    """Raise UserError ``bad_alignment`` where an alignment speaks of points that the head has not."""
    for points in (points for alignment in alignments for points in alignment.point_sets):
        known = head.landmarks.get(points.id.name) if points.points is None else points.points
        count = points.mu.shape[1]
        if count and (
            known is None or len(known.triangle) != count or int(known.triangle.max()) >= len(head.triangles)
        ):
            sentence = f"{path} speaks of points (“{points.id.name[:60]}”) that the head “{head.id[:60]}” has not."
            raise UserError(ErrorCode.BAD_ALIGNMENT, sentence, "Track the footage again.")


def _of_another(path: Path) -> UserError:
    return UserError(ErrorCode.BAD_ALIGNMENT, f"{path} is of another take than the track.", "Track the footage again.")


def _report_of(report: Mapping[str, Any], face: int) -> dict[str, Any]:
    """What a job's report says of one of its faces, as if it were alone."""
    own = report if face == 1 else next(iter(report.get("others", [])[face - 2 : face - 1]), {})
    kept = {name: value for name, value in own.items() if name not in ("others", "head_number", "track")}
    texture = {"texture": {**own["texture"], "file": files.texture_file(1)}} if own.get("texture") else {}
    return kept | texture


def _read_report(path: Path, face: int) -> tuple[dict[str, Any], Ranges]:
    """What a job's report says of one of its faces, and the first and last of its frames at rest.

    Raises UserError ``bad_file`` where it is damaged; a track without one has an empty report.
    """
    if not path.is_file():
        return {}, ()
    try:
        report = _report_of(read_json(path, "report", MAX_REPORT_BYTES), face)
        resting = report.get("neutral", {}).get("frames", [])
        return report, tuple((int(first), int(last)) for first, last in resting)
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise UserError(ErrorCode.BAD_FILE, f"{path} is damaged: {error}.", "Track the footage again.") from error
