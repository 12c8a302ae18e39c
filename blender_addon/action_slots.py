"""An Action of a tracked head, given to another object: from Blender 4.4 on it needs a slot to move anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bpy

from . import compat
from .scene import versions_of_take as versions

_OWNER = object()
"""Of the subscription; Blender ends it by this."""
_changed = [False]


def watch() -> None:
    """Have Blender tell whenever an Action is chosen; must be called again after a file was opened."""
    if compat.LAYERED_ACTIONS:
        bpy.msgbus.clear_by_owner(_OWNER)
        bpy.msgbus.subscribe_rna(key=(bpy.types.AnimData, "action"), owner=_OWNER, args=(), notify=_on_chosen)


def forget() -> None:
    """End what ``watch`` began."""
    bpy.msgbus.clear_by_owner(_OWNER)


def _on_chosen() -> None:
    _changed[0] = True


def pick_where_chosen() -> bool:
    """Pick slots where an Action has been chosen since the last call; True where any was picked."""
    if not _changed[0]:
        return False
    _changed[0] = False
    return pick_slots() > 0


def pick_slots() -> int:
    """Pick the slot of each Action of a take that animates something without one; returns how many were picked.

    An Action of a take has one slot, so that there is no choice to make.
    """
    picked = 0
    for block in _animated():
        action = block.animation_data.action
        if compat.ACTION_KEY in action and block.animation_data.action_slot is None:
            compat.assign_action(block, action)
            picked += block.animation_data.action_slot is not None
    return picked


def actions_of(collection: Any) -> dict[str, Any]:
    """The Actions that animate a take now, by the role of what they animate."""
    blocks = versions.animated(collection)
    found = {role: block.animation_data for role, block in blocks.items()}
    return {role: animation.action for role, animation in found.items() if animation is not None and animation.action}


def follow(collection: Any, before: Mapping[str, Any]) -> None:
    """Give the take's new Actions to whatever of the user's had one of those ``before``: it goes with the take."""
    now = actions_of(collection)
    newer = {action: now[role] for role, action in before.items() if role in now and now[role] != action}
    own = set(versions.animated(collection).values())
    for block in _animated():
        if block not in own and block.animation_data.action in newer:
            compat.assign_action(block, newer[block.animation_data.action])


def _animated() -> list[Any]:
    blocks = (*bpy.data.objects, *bpy.data.shape_keys, *bpy.data.cameras)
    return [block for block in blocks if block.animation_data is not None and block.animation_data.action is not None]
