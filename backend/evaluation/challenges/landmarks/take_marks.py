"""Marks of a person's skin that somebody set by hand in frames of a take, as seeds/003 §4 annotates them.

A take is a folder with its footage (one video, or one numbered sequence of pictures) and ``marks.csv``:

    mark,frame,x,y
    mole on the chin,1,612.5,704.0
    mole on the chin,31,618.2,699.4

or ``marks.json``, ``[{"mark": "mole on the chin", "frame": 1, "x": 612.5, "y": 704.0}, …]``. Frames are the footage's
own: a video's count from 1, a sequence's are the numbers in its names. ``x`` and ``y`` are pixels from the picture's
top left corner, to the right and down: the middle of the first pixel is 0.5, 0.5. A mark needs two frames or more, and
pimples, moles or scars away from eyes, brows, nose and lips tell most ("salient landmarks that do not correspond to any
typical facial landmark").
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.evaluation.challenges.layout import MAX_NAMED, refuse_missing, require_folder
from backend.footage import FootageInfo, open_footage
from backend.reading import is_file, read_bounded, read_json, shown

F64 = NDArray[np.float64]

NAMES = ("marks.csv", "marks.json")
COLUMNS = ("mark", "frame", "x", "y")
VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mts", ".m2ts", ".mxf"})
MAX_BYTES = 16 << 20
MOST_MARKS = 1000
HINT = "Columns are mark,frame,x,y, as backend/evaluation/challenges/landmarks/take_marks.py describes."


@dataclass(frozen=True)
class SetMark:
    """One mark in one frame: where it is said (a line or an entry), its name, frame and place in pixels."""

    where: str
    mark: str
    frame: int
    x: float
    y: float


@dataclass(frozen=True, eq=False)
class TakeMarks:
    """K marks of a take: their ``names``, the footage's ``frames (F,)`` in which any is set, ascending, and ``seen
    (K,F,2)`` in pixels, NaN where a mark is not set."""

    names: tuple[str, ...]
    frames: NDArray[np.int64]
    seen: F64


@dataclass(frozen=True, eq=False)
class Take:
    """A take's name, its footage, the marks in it, and the ``files`` that all this was read from."""

    name: str
    clip: Path
    marks: TakeMarks
    files: tuple[Path, ...]


def read_take(folder: Path, bound_in: int | None = None) -> Take:
    """The take in a folder, whose marks are to be bound in a frame, or each in its first.

    Raises UserError ``challenge_layout`` where marks are missing, or there twice, or footage is; what reading footage
    raises; ``bad_frames`` where no mark is set in ``bound_in``; and what ``read_marks`` raises.
    """
    require_folder(folder, "a take")
    there = [folder / name for name in NAMES if is_file(folder / name)]
    refuse_missing(folder, "a marked take", [] if there else [" or ".join(NAMES)], HINT)
    files = (file for file in folder.iterdir() if not file.name.startswith("."))
    videos = sorted(file for file in files if file.suffix.lower() in VIDEO_SUFFIXES)
    for several, what in ((there, "files of marks"), (videos, "videos")):
        if len(several) > 1:
            names = ", ".join(file.name for file in several[:MAX_NAMED])
            sentence = f"{shown(folder)} holds {len(several)} {what}, where a take has one: {names}."
            raise UserError(ErrorCode.CHALLENGE_LAYOUT, sentence, "Give each take a folder of its own.")
    clip = videos[0] if videos else folder
    info = open_footage(clip).info
    marks = read_marks(there[0], info)
    if bound_in is not None and bound_in not in marks.frames:
        sentence = f"{shown(there[0])} sets no mark in frame {bound_in}, in which they should be bound."
        raise UserError(ErrorCode.BAD_FRAMES, sentence, "Choose another with --bind, or leave it out.")
    return Take(folder.resolve().name, clip, marks, (there[0], *(info.files or (clip,))))


def read_marks(path: Path, info: FootageInfo) -> TakeMarks:
    """The marks of a file, of footage as ``info`` tells.

    Raises UserError ``bad_file`` naming every line that is wrong: no number, a frame or place outside the footage, a
    mark twice in a frame or in one frame only; ``file_missing`` and ``too_large``.
    """
    entries, wrong = _entries(path)
    numbers = set(info.numbers) or range(info.first_frame, info.last_frame + 1)
    at: dict[tuple[str, int], SetMark] = {}
    for entry in entries:
        if entry.frame not in numbers:
            told = f"the footage has no frame {entry.frame}, only {info.first_frame} to {info.last_frame}"
        elif not (0 <= entry.x <= info.width and 0 <= entry.y <= info.height):
            told = f"({entry.x:g}, {entry.y:g}) is outside the picture of {info.width} x {info.height} pixels"
        elif (entry.mark, entry.frame) in at:
            told = f"“{entry.mark[:40]}” is set twice in frame {entry.frame}"
        else:
            at[entry.mark, entry.frame] = entry
            continue
        wrong.append(f"{entry.where}: {told}.")
    names = tuple(dict.fromkeys(mark for mark, _ in at))
    counts = {name: sum(mark == name for mark, _ in at) for name in names}
    wrong += [f"“{name[:40]}” is set in one frame only." for name, count in counts.items() if count < 2 and not wrong]
    if not names and not wrong:
        wrong.append("It holds no marks.")
    if len(names) > MOST_MARKS:
        wrong.append(f"It holds {len(names)} marks, more than {MOST_MARKS}.")
    if wrong:
        more = f" And {len(wrong) - MAX_NAMED} more." if len(wrong) > MAX_NAMED else ""
        sentence = f"The marks in {shown(path)} cannot be used. {' '.join(wrong[:MAX_NAMED])}{more}"
        raise UserError(ErrorCode.BAD_FILE, sentence, HINT)
    frames = np.array(sorted({frame for _, frame in at}), np.int64)
    seen = np.full((len(names), len(frames), 2), np.nan)
    for (mark, frame), entry in at.items():
        seen[names.index(mark), np.searchsorted(frames, frame)] = entry.x, entry.y
    return TakeMarks(names, frames, seen)


def _entries(path: Path) -> tuple[list[SetMark], list[str]]:
    """What the file says, and sentences on what it says wrongly."""
    entries, wrong = [], []
    for where, told in _json_rows(path) if path.suffix.lower() == ".json" else _csv_rows(path):
        found = _entry(where, told)
        if isinstance(found, SetMark):
            entries.append(found)
        else:
            wrong.append(f"{where}: {found}.")
    return entries, wrong


def _csv_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    text = read_bounded(path, "marks", MAX_BYTES).decode("utf-8-sig", "replace")
    reader = csv.reader(text.splitlines(), strict=True)
    columns: list[str] = []
    try:
        for row in reader:
            if not any(cell.strip() for cell in row) or row[0].startswith("#"):
                continue
            if columns:
                yield f"Line {reader.line_num}", dict(zip(columns, row, strict=False))
                continue
            columns = [cell.strip().lower() for cell in row]
            absent = [name for name in COLUMNS if name not in columns]
            if absent:
                sentence = f"{shown(path)}, line {reader.line_num}: there is no column {', '.join(absent)}."
                raise UserError(ErrorCode.BAD_FILE, sentence, HINT)
    except csv.Error as error:
        sentence = f"{shown(path)}, line {reader.line_num}: it cannot be read as a table ({error})."
        raise UserError(ErrorCode.BAD_FILE, sentence, HINT) from error


def _json_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    told = read_json(path, "marks", MAX_BYTES)
    rows = told.get("marks") if isinstance(told, dict) else told
    if not isinstance(rows, list):
        raise UserError(ErrorCode.BAD_FILE, f"{shown(path)} is no list of marks.", HINT)
    for number, row in enumerate(rows, start=1):
        yield f"Entry {number}", row if isinstance(row, dict) else {}


def _entry(where: str, told: Mapping[str, Any]) -> SetMark | str:
    """The mark of a row, or what is wrong with it."""
    mark = str(told.get("mark", "")).strip()
    if not mark:
        return "it names no mark"
    values = []
    for name in COLUMNS[1:]:
        try:
            value = math.nan if isinstance(told[name], bool) else float(told[name])
        except (KeyError, TypeError, ValueError, OverflowError):
            value = math.nan
        if not math.isfinite(value) or (name == "frame" and value != int(value)):
            return f"{name} is “{str(told.get(name, ''))[:40]}”, not a {'whole ' * (name == 'frame')}number"
        values.append(value)
    return SetMark(where, mark, int(values[0]), values[1], values[2])
