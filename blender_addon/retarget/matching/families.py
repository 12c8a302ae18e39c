"""Which naming family a character's shape keys are of, and the family's preset as links to its own keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .. import files
from ..mapping import KeyLink, Mapping
from . import names

MOST = 0.6
"""A character is of a family of which it has at least this share of the keys: some leave out gaze or tongue."""


def links(preset: Mapping, keys: Sequence[str]) -> tuple[KeyLink, ...]:
    """A preset's links to those of the keys that it names, also under a prefix, as another mesh's, or numbered."""
    present = set(keys)
    by_plain: dict[str, str] = {}
    for name in sorted(keys, key=len, reverse=True):
        by_plain[names.plain(name)] = name
    found = []
    for link in preset.keys:
        key = link.key if link.key in present else by_plain.get(names.plain(link.key))
        if key is not None:
            found.append(replace(link, key=key))
    return tuple(found)


def family_of(keys: Sequence[str]) -> str | None:
    """The preset that explains the most of the keys, None where none has enough of its own among them."""
    best, most = None, 0.0
    there = {names.component(key) for key in keys}
    for name, preset in files.presets().items():
        if not preset.keys:
            continue  # a rig's
        wanted = {link.key for link in preset.keys}
        literal = len({names.component(key) for key in wanted} & there)
        found = {link.key for link in links(preset, keys)}
        if len(found) >= MOST * len(wanted):
            worth = len({link.action for link in links(preset, keys)}) + len(found) / 100 + literal / 10_000
            if worth > most:
                best, most = name, worth
    return best
