"""Blender's properties and panel rows for options that the protocol declares, each from its one field there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import bpy

from . import choices, compat, session
from .vendor import options as declared

O = TypeVar("O", bound=declared.Options)  # noqa: E741
USE = "use_"
"""Before the name of a number that may be left open: whether it is not."""
LEFT_OPEN = "Automatic"
"""In the place of a number that is left open, which would only puzzle."""
SUBTYPES = {"pixels": "PIXEL"}
"""Blender's own words for units."""

NEEDS: dict[str, Callable[[Any], bool]] = {
    "": lambda _chosen: True,
    declared.WEIGHTS: choices.takes_weights,
}
"""Checks that what is chosen gives an option a meaning, by what the option needs."""


def properties(cls: type[declared.Options]) -> dict[str, Any]:
    """Blender's properties for a class of options, by name, as annotations of a property group."""
    made = {}
    for item in declared.option_fields(cls):
        made[item.name] = _property(item)
        if _may_be_open(item):
            made[f"{USE}{item.name}"] = bpy.props.BoolProperty(name=f"Set {item.about.label}", description=_help(item))
    return made


def read(cls: type[O], chosen: Any) -> O:
    """The options that a user set, those that mean nothing for what is chosen left at their defaults.

    Raises:
        codec.ProtocolError: a value that cannot be (``bad_option``); one sentence says which.
    """
    wanted = [item for item in declared.option_fields(cls) if NEEDS[item.about.needs](chosen)]
    return cls(**{item.name: _value(item, chosen) for item in wanted})


def draw(layout: Any, cls: type[declared.Options], chosen: Any) -> None:
    """A row for each option that means something for what is chosen."""
    for item in declared.option_fields(cls):
        if not NEEDS[item.about.needs](chosen):
            continue
        if item.about.needs == declared.WEIGHTS and session.current().weights:
            row = layout.row(align=True)
            row.prop(chosen, item.name)
            row.operator_menu_enum("flowface.use_weights", "weights", text="", icon="DOWNARROW_HLT")
        elif not _may_be_open(item):
            layout.prop(chosen, item.name)
        else:
            draw_open(layout, item.about.label, chosen, item.name)


def draw_open(layout: Any, label: str, chosen: Any, name: str) -> None:
    """A row for a number that may be left open."""
    row = layout.row(heading=label)
    row.prop(chosen, f"{USE}{name}", text="")
    if getattr(chosen, f"{USE}{name}"):
        row.prop(chosen, name, text="")
    else:
        row.label(text=LEFT_OPEN)


def _may_be_open(item: declared.OptionField) -> bool:
    """True for a number that may be None; an empty text and a choice say so themselves."""
    return item.optional and item.type in (float, int)


def _property(item: declared.OptionField) -> Any:
    about, words = item.about, {"name": item.about.label, "description": _help(item)}
    if about.choices:
        items = [(choice.name.upper(), choice.label, choices.capital(choice.help)) for choice in about.choices]
        return bpy.props.EnumProperty(items=items, default=item.name_of(item.default).upper(), **words)
    if item.type is bool:
        return bpy.props.BoolProperty(default=item.default, **words)
    if item.type is str:
        subtype = {"subtype": "FILE_PATH", "options": compat.RELATIVE_PATHS} if about.path else {}
        return bpy.props.StringProperty(default=item.default or "", **subtype, **words)
    lowest = about.minimum if about.minimum is not None else about.above
    bounds = {"min": lowest, "max": about.maximum}
    bounds = {name: item.type(bound) for name, bound in bounds.items() if bound is not None}
    start = item.default if item.default is not None else lowest or 0
    kind = bpy.props.FloatProperty if item.type is float else bpy.props.IntProperty
    return kind(default=item.type(start), subtype=SUBTYPES.get(about.unit, "NONE"), **bounds, **words)


def _value(item: declared.OptionField, chosen: Any) -> Any:
    value = getattr(chosen, item.name)
    if item.about.choices:
        return item.from_name(value.lower(), item.about.label)
    if _may_be_open(item) and not getattr(chosen, f"{USE}{item.name}"):
        return None
    if item.type is str and item.optional and not value:
        return None
    if item.about.path and not (item.about.needs == declared.WEIGHTS and choices.names_weights(value)):
        value = str(Path(bpy.path.abspath(value)).absolute())
    return item.checked(value, item.about.label)


def _help(item: declared.OptionField) -> str:
    """Blender ends tooltips with a full stop of its own."""
    unit = f". In {item.about.unit}" if item.about.unit else ""
    return f"{item.about.help.removesuffix('.')}{unit}"
