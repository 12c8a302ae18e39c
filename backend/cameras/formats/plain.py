"""JSON, YAML and OpenCV's XML as plain maps, lists, numbers and text, in time and memory linear in their size.

What a file nests, repeats or expands to is bounded while it is read. ``Fault`` says why a text is refused, as a clause.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

MAX_DEPTH = 32
MAX_VALUES = 1_000_000
"""As many as a calibration from thousands of pictures has with all points that were seen in them."""
LONGEST_NUMBER = 400
"""Characters: no real number needs more."""

_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_REAL = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "true": True, "false": False}
_UNREAL = re.compile(r"[-+]?\.?(?:nan|inf)", re.IGNORECASE)


class Fault(ValueError):  # noqa: N818 - a clause of a sentence
    """The reason why a text is not read, to follow “it cannot be used:”."""


def too_deep() -> Fault:
    """The refusal of what is nested too deep."""
    return Fault(f"it is nested more than {MAX_DEPTH} deep")


def too_many() -> Fault:
    """The refusal of what holds too much."""
    return Fault(f"it holds more than {MAX_VALUES} values")


def twice(key: str) -> Fault:
    """The refusal of a map that has a key twice."""
    return Fault(f"it says “{key[:60]}” twice")


def parse_json(text: str) -> Any:
    """The value of a JSON text; numbers may be as long as they like and become infinite.

    Raises:
        Fault: it is not JSON, has a name twice in a map, or is too deep or large.
    """
    if text.count(",") + text.count("[") + text.count("{") > MAX_VALUES:
        raise too_many()
    try:
        value = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_unique, parse_int=_whole)
    except Fault:
        raise
    except RecursionError:
        raise Fault(f"it is not JSON of a calibration: it is nested more than {MAX_DEPTH} deep") from None
    except ValueError as error:
        raise Fault(f"it is not JSON ({error})") from error
    level = [value]
    for _ in range(MAX_DEPTH):
        nested = [item for item in level if isinstance(item, dict | list)]
        level = [child for item in nested for child in (item.values() if isinstance(item, dict) else item)]
    if level:
        raise too_deep()
    return value


def plain_scalar(text: str) -> Any:
    """What an unquoted word of YAML or of OpenCV's XML stands for: a number, true, false, None, or itself."""
    if len(text) > LONGEST_NUMBER:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _REAL.fullmatch(text):
        return float(text)
    if _UNREAL.fullmatch(text):
        return float(text.replace(".", ""))
    return _WORDS.get(text.lower(), text)


def merged(fields: dict[str, Any]) -> dict[str, Any]:
    """A YAML map with what its key ``<<`` refers to put beneath it."""
    below = fields.get("<<")
    if not isinstance(below, Mapping):
        return fields
    return {**below, **{key: value for key, value in fields.items() if key != "<<"}}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, value in pairs:
        if key in fields:
            raise twice(key)
        fields[key] = value
    return fields


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= 18 else float(digits)
