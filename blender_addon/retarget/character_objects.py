"""What belongs to a character in the scene: its meshes, its armature, and the bone that its skull is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import bpy
import numpy as np
from mathutils import Vector
from numpy.typing import NDArray

CARRIES = 0.15
"""Of a patch's weights: a bone with less than this share of them does not carry it."""
NOT_SEEN = ("BOUNDS", "WIRE")
"""How objects are displayed that are aids: cages, the wire of a take's other version."""


def armature_of(obj: Any) -> Any | None:
    """The armature that carries an object: itself, its modifier's, or the nearest among its parents."""
    return obj if obj.type == "ARMATURE" else next(armatures_of(obj), None)


def armatures_of(obj: Any) -> Iterator[Any]:
    """The armatures that deform an object, and then those above it."""
    for modifier in obj.modifiers:
        if modifier.type == "ARMATURE" and modifier.object is not None:
            yield modifier.object
    yield from (above for above in parents_of(obj) if above.type == "ARMATURE")


def meshes_of(obj: Any) -> list[Any]:
    """All meshes of the character that an object is or is part of, the object itself first where it is one.

    They are what its armature carries; without an armature, what hangs on the same topmost parent and is no farther
    from it than that their boxes touch: others there are other characters.
    """
    rig = armature_of(obj)
    top = rig or next(reversed(list(parents_of(obj))), obj)
    found = [other for other in bpy.data.objects if other != obj and _is_shown(other) and _hangs_on(other, top, rig)]
    if rig is None and obj.type == "MESH":
        found = [other for other in found if _touch(obj, other)]
    return [obj, *found] if obj.type == "MESH" else found


def _is_shown(obj: Any) -> bool:
    return bool(
        obj.type == "MESH" and len(obj.users_scene) and not obj.hide_render and obj.display_type not in NOT_SEEN
    )


def _touch(obj: Any, other: Any) -> bool:
    """Whether the boxes of two objects, along the world's axes, overlap."""
    lows, highs = [], []
    for each in (obj, other):
        corners = np.array([tuple(each.matrix_world @ Vector(corner)) for corner in each.bound_box])
        lows.append(corners.min(axis=0))
        highs.append(corners.max(axis=0))
    return bool((np.maximum(*lows) <= np.minimum(*highs)).all())


def _hangs_on(obj: Any, top: Any, rig: Any) -> bool:
    return top in parents_of(obj) or (rig is not None and armature_of(obj) == rig)


def parents_of(obj: Any) -> Iterator[Any]:
    """What an object hangs on, the nearest first."""
    while obj.parent is not None:
        obj = obj.parent
        yield obj


def carrying_bone(obj: Any, rig: Any, patches: Iterable[NDArray[np.int64]]) -> str:
    """The bone that carries all patches of vertices of a mesh: the nearest that all of them hang on; "" without one."""
    names = []
    for patch in patches:
        weights: dict[str, float] = {}
        for index in patch:
            for group in obj.data.vertices[int(index)].groups:
                name = obj.vertex_groups[group.group].name if group.group < len(obj.vertex_groups) else ""
                if name in rig.data.bones:
                    weights[name] = weights.get(name, 0.0) + group.weight
        names += [name for name, weight in weights.items() if weight > CARRIES * sum(weights.values())]
    return common_bone(rig, names)


def common_bone(rig: Any, names: Iterable[str]) -> str:
    """The nearest bone that all named bones are or hang on; "" where there is none."""
    lines = []
    for name in dict.fromkeys(names):
        bone = rig.data.bones.get(name)
        lines.append([bone.name, *(parent.name for parent in bone.parent_recursive)] if bone is not None else [])
    shared = set(lines[0]).intersection(*lines[1:]) if lines else set()
    return next((name for name in lines[0] if name in shared), "") if lines else ""
