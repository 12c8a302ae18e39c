"""Mapping files: read, checked and written; and the presets that come with the add-on."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from ..vendor import face_actions
from .mapping import NEUTRAL, BadMapping, Mapping, from_text, to_text

PRESETS = Path(__file__).with_name("presets")
MAX_BYTES = 1 << 20
"""No mapping is a tenth as long; more is another file, and is not read."""


def read(path: Path) -> Mapping:
    """The mapping of a file.

    Raises:
        BadMapping: it cannot be read, is too long, or is no mapping that can be used; the text is for the user.
    """
    where = f"“{path.name}”"
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as problem:
        raise BadMapping(f"{where} cannot be read: {problem.strerror or problem}.") from None
    if len(content) > MAX_BYTES:
        raise BadMapping(f"{where} is longer than {MAX_BYTES >> 20} MB, so it is no mapping. Choose another file.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadMapping(f"{where} is no text in UTF-8. Choose a mapping that was saved by FlowFace.") from None
    mapping = from_text(text, where)
    actions = [link.action for link in mapping.keys]
    actions += [link.action for link in mapping.bones if link.action != NEUTRAL]
    unknown = next((action for action in actions if action not in face_actions.ARKIT_ACTIONS), None)
    if unknown is not None:
        raise BadMapping(f"{where} names an action “{unknown[:40]}”, which is none of ARKit's 52.")
    for eye in mapping.eyes:
        if eye.side not in ("left", "right"):
            raise BadMapping(f"{where} has an eye “{eye.side[:20]}”: it must be left or right.")
    return mapping


def missing(mapping: Mapping, obj: Any) -> tuple[str, ...]:
    """The shape keys and bones of a mapping that a character's object does not have."""
    keys = getattr(getattr(obj, "data", None), "shape_keys", None)
    there = set(keys.key_blocks.keys()) if keys is not None else set()
    there |= set(obj.data.bones.keys()) if obj is not None and obj.type == "ARMATURE" else set()
    named = [*(link.key for link in mapping.keys), *(link.bone for link in mapping.bones)]
    return tuple(name for name in dict.fromkeys(named) if name not in there)


def write(path: Path, mapping: Mapping) -> None:
    """Write a mapping to a file, without the digits that single precision adds; raises OSError."""
    plain = json.loads(to_text(mapping), parse_float=lambda number: float(f"{float(number):.7g}"))
    path.write_text(json.dumps(plain, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


@cache
def presets() -> dict[str, Mapping]:
    """The mappings that come with the add-on, by their files' names without ending, in alphabetical order of those."""
    return {path.stem: read(path) for path in sorted(PRESETS.glob("*.json"))}
