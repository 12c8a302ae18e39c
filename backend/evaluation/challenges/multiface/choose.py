"""Which sequences are looked at: those of a list, or a seeded choice within the limits of seeds/000 §C.

A list is TOML::

    [[sequence]]
    subject = "m--20180227--0000--6795937--GHS"
    segment = "E057_Cheeks_Puffed"
    cameras = ["400007"]         the first is the one in which motion is measured
    frames = ["021897", "021900"]    may be left out: first and last frame
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backend.errors import ErrorCode, UserError
from backend.evaluation.challenges.layout import refuse_missing
from backend.evaluation.challenges.multiface.layout import HINT, Subject, head_pose, head_vertices
from backend.evaluation.challenges.multiface.topology import Topology, view_angles
from backend.files import write_atomic
from backend.reading import read_bounded, shown

SUBJECTS = 10
SEQUENCES = 86
"""Of so many subjects and sequences in all, eight or nine of each (seeds/000 §C)."""
MOST_ASIDE, MOST_ABOVE = 60.0, 35.0
"""Degrees that a camera stands to the side of a face and above or below it (seeds/000 §C)."""
SHORTEST, LONGEST = 60, 120
"""Frames of a sequence: two to four seconds (seeds/000 §C); of longer ones the beginning is taken."""
MAX_CAMERAS = 6
MAX_LIST_BYTES = 4 << 20


@dataclass(frozen=True)
class Chosen:
    """A sequence: its ``frames`` have a mesh and a picture in each of ``cameras``."""

    subject: Subject
    segment: str
    cameras: tuple[str, ...]
    frames: tuple[str, ...]

    @property
    def key(self) -> tuple[str, ...]:
        return self.subject.name, self.segment, *self.cameras, self.frames[0], self.frames[-1]


def choose(subjects: Sequence[Subject], topology: Topology, cameras: int, seed: int) -> list[Chosen]:
    """As many sequences as there are in the paper, or as the folder has; the same for the same folder and ``seed``.

    Segments of at least two seconds come first. Each subject's and segment's cameras are drawn among those within
    ``MOST_ASIDE`` and ``MOST_ABOVE`` of the front in its first frame; segments with fewer than ``cameras`` of them are
    left out.
    """
    rng = np.random.default_rng(seed)
    some = sorted(rng.permutation(len(subjects))[:SUBJECTS].tolist())
    found: list[Chosen] = []
    for number, index in enumerate(some):
        subject = subjects[index]
        wanted = SEQUENCES // SUBJECTS + (number < SEQUENCES % SUBJECTS)
        segments = subject.segments
        short = {segment: len(subject.frames(segment)) < SHORTEST for segment in segments}
        order = sorted((segments[i] for i in rng.permutation(len(segments))), key=short.__getitem__)
        taken = 0
        for segment in order:
            if taken == wanted:
                break
            facing = facing_cameras(subject, segment, topology)
            drawn = tuple(facing[i] for i in rng.permutation(len(facing))[:cameras])
            frames = subject.frames(segment, drawn)[:LONGEST]
            if len(drawn) == cameras and len(frames) > 1:
                found.append(Chosen(subject, segment, drawn, tuple(frames)))
                taken += 1
    return sorted(found, key=lambda entry: entry.key)


def facing_cameras(subject: Subject, segment: str, topology: Topology) -> list[str]:
    """The cameras with pictures of a segment that see its first frame's face within the limits, by name."""
    frames = subject.frames(segment)
    if not frames:
        return []
    pose = head_pose(subject, segment, frames[0])
    keypoints = head_vertices(subject, segment, frames[0])[topology.keypoints] @ pose[:, :3].T + pose[:, 3]
    found = []
    for name in subject.cameras_of(segment):
        aside, above = view_angles(keypoints, subject.cameras[name].position)
        if abs(aside) <= MOST_ASIDE and abs(above) <= MOST_ABOVE:
            found.append(name)
    return sorted(found)


def read_list(path: Path, subjects: Sequence[Subject]) -> list[Chosen]:
    """The sequences of a list.

    Raises UserError ``bad_list`` naming the entry's field; ``challenge_layout`` naming everything that is not there.
    """
    try:
        told = tomllib.loads(read_bounded(path, "list of sequences", MAX_LIST_BYTES).decode()).get("sequence")
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UserError(ErrorCode.BAD_LIST, f"{shown(path)} is no TOML: {str(error)[:200]}.") from error
    if not isinstance(told, list) or not told or not all(isinstance(entry, dict) for entry in told):
        raise _bad(path, 1, "[[sequence]]", "a table of a subject, a segment and cameras")
    by_name = {subject.name: subject for subject in subjects}
    missing: list[Path | str] = []
    found = [_entry(path, number, entry, by_name, missing) for number, entry in enumerate(told, 1)]
    refuse_missing(subjects[0].folder.parent, "Multiface", missing, HINT)
    return [entry for entry in found if entry is not None]


def _entry(
    path: Path, number: int, entry: Mapping[str, Any], subjects: Mapping[str, Subject], missing: list[Path | str]
) -> Chosen | None:
    name, segment, cameras = (entry.get(field) for field in ("subject", "segment", "cameras"))
    if not isinstance(name, str):
        raise _bad(path, number, "subject", "the name of a folder m--…--GHS")
    if not isinstance(segment, str) or "/" in segment or segment in ("", ".", ".."):
        raise _bad(path, number, "segment", "the name of a folder of images")
    if not isinstance(cameras, list) or not 1 <= len(set(map(str, cameras))) == len(cameras) <= MAX_CAMERAS:
        raise _bad(path, number, "cameras", f"one to {MAX_CAMERAS} different names of cameras")
    span = entry.get("frames", [])
    if not isinstance(span, list) or len(span) not in (0, 2) or not all(str(frame).isdigit() for frame in span):
        raise _bad(path, number, "frames", "the first and the last frame")
    subject = subjects.get(name)
    if subject is None:
        missing.append(name)
        return None
    names = tuple(map(str, cameras))
    lost: list[Path | str] = [f"camera {camera} in {name}/KRT" for camera in names if camera not in subject.cameras]
    lost += [subject.folder / "images" / segment / c for c in names if not subject.pictures(segment, c)]
    lost += subject.lacking(segment)
    missing += lost
    if lost:
        return None
    low, high = (int(frame) for frame in span) if span else (0, 1 << 62)
    frames = tuple(frame for frame in subject.frames(segment, names) if low <= int(frame) <= high)
    if len(frames) < 2:
        missing.append(f"two frames of {name}/{segment} with a mesh and a picture of {', '.join(names)}")
        return None
    return Chosen(subject, segment, names, frames)


def _bad(path: Path, number: int, field: str, expected: str) -> UserError:
    return UserError(
        ErrorCode.BAD_LIST,
        f"“{field}” of sequence {number} in {shown(path)} must be {expected}.",
        "See backend/evaluation/challenges/multiface/choose.py.",
    )


def write_list(path: Path, chosen: Sequence[Chosen]) -> None:
    """Write the list that ``read_list`` reads."""
    entries = [
        "\n".join(
            [
                "[[sequence]]",
                f"subject = {json.dumps(entry.subject.name)}",
                f"segment = {json.dumps(entry.segment)}",
                f"cameras = {json.dumps(list(entry.cameras))}",
                f"frames = {json.dumps([entry.frames[0], entry.frames[-1]])}",
            ]
        )
        for entry in chosen
    ]
    write_atomic(path, ("\n\n".join(entries) + "\n").encode(), public=True)
