"""What a character's shape keys had before a take drove them, and how they get it back.

A driver of the character's own is put aside, not read and written anew: muted, under a path that nothing has. So
nothing of it is lost, whatever it is made of.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bpy.utils import escape_identifier

from . import drivers


def keys_of(target: Any) -> Any:
    """The shape-key data-block of a ``FlowFaceTarget``'s character; None where it has none."""
    obj = target.object
    return getattr(obj.data, "shape_keys", None) if obj is not None else None


def driver_of(keys: Any, path: str) -> Any:
    """The driver of a property; None where it has none."""
    animation = keys.animation_data
    return animation.drivers.find(path) if animation is not None else None


def keep(target: Any, names: Iterable[str]) -> None:
    """Put down what the named keys have, each once, and put drivers of the character's own aside."""
    keys = keys_of(target)
    if keys is None:
        return
    for name in names:
        block = keys.key_blocks[name]
        path = block.path_from_id("value")
        row = target.kept.get(name)
        if row is None:
            row = target.kept.add()
            row.name, row.value = name, block.value
        own = driver_of(keys, path)
        if own is not None and not drivers.is_ours(own):
            row.driven, row.driver_mute = True, own.mute
            own.data_path, own.mute = _aside(name), True


def give_back(target: Any, names: Iterable[str] | None = None) -> None:
    """Give the named keys, or all, what they had; those that the character no longer has are forgotten."""
    keys = keys_of(target)
    for name in [row.name for row in target.kept] if names is None else list(names):
        index = target.kept.find(name)
        if keys is not None:
            _give_back(keys, target.kept[index])
        target.kept.remove(index)


def _give_back(keys: Any, row: Any) -> None:
    block = keys.key_blocks.get(row.name)
    own = driver_of(keys, _aside(row.name)) if row.driven else None
    if block is not None:
        remove_driver(block)
    if own is not None:
        own.data_path, own.mute = f'key_blocks["{escape_identifier(row.name)}"].value', row.driver_mute
    if block is not None:
        block.value = row.value


def remove_driver(block: Any) -> None:
    """Take the driver of a take off a shape key; one of the character's own stays."""
    curve = driver_of(block.id_data, block.path_from_id("value"))
    if curve is not None and drivers.is_ours(curve):
        block.driver_remove("value")


def _aside(name: str) -> str:
    return f'["flowface_before:{escape_identifier(name)}"]'
