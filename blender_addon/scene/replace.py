"""Which objects belong to a take, and how tracking it again replaces them and nothing else.

The take's collection points at the objects that were built for it, so copies a user made, and objects a user put into
the collection, are never mistaken for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bpy

from ..vendor import take as contract

TAKE_KEY = "flowface_take"
ARMATURE = "flowface_armature"
HEAD = "flowface_head"
_CAMERA_PREFIX = "flowface_camera:"
_SUFFIX = " (replaced)"


def take_id(take: contract.TakeResult) -> str:
    """What makes two takes the same: their name and their footage."""
    return "\n".join([take.name, *(view.footage for view in take.cameras)])


def camera_role(view: str) -> str:
    """The collection's key for the camera of a view."""
    return f"{_CAMERA_PREFIX}{view}"


def take_collection(scene: Any, take: contract.TakeResult) -> Any:
    """This scene's collection of the take, a new one where there is none yet."""
    wanted = take_id(take)
    for collection in scene.collection.children_recursive:
        if collection.get(TAKE_KEY) == wanted:
            return collection
    collection = bpy.data.collections.new(take.name)
    collection[TAKE_KEY] = wanted
    scene.collection.children.link(collection)
    return collection


def retire(collection: Any) -> dict[str, Any]:
    """The objects built for the take before, by role, with all their names freed for their successors."""
    roles = [key for key in collection.keys() if key in (ARMATURE, HEAD) or key.startswith(_CAMERA_PREFIX)]  # noqa: SIM118
    old = {role: obj for role in roles if isinstance(obj := collection[role], bpy.types.Object)}
    for role in roles:
        del collection[role]
    for obj in old.values():
        for block in (obj, *_owned(obj)):
            block.name += _SUFFIX
    return old


def hand_over(old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Point whatever used an old object at its successor, then remove the old objects and what only they used."""
    for role, obj in old.items():
        if role in new:
            obj.user_remap(new[role])
    for obj in old.values():
        owned = _owned(obj)
        bpy.data.objects.remove(obj)
        for block in owned:
            if block.users == 0:
                bpy.data.batch_remove([block])


def _owned(obj: Any) -> list[Any]:
    """Data-blocks that came with an object: data, shape keys' and own Actions, clips. In order of removal."""
    blocks = [obj.data]
    keys = getattr(obj.data, "shape_keys", None)
    clips = [background.clip for background in getattr(obj.data, "background_images", ())]
    animations = [block.animation_data for block in (obj, obj.data, keys) if block is not None]
    actions = [animation.action for animation in animations if animation is not None]
    return [block for block in (*blocks, *actions, *clips) if block is not None]
