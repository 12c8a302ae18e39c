"""The objects that belong to a take; tracking it again replaces them and nothing else.

The take's collection points at the objects that were built for it, so copies a user made, and objects a user put into
the collection, are never mistaken for them.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import bpy

from ..vendor import take as contract

TAKE_KEY = "flowface_take"
JOB_KEY = "flowface_job"
"""Of a take's collection: the backend's job that tracked it, on which exports build."""
ARMATURE = "flowface_armature"
HEAD = "flowface_head"
_CAMERA_PREFIX = "flowface_camera:"
_KNOWN_PREFIX = "flowface_given:"
_SIZE_PREFIX = "flowface_size:"
_NAME_BYTES = 40
"""Of a view's name in a key: Blender's keys have at most 63 bytes."""
_SUFFIX = " (replaced)"


def take_id(take: contract.TakeResult) -> str:
    """The identity of a take: its name and its main footage. Further views may come and go."""
    return "\n".join([take.name, take.cameras[0].footage])


def short(view: str) -> str:
    """A view's name, shortened where it is too long for a key, still different from all others."""
    data = view.encode()
    if len(data) <= _NAME_BYTES:
        return view
    return f"{data[: _NAME_BYTES - 9].decode(errors='ignore')}~{zlib.crc32(data):08x}"


def camera_role(view: str) -> str:
    """The collection's key for the camera that was built for a view."""
    return f"{_CAMERA_PREFIX}{short(view)}"


def known_role(view: str) -> str:
    """The collection's key for a camera of the user's own that filmed a view; it is never changed or removed."""
    return f"{_KNOWN_PREFIX}{short(view)}"


def remember_size(collection: Any, view: contract.CameraTrack) -> None:
    """Keep a view's picture size with the take, for whoever looks through its camera."""
    collection[f"{_SIZE_PREFIX}{short(view.name)}"] = view.image_size


@dataclass(frozen=True)
class ShownView:
    """A view of a built take: its name, its camera object (None where the user deleted it), its picture's size."""

    name: str
    camera: Any
    size: tuple[int, int] | None


def shown_views(collection: Any) -> list[ShownView]:
    """The views of a built take, the main one first."""
    views = []
    for key in collection.keys():  # noqa: SIM118 - a collection's own iteration is over its objects
        for prefix in (_CAMERA_PREFIX, _KNOWN_PREFIX):
            if key.startswith(prefix):
                name, value = key[len(prefix) :], collection[key]
                size = collection.get(f"{_SIZE_PREFIX}{name}")
                camera = value if isinstance(value, bpy.types.Object) else None
                views.append(ShownView(name, camera, (int(size[0]), int(size[1])) if size is not None else None))
    return views


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
    for key in list(collection.keys()):
        if key in roles or key.startswith((_KNOWN_PREFIX, _SIZE_PREFIX)):
            del collection[key]
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
    """Data-blocks that came with an object: data, shape keys' and own Actions, footage. In order of removal."""
    blocks = [obj.data]
    keys = getattr(obj.data, "shape_keys", None)
    backgrounds = getattr(obj.data, "background_images", ())
    pictures = [picture for background in backgrounds for picture in (background.clip, background.image)]
    animations = [block.animation_data for block in (obj, obj.data, keys) if block is not None]
    actions = [animation.action for animation in animations if animation is not None]
    return [block for block in (*blocks, *actions, *pictures) if block is not None]
