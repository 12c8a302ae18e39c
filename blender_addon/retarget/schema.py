"""The JSON Schema of mapping files, derived from the types that they are read into."""

from __future__ import annotations

import dataclasses
import json
import typing
from pathlib import Path
from typing import Any

from ..vendor import face_actions
from .mapping import FORMAT, NEUTRAL, VERSION, BoneLink, Mapping

FILE = Path(__file__).with_name("mapping.schema.json")
"""Where it lies in the add-on: what ``schema`` gives, written down for editors and other programs."""

_SCALARS = {str: "string", float: "number", bool: "boolean", int: "integer"}


def schema() -> dict[str, Any]:
    """The schema, by JSON Schema's draft of 2020-12. Fields that it does not know are allowed, and ignored."""
    body = _of_type(Mapping)
    head = {"format": {"const": FORMAT}, "version": {"const": VERSION}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Mapping of ARKit's actions to a character's shape keys and bones",
        **body,
        "properties": {**head, **body["properties"]},
        "required": [*head, *body.get("required", ())],
    }


def _of_type(hint: Any) -> dict[str, Any]:
    if hint in _SCALARS:
        return {"type": _SCALARS[hint]}
    if dataclasses.is_dataclass(hint):
        return _of_dataclass(typing.cast(type[Any], hint))
    arguments = typing.get_args(hint)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return {"type": "array", "items": _of_type(arguments[0])}
    return {"type": "array", "items": _of_type(arguments[0]), "minItems": len(arguments), "maxItems": len(arguments)}


def _of_dataclass(cls: type[Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    properties, required = {}, []
    for item in dataclasses.fields(cls):
        described = _of_type(hints[item.name])
        if item.name == "action":
            described = {"enum": [*face_actions.ARKIT_ACTIONS, *((NEUTRAL,) if cls is BoneLink else ())]}
        elif item.name == "side":
            described = {"enum": ["left", "right"]}
        if item.default is not dataclasses.MISSING and item.default != ():
            described["default"] = list(item.default) if isinstance(item.default, tuple) else item.default
        elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            required.append(item.name)
        properties[item.name] = described
    text = " ".join((cls.__doc__ or "").replace("``", "“").split())
    out: dict[str, Any] = {"description": text, "type": "object", "properties": properties}
    return {**out, "required": required} if required else out


def main() -> None:
    """``python -m blender_addon.retarget.schema``: write the schema down anew, after the types changed."""
    FILE.write_text(json.dumps(schema(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
