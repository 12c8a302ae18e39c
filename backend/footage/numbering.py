"""The numbers in files' names: which of them counts the pictures, and where they stand on Blender's timeline. Pure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

from backend.footage.types import MAX_FRAMES

# A date with a time of day is one number, as are seconds since 1970 with their fraction; a minus counts where nothing
# that is part of a name stands before it.
_NUMBER = re.compile(
    r"(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])[-_. T]{0,2}"
    r"(?:[01]\d|2[0-3])[-_.:h]?[0-5]\d[-_.:m]?[0-5]\d(?:\d{1,9}(?!\d)|[-_.,]\d{3}(?!\d))?"
    r"|(?<!\d)\d{10}\.\d{1,9}(?!\d)|(?:^|(?<=[._ ]))-\d+|\d+"
)
_MANY = 3  # times as many values as another number has, and a number is the one that counts
_EVEN = 1.5  # the largest step over the smallest, of seconds in decimals
_DATE_DIGITS = 14
_STAMP_DIGITS = 10  # seconds since 1970 have so many; numbers of frames have fewer


class Name(NamedTuple):
    """A file's name without its ending, cut at its numbers: ``texts`` around and between ``numbers`` as written."""

    texts: tuple[str, ...]
    numbers: tuple[str, ...]


@dataclass(frozen=True)
class Numbered:
    """Names that differ in what counts the pictures: ``numbers[i]`` belongs to ``items[i]``; ascending."""

    items: tuple[int, ...]  # indices into the names that were given
    numbers: tuple[int, ...]
    stamps: bool = False  # the numbers are times of day, or since some epoch


def split_name(stem: str) -> Name:
    """A name's texts and numbers, one text more than numbers."""
    found = list(_NUMBER.finditer(stem))
    ends = [0, *(match.end() for match in found)]
    starts = [*(match.start() for match in found), len(stem)]
    texts = tuple(stem[end:start] for end, start in zip(ends, starts, strict=True))
    return Name(texts, tuple(match.group() for match in found))


def value(number: str) -> int:
    """A number of a name: of a date with a time of day and of seconds with a fraction, nanoseconds."""
    digits = re.sub(r"\D", "", number)
    if len(digits) >= _DATE_DIGITS and _NUMBER.fullmatch(number) and digits[:2] in ("19", "20"):
        try:
            moment = datetime.strptime(digits[:_DATE_DIGITS], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
            return int(moment.timestamp()) * 10**9 + int(digits[_DATE_DIGITS:].ljust(9, "0")[:9])
        except ValueError:  # 30 February
            pass
    seconds, point, fraction = number.partition(".")
    if point and len(seconds) == _STAMP_DIGITS:
        return int(seconds) * 10**9 + int(fraction.ljust(9, "0"))
    return -int(digits) if number.startswith("-") else int(digits)


def sequences(stems: Sequence[str]) -> list[Numbered]:
    """The names cut into sequences, in an order that only the names decide; names without numbers are in none.

    Names that differ in their numbers only are one sequence where one number grows and all others keep or grow with
    it (a time stamp beside a frame number). Otherwise the number with by far the fewest values tells sequences apart
    (a camera, a version), or the one of the fewest digits where they have about as many; a number with decimals that
    grows evenly is one. Of two spellings of one number (1, 01) the first given stays.
    """
    alike: dict[tuple[str, ...], list[int]] = defaultdict(list)
    names = [split_name(stem) for stem in stems]
    for index, name in enumerate(names):
        if name.numbers:
            alike[name.texts].append(index)
    found: list[Numbered] = []
    for texts in sorted(alike):
        members = alike[texts]
        found += _cut({index: tuple(value(number) for number in names[index].numbers) for index in members}, names)
    return found


def _cut(rows: dict[int, tuple[int, ...]], names: Sequence[Name]) -> list[Numbered]:
    columns = list(zip(*rows.values(), strict=True))
    kinds = [len(set(column)) for column in columns]
    varying = [at for at, kind in enumerate(kinds) if kind > 1]
    if len(varying) <= 1:
        at = varying[0] if varying else len(columns) - 1
        return [_numbered({index: row[at] for index, row in rows.items()}, at, names)]
    counting = [at for at in varying if kinds[at] == len(rows) and _explains(at, varying, columns)]
    if counting:
        at = min(counting, key=lambda at: (-_evenness(columns[at]), _usual_step(columns[at]), -at))
        return [_numbered({index: row[at] for index, row in rows.items()}, at, names)]
    whole, *others = varying
    if others == [whole + 1] and (seconds := _decimals(whole, rows, names)):
        return [_numbered(seconds, whole, names)]
    apart = min(varying, key=lambda at: (kinds[at], at))
    if max(kinds[at] for at in varying) <= _MANY * kinds[apart]:
        widths = {at: min(len(names[index].numbers[at]) for index in rows) for at in varying}
        apart = min(varying, key=lambda at: (widths[at], kinds[at], at))
    groups: dict[int, dict[int, tuple[int, ...]]] = defaultdict(dict)
    for index, row in rows.items():
        groups[row[apart]][index] = row
    return [found for key in sorted(groups) for found in _cut(groups[key], names)]


def _decimals(at: int, rows: Mapping[int, tuple[int, ...]], names: Sequence[Name]) -> dict[int, int]:
    """The number ``at`` with the next one as its decimals (0.96, 1.00), where it grows evenly; empty otherwise."""
    widths = {len(names[index].numbers[at + 1]) for index in rows}
    if len(widths) > 1 or any(names[index].texts[at + 1] != "." for index in rows):
        return {}
    scale = 10 ** widths.pop()
    numbers = {index: row[at] * scale + row[at + 1] for index, row in rows.items()}
    steps = _steps(list(numbers.values()))
    return numbers if min(steps) > 0 and max(steps) <= _EVEN * min(steps) else {}


def _explains(at: int, varying: Sequence[int], columns: Sequence[tuple[int, ...]]) -> bool:
    """True where no other column falls as this one grows."""
    order = sorted(range(len(columns[at])), key=columns[at].__getitem__)
    rising = ([columns[other][row] for row in order] for other in varying)
    return all(a <= b for values in rising for a, b in pairwise(values))


def _numbered(values: dict[int, int], at: int, names: Sequence[Name]) -> Numbered:
    first: dict[int, int] = {}
    for index, number in values.items():
        first.setdefault(number, index)
    ordered = sorted(first.items())
    stamps = all(len(re.sub(r"\D", "", names[index].numbers[at])) >= _STAMP_DIGITS for _, index in ordered)
    return Numbered(tuple(index for _, index in ordered), tuple(number for number, _ in ordered), stamps)


def _steps(numbers: Sequence[int]) -> list[int]:
    ordered = sorted(numbers)
    return [b - a for a, b in pairwise(ordered)]


def _usual_step(numbers: Sequence[int]) -> int:
    """The most common step, of several the smallest."""
    counted = Counter(_steps(numbers))
    return min(counted, key=lambda step: (-counted[step], step))


def _evenness(numbers: Sequence[int]) -> float:
    steps = _steps(numbers)
    return steps.count(_usual_step(numbers)) / len(steps)


def belong_together(numbers: Sequence[int], own: int, *, stamps: bool = False) -> bool:
    """True where the picture of number ``own`` is one of a sequence, not one of several photographs of a camera.

    It is where its number's neighbour is there; where of three or more pictures at least half, and two, of the steps
    are the same one; where a quarter of the numbers from first to last are there; and for time stamps where most steps
    are about as long as the median.
    """
    if len(numbers) < 2:
        return False
    if {own - 1, own + 1} & set(numbers):
        return True
    steps = _steps(numbers)
    if len(numbers) < 3:
        return False
    if stamps:
        median = sorted(steps)[len(steps) // 2]
        return sum(0.5 * median <= step <= 2 * median for step in steps) > 0.6 * len(steps)
    same = steps.count(_usual_step(numbers))
    return (same >= 2 and 2 * same >= len(steps)) or 4 * len(numbers) > max(numbers) - min(numbers)


def on_timeline(numbers: Sequence[int], *, stamps: bool = False) -> tuple[tuple[int, ...], str]:
    """Frame numbers that Blender's timeline has, for ascending ``numbers``, and in words what was done to them.

    Numbers in 0 … ``MAX_FRAMES`` keep their places. Others are moved to begin at 1, with their gaps where those fit;
    time stamps, and what does not fit, count from 1.
    """
    first, last = numbers[0], numbers[-1]
    if not stamps and first >= 0 and last <= MAX_FRAMES:
        return tuple(numbers), ""
    if not stamps and last - first < MAX_FRAMES:
        moved = tuple(number - first + 1 for number in numbers)
        return moved, f"The pictures' numbers, {first} to {last}, were moved to begin at frame 1: {_why(first)}."
    what = "time stamps" if stamps else f"numbers, {first} to {last},"
    said = f"The pictures' {what} are no frames of a timeline: the pictures were counted from frame 1."
    return tuple(range(1, len(numbers) + 1)), said


def _why(first: int) -> str:
    return "they are negative" if first < 0 else f"Blender's timeline ends at frame {MAX_FRAMES}"
