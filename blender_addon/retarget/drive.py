"""Characters that follow a take live: by drivers on their shape keys or bones, which read the take's own curves.

Whatever changes the take shows at once: its versions, edits and layers. Where its head gets other keys (it was tracked
again as another head) the drivers are pointed at those.
"""

from __future__ import annotations

from collections.abc import Mapping as ByName
from typing import Any

from . import drivers, kept, source
from .bones import head_source, pose
from .drivers import CannotDrive, Formula
from .evaluate import links_by_key
from .mapping import Mapping
from .properties import NAME, mapping_of

__all__ = ["CannotDrive", "check", "driven_keys", "go_live", "go_off", "is_gone", "is_stale", "missing_keys", "refresh"]


def check(target: Any) -> None:
    """Find out whether a ``FlowFaceTarget``'s character can be driven and baked.

    Raises:
        CannotDrive: it cannot.
    """
    obj, head = target.object, target.source
    if is_gone(obj):
        raise CannotDrive("This character was deleted. Remove it from the list.")
    if head is None:
        raise CannotDrive(f"“{obj.name}” has no source: choose the head that it follows.")
    if obj.type == "ARMATURE":
        pose.check(target)
    if obj.type != "MESH" or not len(target.keys):
        return
    keys = kept.keys_of(target)
    if keys is None:
        raise CannotDrive(f"“{obj.name}” has no shape keys. Choose the mesh that has them.")
    if obj == head or keys == getattr(head.data, "shape_keys", None):
        raise CannotDrive(f"“{obj.name}” cannot follow itself. Choose another source.")
    if not keys.use_relative:
        raise CannotDrive(f"The shape keys of “{obj.name}” are absolute. Make them Relative in its Mesh properties.")
    if obj.data.library is not None:
        raise CannotDrive(
            f"The shape keys of “{obj.name}” are linked from another file, where nothing can be changed. "
            "Use Make Override, then it follows."
        )


def is_gone(obj: Any) -> bool:
    """True where a character was deleted: what Blender's Delete leaves is kept by the list alone, in no collection."""
    return obj is None or (obj.library is None and not obj.users_collection)


def go_live(target: Any) -> None:
    """Let a character follow its source; one that follows already is brought up to date.

    Raises:
        CannotDrive: it cannot.
    """
    check(target)
    if _is_followed(target):
        raise CannotDrive(f"“{target.source.name}” follows “{target.object.name}” itself. Choose another source.")
    formulas = _formulas(target, mapping_of(target))
    target.live, target.problem = True, ""
    _write(target, formulas)


def go_off(target: Any) -> None:
    """Let a character follow no longer: it has what it had before, or the keys that were baked."""
    target.live, target.linked, target.problem = False, None, ""
    target.carried_pair = ""  # what a rig's own switches say is asked again when it goes live again
    owner = kept.owner_of(target)
    if owner is not None:
        kept.remove_drivers(owner)
    if target.baked is None:
        kept.give_back(target)


def refresh(target: Any) -> None:
    """Bring the drivers of a character that is live up to date with its mapping and its source.

    One that cannot be driven any more, because its source was deleted or its mapping cannot be written, keeps the
    drivers that it has; ``problem`` says why.
    """
    if target.live:
        try:
            go_live(target)
        except CannotDrive as reason:
            target.problem = str(reason)


def is_stale(target: Any) -> bool:
    """True where a character is live and its drivers read other keys, or another place of the head's motion, than its
    source has."""
    if not target.live or target.source is None:
        return False
    moved = target.carrier and target.carrier != head_source.carrier_name(target.source)
    return bool(moved or target.linked != getattr(target.source.data, "shape_keys", None))


def missing_keys(target: Any) -> tuple[str, ...]:
    """The shape keys that a mapping names and the character does not have."""
    keys = kept.keys_of(target)
    blocks = keys.key_blocks if keys is not None else {}
    return tuple(dict.fromkeys(link.key for link in target.keys if link.key and link.key not in blocks))


def driven_keys(target: Any, mapping: Mapping) -> list[str]:
    """The shape keys of a mapping that the character has; its reference key is driven by nothing."""
    keys = kept.keys_of(target)
    if keys is None:
        return []
    there = (keys.key_blocks.get(name) for name in links_by_key(mapping))
    return [block.name for block in there if block is not None and block != keys.reference_key]


def _is_followed(target: Any) -> bool:
    """True where the source of a character follows that character live, be it by way of others."""
    others = getattr(target.id_data, NAME).targets
    follows = {one.object: one.source for one in others if one.live and one.object not in (None, target.object)}
    head, seen = target.source, set()
    while head in follows and head not in seen:
        seen.add(head)
        head = follows[head]
    return bool(head == target.object)


def _formulas(target: Any, mapping: Mapping) -> dict[str, Formula]:
    if target.object.type == "ARMATURE":
        return pose.formulas(target, mapping)
    places, links = source.places(target.source), links_by_key(mapping)
    found = {}
    for name in driven_keys(target, mapping):
        try:
            wanted = drivers.formula(links[name], mapping, places)
        except ValueError:
            raise CannotDrive(
                f"Too many actions drive “{name}” for one driver. Leave out the ranges of some, or bake instead."
            ) from None
        if wanted is not None:
            found[name] = wanted
    return found


def _write(target: Any, formulas: ByName[str, Formula]) -> None:
    owner = kept.owner_of(target)
    kept.keep(target, formulas)
    others = [row.name for row in target.kept if row.name not in formulas]
    if target.baked is None:
        kept.give_back(target, others)
    if owner is not None:
        kept.remove_drivers(owner, formulas)
    for name, wanted in formulas.items():
        path, index = kept.slot_of(owner, name)
        curve = kept.driver_of(owner, path, index)
        if curve is None:
            drivers.add(owner, path, index, wanted)
        else:
            drivers.write(curve, wanted)
    linked = getattr(target.source.data, "shape_keys", None)
    if target.linked != linked:
        target.linked = linked
    carrier = head_source.carrier_name(target.source) if target.head_bone or target.neck_bone else ""
    if target.carrier != carrier:
        target.carrier = carrier
