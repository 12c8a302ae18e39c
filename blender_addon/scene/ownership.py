"""The objects that belong to a take; tracking it again changes them in place and nothing else.

The take's collection points at the objects that were built for it, so copies a user made, and objects a user put into
the collection, are never mistaken for them.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import bpy

from ..vendor import take as contract

TAKE_KEY = "flowface_take"
JOB_KEY = "flowface_job"
"""Of a take's collection: the backend's job that tracked it, on which exports build."""
RATE_KEY = "flowface_frame_rate"
"""Of a take's collection: the rate at which it was filmed, frames per second."""
ACTOR_OF = "flowface_actor_of"
"""Of the collection of a take's further head: the take's own collection, whose root and cameras it shares."""
ACTOR_NUMBER = "flowface_actor"
"""Of the same collection: the number of its head in the take, from 2 on."""
ROOT = "flowface_root"
"""The empty that holds head and cameras; takes of earlier versions of this add-on have none."""
STAGE = "flowface_stage"
"""The empty between the root and the rest that has the head's motion turned about, where the cameras have it."""
ARMATURE = "flowface_armature"
HEAD = "flowface_head"
_CAMERA_PREFIX = "flowface_camera:"
_KNOWN_PREFIX = "flowface_given:"
_SIZE_PREFIX = "flowface_size:"
VIEWS = "flowface_views"
"""Of a take's collection: the (shortened) names of its views in order."""
_NAME_BYTES = 40
"""Of a view's name in a key: Blender's keys have at most 63 bytes."""


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


def view_of(role: str) -> str | None:
    """The (shortened) name of the view whose camera has a role, None of other roles."""
    return role[len(_CAMERA_PREFIX) :] if role.startswith(_CAMERA_PREFIX) else None


def remember_views(collection: Any, take: contract.TakeResult) -> None:
    """Keep which views a take has, the main one first and those of earlier runs last, and how large their pictures are.

    The sizes are for whoever looks through the cameras.
    """
    names = [short(view.name) for view in take.cameras]
    collection[VIEWS] = list(dict.fromkeys([*names, *_view_names(collection)]))
    for name, view in zip(names, take.cameras, strict=True):
        collection[f"{_SIZE_PREFIX}{name}"] = view.image_size


def _view_names(collection: Any) -> list[str]:
    known = collection.get(VIEWS)
    if known is not None:
        return list(known)
    prefixes = (_CAMERA_PREFIX, _KNOWN_PREFIX)
    keys = [key for key in collection.keys() if key.startswith(prefixes)]  # noqa: SIM118 - iteration is over its objects
    return list(dict.fromkeys(key.split(":", 1)[1] for key in keys))


@dataclass(frozen=True)
class ShownView:
    """A view of a built take: its name, its camera object (None where the user deleted it), its picture's size."""

    name: str
    camera: Any
    size: tuple[int, int] | None


def shown_views(collection: Any) -> list[ShownView]:
    """The views of a built take, the main one first; of a view that was solved and is known now, the known camera."""
    views = []
    for name in _view_names(collection):
        known, built = (collection.get(f"{prefix}{name}") for prefix in (_KNOWN_PREFIX, _CAMERA_PREFIX))
        there = (obj for obj in (known, built) if isinstance(obj, bpy.types.Object) and len(obj.users_scene))
        camera = next(there, None)
        size = collection.get(f"{_SIZE_PREFIX}{name}")
        views.append(ShownView(name, camera, (int(size[0]), int(size[1])) if size is not None else None))
    return views


def takes_of(scene: Any) -> list[Any]:
    """The collections of a scene's takes, in the outliner's order; each once, wherever it is linked to.

    Those of a take's further heads are among them, after the take's own.
    """
    return [child for child in dict.fromkeys(scene.collection.children_recursive) if TAKE_KEY in child]


def whole_takes_of(scene: Any) -> list[Any]:
    """The collections of a scene's takes without those of further heads."""
    return [take for take in takes_of(scene) if main_of(take) == take]


def main_of(collection: Any) -> Any:
    """The take that the collection of a further head belongs to; of another take itself."""
    main = collection.get(ACTOR_OF)
    return main if isinstance(main, bpy.types.Collection) else collection


def actors_of(take: Any) -> list[Any]:
    """The collections of a take's further heads, in the order of their numbers."""
    found = [child for child in take.children_recursive if child.get(ACTOR_OF) == take]
    return sorted(found, key=lambda child: int(child.get(ACTOR_NUMBER, 0)))


def family_of(collection: Any) -> list[Any]:
    """A take and its further heads, all of which are meant by any of them."""
    main = main_of(collection)
    return [main, *actors_of(main)]


def worn_key(collection: Any) -> str:
    """What the materials of a take's head are known by: those of a further head are its own."""
    key = str(collection[TAKE_KEY])
    return key if main_of(collection) == collection else f"{key}\n{collection.get(ACTOR_NUMBER)}"


def find_take(scene: Any, take: contract.TakeResult, preferred: Any = None) -> Any | None:
    """This scene's collection of the take, None where there is none; of several that are it, the ``preferred`` one."""
    wanted = take_id(take)
    same = [found for found in whole_takes_of(scene) if found[TAKE_KEY] == wanted and found.library is None]
    preferred = main_of(preferred) if preferred is not None else None
    return preferred if preferred in same else next(iter(same), None)


def new_collection(scene: Any, take: contract.TakeResult) -> Any:
    """A new collection of the take in this scene."""
    collection = bpy.data.collections.new(take.name)
    collection[TAKE_KEY] = take_id(take)
    scene.collection.children.link(collection)
    return collection


def member(collection: Any, role: str) -> Any | None:
    """The object that was built for a role; None where there is none, or the user deleted it."""
    obj = collection.get(role)
    alive = isinstance(obj, bpy.types.Object) and len(obj.users_scene) > 0
    return obj if alive else None


def take_in(collection: Any, role: str, obj: Any) -> Any:
    """Make an object the one of a role, and part of the collection where no other collection has it."""
    if not len(obj.users_collection):
        collection.objects.link(obj)
    collection[role] = obj
    return obj


def built(collection: Any) -> dict[str, Any]:
    """The objects that were built for a take and are still there, by role."""
    roles = [key for key in collection.keys() if key in (ROOT, STAGE, ARMATURE, HEAD) or key.startswith(_CAMERA_PREFIX)]  # noqa: SIM118
    return {role: obj for role in roles if (obj := member(collection, role)) is not None}
