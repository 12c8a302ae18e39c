"""The three commands: what is there, what is made of it item by item, and the tables."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from backend.alignment.choice import FaceChoice
from backend.errors import UserError
from backend.evaluation.challenges.landmarks.mark_errors import reprojection_errors, take_figures
from backend.evaluation.challenges.landmarks.point_errors import PointErrors, Unit, lost, point_errors
from backend.evaluation.challenges.landmarks.tables import mark_sheet, point_sheet, point_summary
from backend.evaluation.challenges.landmarks.take_marks import Take, read_take
from backend.evaluation.challenges.landmarks.tracking import box_of, track_face
from backend.evaluation.challenges.landmarks.vw300_layout import AnnotatedVideo
from backend.evaluation.challenges.landmarks.w300_layout import GROUPS, AnnotatedPicture, refuse_broken
from backend.evaluation.challenges.run_items import Item, open_store, publish, run_items
from backend.evaluation.tables import Sheet
from backend.evaluation.trackers.flowface import FlowFace, clip_key
from backend.head_model.library import load_head

Record = dict[str, Any]


def run_300w(
    pictures: Sequence[AnnotatedPicture], tracker: FlowFace, out: Path, unit: Unit, about: Mapping[str, Any]
) -> Record:
    """Measure every picture alone, write results and print the table; ``about`` is told in ``results.json``.

    Returns what that holds. Raises UserError ``output_unwritable`` and as tracking does.
    """
    items = [
        Item((one.name, _state((one.picture, one.annotation))), partial(_picture, one, tracker)) for one in pictures
    ]
    records = run_items("300-W", items, open_store(out, {"challenge": "300w"}), tracker.made_by)
    by_subset: dict[str, list[PointErrors]] = {}
    for one, record in zip(pictures, records, strict=True):
        by_subset.setdefault(one.subset, []).append(PointErrors.of_record(record))
    groups = {name: PointErrors.joined(parts) for name, parts in by_subset.items()}
    for name, members in GROUPS.items():
        if len(members) > 1 and all(member in by_subset for member in members):
            groups[name] = PointErrors.joined([groups[member] for member in members])
    for one, record in zip(pictures, records, strict=True):
        record |= {"picture": one.name, "subset": one.subset}
    return _published("300-W", groups, records, unit, out, about, "pictures")


def run_300vw(
    videos: Sequence[AnnotatedVideo], tracker: FlowFace, out: Path, unit: Unit, about: Mapping[str, Any]
) -> Record:
    """As ``run_300w``, each video tracked as a sequence; all annotated frames of a category count alike.

    Raises UserError ``bad_file`` naming all annotation that is damaged, before anything is tracked.
    """
    broken = []
    for video in videos:
        try:
            video.read()
        except UserError as error:
            broken.append(error)
    refuse_broken(broken)
    items = [
        Item((video.name, _state((video.video, *video.annotation))), partial(_video, video, tracker))
        for video in videos
    ]
    records = run_items("300-VW", items, open_store(out, {"challenge": "300vw"}), tracker.made_by)
    groups: dict[str, PointErrors] = {}
    for name in dict.fromkeys(video.category for video in videos):
        mine = [r for video, r in zip(videos, records, strict=True) if video.category == name]
        groups[f"category {name}"] = PointErrors.joined([PointErrors.of_record(record) for record in mine])
    for video, record in zip(videos, records, strict=True):
        record |= {"video": video.name, "category": video.category}
    return _published("300-VW", groups, records, unit, out, about, "frames")


def run_marks(
    folders: Sequence[Path], bound_in: int | None, tracker: FlowFace, out: Path, about: Mapping[str, Any]
) -> Record:
    """Measure takes with annotated marks, write results and print the table beside seeds/003's.

    Raises UserError ``challenge_layout`` and ``bad_file`` for what is missing or wrong, before anything is tracked.
    """
    takes, broken = [], []
    for folder in folders:
        try:
            takes.append(read_take(folder, bound_in))
        except UserError as error:
            broken.append(error)
    refuse_broken(broken)
    items = [
        Item((take.name, _state(take.files), str(bound_in or "first")), partial(_take, take, bound_in, tracker))
        for take in takes
    ]
    records = run_items("marks", items, open_store(out, {"challenge": "marks"}), tracker.made_by)
    for take, record in zip(takes, records, strict=True):
        record |= {"take": take.name, "marks": len(take.marks.names)}
    results = {**about, "challenge": "marks", "records": records}
    publish(out, "Annotated marks", [mark_sheet(records)], results)
    return results


def _published(
    challenge: str,
    groups: Mapping[str, PointErrors],
    records: Sequence[Record],
    unit: Unit,
    out: Path,
    about: Mapping[str, Any],
    what: str,
) -> Record:
    groups = dict(groups)
    if len(groups) > 1 and challenge == "300-VW":
        groups["all"] = PointErrors.joined(list(groups.values()))
    summary = point_summary(groups, unit)
    results = {**about, "challenge": challenge, "unit": unit, "summary": summary, "records": records}
    sheets: list[Sheet] = [point_sheet(challenge, summary, unit, what)]
    publish(out, challenge, sheets, results)
    return results


def _state(files: Iterable[Path]) -> str:
    """A word for what files hold now: it changes when one of them does."""
    return hashlib.sha256(" ".join(clip_key(file) for file in files).encode()).hexdigest()[:12]


def _picture(one: AnnotatedPicture, tracker: FlowFace) -> Record:
    truth = one.points[None]
    found = track_face(tracker, one.picture, box_of(one.points))
    if found is None:
        return {"lost": True, **lost(truth).record()}
    mesh, _ = found
    return point_errors(truth, mesh, np.zeros(1, int), tracker.outline(mesh)).record()


def _video(video: AnnotatedVideo, tracker: FlowFace) -> Record:
    truth, frames = video.read(), np.array(video.frames, np.int64)
    found = track_face(tracker, video.video, box_of(truth[0], frame=int(frames[0])))
    if found is None:
        return {"lost": True, **lost(truth).record()}
    mesh, numbers = found
    at = np.searchsorted(numbers, frames)
    there = (at < len(numbers)) & (numbers[np.minimum(at, len(numbers) - 1)] == frames)
    errors = point_errors(truth, mesh, np.where(there, at, -1), tracker.outline(mesh))
    return {"frames": len(frames), "not_in_the_video": int(np.sum(~there)), **errors.record()}


def _take(take: Take, bound_in: int | None, tracker: FlowFace) -> Record:
    marks = take.marks
    first = marks.seen[:, 0][np.isfinite(marks.seen[:, 0, 0])]
    choice = FaceChoice("point", tuple(first.mean(axis=0).tolist()), int(marks.frames[0]))
    found = track_face(tracker, take.clip, choice)
    if found is None:
        return {"lost": True}
    mesh, numbers = found
    errors = reprojection_errors(mesh, numbers, marks, bound_in)
    return take_figures(mesh, errors, marks, load_head(tracker.head_name).regions["face"])
