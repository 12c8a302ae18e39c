"""What a character's shape keys or bones had before a take drove them, and how they get it back.

A driver of the character's own is put aside, not read and written anew: muted, under a path that nothing has. So
nothing of it is lost, whatever it is made of. What is driven has a name: a shape key's own, or, of an armature, the
path and the index of what a bone has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from bpy.utils import escape_identifier

from . import drivers

_PART = re.compile(r"(.*)\[(\d)\]$", re.DOTALL)


def keys_of(target: Any) -> Any:
    """The shape-key data-block of a ``FlowFaceTarget``'s character; None where it has none."""
    obj = target.object
    return getattr(obj.data, "shape_keys", None) if obj is not None else None


def owner_of(target: Any) -> Any:
    """The data-block that is animated: an armature's object, or the shape keys of a mesh; None where there is none."""
    obj = target.object
    return obj if obj is not None and obj.type == "ARMATURE" else keys_of(target)


def slot_of(owner: Any, name: str) -> tuple[str, int]:
    """The path and the index of what has a name."""
    part = _PART.match(name) if owner.id_type == "OBJECT" else None
    return (part[1], int(part[2])) if part else (f'key_blocks["{escape_identifier(name)}"].value', 0)


def is_there(owner: Any, name: str) -> bool:
    """True where a character has what has a name."""
    if owner.id_type != "OBJECT":
        return name in owner.key_blocks
    try:
        owner.path_resolve(name)
    except (ValueError, IndexError):
        return False
    return True


def driver_of(owner: Any, path: str, index: int = 0) -> Any:
    """The driver of a property; None where it has none."""
    animation = owner.animation_data
    return animation.drivers.find(path, index=index) if animation is not None else None


def keep(target: Any, names: Iterable[str]) -> None:
    """Put down what is driven under these names, each once, and put drivers of the character's own aside."""
    owner = owner_of(target)
    if owner is None:
        return
    for name in names:
        path, index = slot_of(owner, name)
        row = target.kept.get(name)
        if row is None:
            row = target.kept.add()
            row.name, row.value = name, _read(owner, path, index)
            row.driven = driver_of(owner, _aside(name), index) is not None  # of a copy of a character that is live
        own = driver_of(owner, path, index)
        if own is not None and not drivers.is_ours(own):
            row.driven, row.driver_mute = True, own.mute
            own.data_path, own.mute = _aside(name), True


def give_back(target: Any, names: Iterable[str] | None = None) -> None:
    """Give what has these names, or all, what it had; what the character no longer has is forgotten."""
    owner = owner_of(target)
    for name in [row.name for row in target.kept] if names is None else list(names):
        row = target.kept.find(name)
        if owner is not None:
            _give_back(owner, target.kept[row])
        target.kept.remove(row)


def _give_back(owner: Any, row: Any) -> None:
    path, index = slot_of(owner, row.name)
    own = driver_of(owner, _aside(row.name), index) if row.driven else None
    remove_driver(owner, row.name)
    if own is not None:
        own.data_path, own.mute = path, row.driver_mute
    if is_there(owner, row.name):
        _write(owner, path, index, row.value)


def remove_driver(owner: Any, name: str) -> None:
    """Take the driver of a take off what has a name; one of the character's own stays."""
    path, index = slot_of(owner, name)
    curve = driver_of(owner, path, index)
    if curve is not None and drivers.is_ours(curve):
        owner.animation_data.drivers.remove(curve)


def remove_drivers(owner: Any, but: Iterable[str] = ()) -> None:
    """Take all drivers of a take off a character, but for those of what has these names.

    One on a shape key that was renamed meanwhile goes, too: it has gone along with the name.
    """
    wanted = {slot_of(owner, name) for name in but}
    animation = owner.animation_data
    for curve in list(animation.drivers) if animation is not None else ():
        if drivers.is_ours(curve) and (curve.data_path, curve.array_index) not in wanted:
            animation.drivers.remove(curve)


def _read(owner: Any, path: str, index: int) -> float:
    value = owner.path_resolve(path)
    return float(value if isinstance(value, float) else value[index])


def _write(owner: Any, path: str, index: int, value: float) -> None:
    holder, name = path.rsplit(".", 1)
    had = owner.path_resolve(holder)
    if isinstance(getattr(had, name), float):
        setattr(had, name, value)
    else:
        getattr(had, name)[index] = value


def _aside(name: str) -> str:
    return f'["flowface_before:{escape_identifier(name)}"]'
