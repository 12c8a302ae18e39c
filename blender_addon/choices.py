"""Lists whose entries the backend knows: heads, aligners and exports, as Blender's enums want them.

A choice is stored by its id (a string of the settings), so it survives saving, reopening and a backend that lists its
heads in another order or not at all. An enum of these always holds the stored choice and is never empty.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from . import session

_NAME_OF_WEIGHTS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")

Item = tuple[str, str, str, str, int]

DEFAULT_HEAD = "open"
DEFAULT_ALIGNER = "mediapipe"
OWN_WEIGHTS = "-"
"""In the list of weights those that come with FlowFace; no name begins like this."""
HEAD_TITLES = {"open": "Open Head", "open1": "Open Head, First Edition"}
"""The titles of the built-in heads; whatever a user added is called by its own id."""

_kept: dict[str, str] = {}
"""Blender does not own the strings of a dynamic enum: without a reference from here they would be freed while shown."""


def head_items(chosen: Any, _context: Any) -> list[Item]:
    """The heads that the backend offers, and in any case the chosen one."""
    listed = session.current().heads
    known = {head.id: (HEAD_TITLES.get(head.id, head.id), _head_facts(head)) for head in listed}
    return _items(known, chosen.head_id, DEFAULT_HEAD, HEAD_TITLES)


def aligner_items(chosen: Any, _context: Any) -> list[Item]:
    """The aligners that the backend offers, and in any case the chosen one."""
    known = {info.name: (info.title or info.name, _aligner_facts(info)) for info in session.current().aligners}
    return _items(known, chosen.aligner_id, DEFAULT_ALIGNER)


def export_items(_operator: Any, _context: Any) -> list[Item]:
    """The exports that the backend offers."""
    return [item(info.name, info.title, capital(info.help)) for info in session.current().exports]


def weights_items(_operator: Any, _context: Any) -> list[Item]:
    """The network's own weights, and those that were adapted to an actor and a camera."""
    own = item(OWN_WEIGHTS, "The Network's Own", "Those that come with FlowFace")
    return [own, *(item(info.name, info.name, capital(info.about)) for info in session.current().weights)]


def names_weights(text: str) -> bool:
    """True for what names weights that a backend knows, and is no path: also before one has told which it knows."""
    return _NAME_OF_WEIGHTS.fullmatch(text) is not None and not text.endswith(".safetensors")


def takes_weights(chosen: Any) -> bool:
    """True where the chosen aligner is a network that may be given other weights.

    Before a backend has said so, that is any but the default one: a job may be waiting for its backend to start.
    """
    aligners = session.current().aligners
    if not aligners:
        return bool(chosen.aligner_id != DEFAULT_ALIGNER)
    return any(info.takes_weights for info in aligners if info.name == chosen.aligner_id)


def stored_as(name: str, items: Callable[[Any, Any], Iterable[Item]]) -> dict[str, Any]:
    """``items``, ``get`` and ``set`` of an enum whose choice is kept by id in the string property ``name``."""

    def get(chosen: Any) -> int:
        return _number(getattr(chosen, name))

    def set_(chosen: Any, number: int) -> None:
        wanted = next((item[0] for item in items(chosen, None) if item[4] == number), None)
        if wanted is not None:
            setattr(chosen, name, wanted)

    return {"items": items, "get": get, "set": set_}


def _items(
    listed: Mapping[str, tuple[str, str]], stored: str, default: str, titles: Mapping[str, str] | None = None
) -> list[Item]:
    """Items of what is listed (title and facts by id), of the default where nothing is, and of the stored choice."""
    usual = titles or {}
    known = dict(listed) or {default: (usual.get(default, default), "")}
    missing = bool(listed) and stored not in known
    if stored not in known:
        title, facts = usual.get(stored, stored), ""
        known[stored] = (
            (f"{title} (not there)", "The backend that runs does not have it") if missing else (title, facts)
        )
    absent = {stored} if missing else set()
    return [item(name, title, facts, absent=name in absent) for name, (title, facts) in known.items()]


def item(name: str, title: str, facts: str, *, absent: bool = False) -> Item:
    """An item of an enum, whose texts are kept for Blender."""
    return kept_text(name), kept_text(title), kept_text(facts), "ERROR" if absent else "NONE", _number(name)


def kept_text(text: str) -> str:
    """``text`` as one that is never freed while Blender shows it."""
    return _kept.setdefault(text, text)


def _number(name: str) -> int:
    """An enum's number that belongs to the id itself and not to its place in the list.

    Blender's menus hold it as a 32-bit float: of more than 24 bits they would hand back another number.
    """
    return zlib.crc32(name.encode()) & 0xFFFFFF


def _aligner_facts(info: Any) -> str:
    return capital("; ".join(fact for fact in (info.good_at and f"good at {info.good_at}", info.speed) if fact))


def _head_facts(head: Any) -> str:
    facts = [head.description, f"{head.vertices:,} vertices, {head.expressions} expressions" if head.vertices else ""]
    facts.append(f"licence {head.licence}" if head.licence else "")
    return capital("; ".join(fact for fact in facts if fact))


def capital(text: str) -> str:
    """``text`` with a capital first letter."""
    return text[:1].upper() + text[1:]
