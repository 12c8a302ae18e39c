"""Reads recordings of Live Link Face, and what other programs write for one (``protocol.live_link`` has the format).

Other programs count frames at their own rate, spell and order columns otherwise, part them by semicolons, leave lines
blank and frames out, and break off in a line: all that is unmistakable is read, anything else is a sentence.
"""

from __future__ import annotations

import csv
import io
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .face_actions import ARKIT_ACTIONS
from .live_link import ACTIONS, ANGLES, COLUMNS, COUNT, DAY, RATE, TIMECODE, Recording

F64 = NDArray[np.float64]

RATES = (24.0, 25.0, 30.0, 48.0, 50.0, 60.0, 100.0, 120.0, 240.0)
"""Frames a second that timecodes count."""
MAX_BYTES = 256 << 20
"""Of a recording: about an hour and a half of the app's, 800 bytes a row at 60 rows a second."""
_TIMECODE = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})([:;])(\d{1,3}(?:\.\d{1,9})?)")
_NO_VALUE = {"", "null", "none", "n/a"}


class BadRecording(Exception):  # noqa: N818 - its text is a sentence for the user
    """The reason for which a recording cannot be read."""


def from_csv(data: bytes, rate: float | None = None) -> Recording:
    """Read a recording of the app's or of another program's.

    Columns are found by name, however it is capitalised. Blank lines, unknown columns, rows without a face and rows
    whose timecode does not go on are left out; single numbers that are missing are interpolated. ``rate`` is what the
    timecode counts, frames a second; without it the file tells, and where it has no timecode it is that of its rows.

    Raises:
        BadRecording: it is too large, or no such file; says where.
    """
    if len(data) > MAX_BYTES:
        raise BadRecording(f"The file has {len(data) >> 20} MiB; a recording has at most {MAX_BYTES >> 20}.")
    rows = _rows(_text(data))
    names = _columns(next(rows, _Row(1, [])).cells)
    table = _table(rows, names)
    if not len(table.values):
        raise BadRecording("The file has a heading and no frame of a face under it.")
    if table.codes:
        rate = rate or _rate_of(table.codes)
        seconds = _seconds(table.codes, rate)
    else:
        rate = rate or RATE
        seconds = np.arange(len(table.values)) / rate
    goes_on = seconds > np.concatenate([[-np.inf], np.maximum.accumulate(seconds)[:-1]])
    if np.count_nonzero(goes_on) < len(seconds) / 2:
        raise BadRecording(f"The column “{TIMECODE}” does not go on from row to row.")
    times = seconds[goes_on] - seconds[0]
    numbers = _filled(table.columns, table.values[goes_on], times)
    named = dict(zip(ACTIONS, COLUMNS, strict=False))
    weights = {action: numbers[named[action]] for action in ARKIT_ACTIONS if named[action] in numbers}
    if not weights:
        raise BadRecording("The file has no number of any ARKit action.")
    head, eyes = _angles(numbers, ANGLES[:3], times), _angles(numbers, ANGLES[3:], times)
    left_out = table.left_out + len(seconds) - len(times)
    start = float(seconds[0] % DAY)
    return Recording(times, weights, head, None if eyes is None else eyes.reshape(-1, 2, 3), start, rate, left_out)


@dataclass(frozen=True)
class _Row:
    """A line that is not blank: its number in the file, and its cells."""

    line: int
    cells: list[str]


@dataclass(frozen=True)
class _Code:
    """A timecode: seconds of the day, and frames with what is after the point; ``drops`` where numbers are left out."""

    seconds: int
    frames: float
    drops: bool


@dataclass(frozen=True, eq=False)
class _Table:
    """The rows with a face: timecodes, none where there is no such column, and numbers (T,C), NaN where missing."""

    columns: Sequence[str]
    codes: Sequence[_Code]
    values: F64
    left_out: int


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRecording("The file is not text.") from error


def _rows(text: str) -> Iterator[_Row]:
    heading = next((line for line in io.StringIO(text) if line.strip()), "")
    separator = max(",;\t", key=heading.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            while cells and not cells[-1]:
                cells.pop()
            if cells:
                # Where commas do not part columns, they are decimal points.
                yield _Row(reader.line_num, cells if separator == "," else [cell.replace(",", ".") for cell in cells])
    except csv.Error as error:
        raise BadRecording(f"Line {reader.line_num} is no line of a table: {error}.") from error


def _columns(heading: Sequence[str]) -> dict[str, int]:
    """Where each known column is, by its name in the format."""
    known = {_plain(name): name for name in (TIMECODE, COUNT, *COLUMNS)}
    found: dict[str, int] = {}
    for index, cell in enumerate(heading):
        name = known.get(_plain(cell))
        if name in found:
            raise BadRecording(f"The heading has the column “{name}” twice.")
        if name is not None:
            found[name] = index
    if not any(name in found for name in COLUMNS[: len(ACTIONS)]):
        raise BadRecording("The first line names no ARKit action, such as “JawOpen”: this is no recording of a face.")
    return found


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _table(rows: Iterator[_Row], names: Mapping[str, int]) -> _Table:
    wanted = {name: index for name, index in names.items() if name in COLUMNS}
    all_rows = list(rows)
    seen = [row for row in all_rows if not _is_empty(row.cells, names, wanted)]
    if len(seen) > 1 and len(seen[-1].cells) < len(seen[-2].cells):
        seen.pop()  # the recording broke off in its last line
    values = [_numbers(row, wanted) for row in seen]
    codes = [_code(row, names[TIMECODE]) for row in seen] if TIMECODE in names else []
    return _Table(tuple(wanted), codes, np.array(values, np.float64), len(all_rows) - len(seen))


def _is_empty(cells: Sequence[str], names: Mapping[str, int], wanted: Mapping[str, int]) -> bool:
    """True of a row that says that no face was seen: a count of 0, or no numbers."""
    count = names.get(COUNT)
    if count is not None and count < len(cells) and cells[count] in ("0", "0.0"):
        return True
    return not any(index < len(cells) and cells[index] for index in wanted.values())


def _numbers(row: _Row, wanted: Mapping[str, int]) -> list[float]:
    try:
        numbers = [float(row.cells[index]) for index in wanted.values()]
    except (ValueError, IndexError):
        numbers = [
            _number(row.cells[index] if index < len(row.cells) else "", row.line, name)
            for name, index in wanted.items()
        ]
    if any(math.isinf(number) for number in numbers):
        name = next(name for name, number in zip(wanted, numbers, strict=True) if math.isinf(number))
        raise BadRecording(f"Line {row.line}, column “{name}”: the number is not finite.")
    return numbers


def _number(cell: str, line: int, name: str) -> float:
    if cell.lower() in _NO_VALUE:
        return math.nan
    try:
        return float(cell)
    except ValueError:
        raise BadRecording(f"Line {line}, column “{name}”: “{cell[:40]}” is no number.") from None


def _code(row: _Row, index: int) -> _Code:
    cell = row.cells[index] if index < len(row.cells) else ""
    match = _TIMECODE.fullmatch(cell)
    if match is None:
        example = "such as 13:04:31:52.125"
        raise BadRecording(f"Line {row.line}, column “{TIMECODE}”: “{cell[:40]}” is no timecode {example}.")
    hours, minutes, seconds, separator, frames = match.groups()
    return _Code(int(hours) * 3600 + int(minutes) * 60 + int(seconds), float(frames), separator == ";")


def _rate_of(codes: Sequence[_Code]) -> float:
    """What timecodes count: frames up to where a second ends; the app's rate where none does."""
    most = max(int(code.frames) for code in codes)
    pairs = list(itertools.pairwise(codes))
    steps = [after.frames - before.frames for before, after in pairs if after.seconds == before.seconds]
    step = float(np.median(steps)) if steps else 1.0
    ends = [before.frames + step - after.frames for before, after in pairs if after.seconds == before.seconds + 1]
    counted = max(float(np.median(ends)), most + 1.0) if ends else max(RATE, most + 1.0)
    nearest = min(RATES, key=lambda rate: abs(rate - counted))
    return nearest if most < nearest and abs(nearest - counted) < 0.1 * nearest else float(math.ceil(counted))


def _seconds(codes: Sequence[_Code], rate: float) -> F64:
    """(T,) seconds; a recording that goes on over midnight goes on counting."""
    whole = np.array([code.seconds for code in codes], np.int64)
    frames = whole * rate + [code.frames for code in codes]
    if any(code.drops for code in codes):
        # SMPTE 12M: two numbers of 30 are left out in each minute that is not a tenth, which makes 29.97 a second.
        minutes = whole // 60
        frames -= round(rate / 15) * (minutes - minutes // 10)
        rate *= 1000 / 1001
    seconds = frames / rate
    midnights = np.cumsum(np.diff(seconds, prepend=seconds[0]) < -DAY / 2)
    return np.asarray(seconds + DAY * midnights, np.float64)


def _filled(columns: Sequence[str], values: F64, times: F64) -> dict[str, F64]:
    """The columns that have numbers, by name; missing ones are interpolated."""
    filled = {}
    for name, column in zip(columns, values.T, strict=True):
        known = np.isfinite(column)
        if known.any():
            filled[name] = column if known.all() else np.interp(times, times[known], column[known])
    return filled


def _angles(numbers: Mapping[str, F64], names: Sequence[str], times: F64) -> F64 | None:
    """(T,len(names)) angles, zero where one is missing; None where all are."""
    if not any(name in numbers for name in names):
        return None
    return np.stack([numbers.get(name, np.zeros(len(times))) for name in names], axis=1)
