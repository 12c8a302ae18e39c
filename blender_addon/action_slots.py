"""An Action of a tracked head, given to another object: from Blender 4.4 on it needs a slot to move anything."""

from __future__ import annotations

from typing import Any

import bpy

from . import compat

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
    for block in (*bpy.data.objects, *bpy.data.shape_keys, *bpy.data.cameras):
        animation = block.animation_data
        if animation is None or animation.action is None or compat.ACTION_KEY not in animation.action:
            continue
        if animation.action_slot is None and len(suitable := _suitable(block, animation.action)) == 1:
            animation.action_slot = suitable[0]
            picked += 1
    return picked


def _suitable(block: Any, action: Any) -> list[Any]:
    return [slot for slot in action.slots if slot.target_id_type in (block.id_type, "UNSPECIFIED")]
