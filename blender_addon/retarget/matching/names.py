"""What shape keys mean, told by their names, in the spellings of the field.

A name is read as words: prefixes, numbers and suffixes that say nothing are left out, and what is left must be one of
``spellings``' phrases, in any order, with at most one side. So a side is never guessed: it is in the name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from ...vendor import face_actions
from ..mapping import KeyLink, Response
from . import spellings

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_a-zA-Z]+")
_COMPONENT = re.compile(r"[.:|]|__")
_SIDES = {"left": "Left", "right": "Right"}
_GAZES = {"lookLeft": ("eyeLookOutLeft", "eyeLookInRight"), "lookRight": ("eyeLookInLeft", "eyeLookOutRight")}
"""Actions of a key that turns both eyes to a side."""
_WHOLE, _PARTS, _BOTH = 0, 100, 200
"""Ranks of a key for the action itself, of parts of it, and of a key that does both sides: the lowest is taken."""


@dataclass(frozen=True)
class _Reading:
    """What a name says: an action without its side, how likely a spelling (0 first), which part of a phrase's."""

    stem: str
    rank: int
    part: int
    parts: int
    side: str


def match(names: Sequence[str]) -> tuple[KeyLink, ...]:
    """The links of the keys whose names say which action they are, in the order of ``ARKIT_ACTIONS``.

    An action with several keys (one a side, upper and lower) has a link to each; a key that does both sides gets half
    of each side's action.
    """
    readings = {name: reading for name in names if (reading := read(name, names)) is not None}
    links = [link for action in face_actions.ARKIT_ACTIONS for link in _links_of(action, readings)]
    return (*links, *_vowels(names, {link.action for link in links}))


def read(name: str, names: Sequence[str] = ()) -> _Reading | None:
    """What one name says; ``names`` are those beside it, which tell an all-lower-case “r” of a side from others."""
    found = [reading for words in _word_lists(name) for reading in [_look(words) or _phrase(words)] if reading]
    if not found:
        return None
    sided = [reading for reading in found if reading.side]
    if sided and len({reading.side for reading in found}) > 1:
        mirrored = name[:-1] + {"l": "r", "r": "l", "L": "R", "R": "L"}.get(name[-1], "")
        found = sided if mirrored in names else [reading for reading in found if not reading.side]
    return min(found, key=lambda reading: reading.rank)


def plain(name: str) -> str:
    """A name without prefix, suffix, numbers, capitals and separators, to find a preset's key under another mesh's."""
    return "".join(word.lower() for word in _trimmed(_WORD.findall(component(name))))


def _links_of(action: str, readings: dict[str, _Reading]) -> list[KeyLink]:
    side = next((side for side in _SIDES.values() if action.endswith(side)), "")
    stem = action.removesuffix(side)
    ways: dict[tuple[int, int], dict[tuple[str, int], str]] = {}
    for name, reading in readings.items():
        if reading.stem != stem and action not in _GAZES.get(reading.stem, ()):
            continue
        kind = _kind(reading, side)
        if kind is not None:
            keys = ways.setdefault((kind, reading.rank), {})
            place = (reading.side, reading.part)
            if place not in keys or len(name) < len(keys[place]):
                keys[place] = name
    whole = {way: keys for way, keys in ways.items() if _complete(way[0], keys, readings)}
    if not whole:
        return []
    (kind, _), keys = min(whole.items(), key=lambda item: item[0][0] + item[0][1])
    response = Response(gain=0.5) if kind == _BOTH else Response()
    return [KeyLink(action, name, response) for name in keys.values()]


def _kind(reading: _Reading, side: str) -> int | None:
    """How a key serves an action of a side, or of none; None where it does not."""
    if side:
        return _WHOLE if reading.side == side else _BOTH if not reading.side else None
    return _WHOLE if not reading.side and reading.parts == 1 else _PARTS


def _complete(kind: int, keys: dict[tuple[str, int], str], readings: dict[str, _Reading]) -> bool:
    """Parts count where they are all there."""
    if kind != _PARTS:
        return True
    parts = readings[next(iter(keys.values()))].parts
    sides = {side for side, _ in keys}
    wanted = ("Left", "Right") if sides - {""} else ("",)
    return all((side, part) in keys for side in wanted for part in range(parts))


def _vowels(names: Sequence[str], taken: set[str]) -> Iterator[KeyLink]:
    """Links of keys that are the mouths of vowels, where all five are there, for actions that no other key has."""
    by_words = {tuple(_words(name)): name for name in reversed(names)}
    for family in spellings.VOWEL_NAMES:
        for words in by_words:
            keys = [by_words.get((*words[:-1], vowel)) for vowel in family]
            if None not in keys:
                for key, drivers in zip(keys, spellings.VOWELS.values(), strict=True):
                    yield from (KeyLink(a, str(key), Response(gain=gain)) for a, gain in drivers if a not in taken)
                return


def component(name: str) -> str:
    """The part of “head_geo.jawOpen”, “char:smile.L.001” or “head_lod0_mesh__jaw_open” that names the shape."""
    pieces = [piece for piece in _COMPONENT.split(unicodedata.normalize("NFKC", name)) if piece.strip(" 0123456789")]
    side = f"_{pieces.pop()}" if len(pieces) > 1 and _alike().get(pieces[-1].lower(), pieces[-1]) in _SIDES else ""
    return pieces[-1] + side if pieces else ""


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(component(name))]


def _word_lists(name: str) -> Iterator[list[str]]:
    """The ways to read a name as known words: each without what says nothing before and after."""
    words = _WORD.findall(component(name))
    for start in range(len(words)):
        for split in _segmented([word.lower() for word in words[start:]]):
            yield _trimmed(split)
        word = words[start].lower()
        if word in _vocabulary() and (len(word) > 1 or word in _alike()):
            return  # a word that means something, or a side, is no prefix


def _segmented(words: list[str]) -> Iterator[list[str]]:
    """Words with those that are several run together taken apart, in every way there is."""
    if not words:
        yield []
        return
    head = [[words[0]]] if words[0] in _vocabulary() or words[0].isdigit() else list(_taken_apart(words[0]))
    for first in head:
        for rest in _segmented(words[1:]):
            yield [*first, *rest]


def _taken_apart(word: str, depth: int = 7) -> Iterator[list[str]]:
    if not word:
        yield []
    elif depth:
        for length in range(len(word), 0, -1):
            if word[:length] in _vocabulary():
                for rest in _taken_apart(word[length:], depth - 1):
                    yield [word[:length], *rest]


def _trimmed(words: list[str]) -> list[str]:
    """Without numbers before and after, Reallusion's “A25”, and words at the end that say nothing."""
    words = list(words)
    while words and (words[0].isdigit() or (len(words[0]) == 1 and len(words) > 1 and words[1].isdigit())):
        words.pop(0)
    while words and (words[-1].lower() in _meaningless() or (words[-1].isdigit() and words[0].lower() != "au")):
        words.pop()
    return words


def _phrase(words: list[str]) -> _Reading | None:
    meant = [part for word in words for part in _alike().get(word, word).split()]
    sides = [word for word in meant if word in _SIDES]
    if len(sides) > 1:
        return None
    found = _phrases().get(frozenset(word for word in meant if word not in _SIDES))
    if found is None or (found[0] in spellings.SIDEWAYS and not sides):
        return None
    return _Reading(*found, _SIDES[sides[0]] if sides else "")


def _look(words: list[str]) -> _Reading | None:
    """“eyeLookInLeft”, “Eye_L_Look_R”, “eyeLookRightL”, “lookUp”: which way, and which eye if it says so."""
    meant = [_alike().get(word, word) for word in words]
    if "look" not in meant or not set(meant) <= {"eye", "look", "up", "down", "in", "out", *_SIDES}:
        return None
    place = meant.index("look")
    ways = [word for word in meant if word not in ("eye", "look")]
    way = meant[place + 1] if place + 1 < len(meant) else ""
    if way not in ways or len(ways) > 2:
        return None
    ways.remove(way)
    side = ways[0] if ways else ""
    if side not in ("", *_SIDES):
        return None
    if way in _SIDES:
        if not side:
            return _Reading(f"look{_SIDES[way]}", 0, 0, 1, "")
        way = "out" if way == side else "in"
    return _Reading(f"eyeLook{way.capitalize()}", 0, 0, 1, _SIDES.get(side, ""))


@cache
def _phrases() -> dict[frozenset[str], tuple[str, int, int, int]]:
    """Words → the action without its side, the rank of the spelling, the part and the number of parts."""
    found: dict[frozenset[str], tuple[str, int, int, int]] = {}
    for table in (spellings.SIDED, spellings.SIDEWAYS, spellings.MIDDLE):
        for stem, phrases in table.items():
            for rank, phrase in enumerate(phrases):
                parts = phrase.split(" + ")
                for part, words in enumerate(parts):
                    found[frozenset(words.split())] = (stem, rank, part, len(parts))
    return found


@cache
def _alike() -> dict[str, str]:
    return {other: word for word, others in spellings.ALIKE.items() for other in others.split()}


@cache
def _vocabulary() -> frozenset[str]:
    """All words that mean something."""
    words = {word for phrase in _phrases() for word in phrase}
    return frozenset({*words, *_SIDES, *_alike(), *spellings.WAYS.split(), *spellings.OTHERS.split()})


@cache
def _meaningless() -> frozenset[str]:
    return frozenset(spellings.MEANINGLESS.split())
