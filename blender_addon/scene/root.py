"""The empty that holds a take's head and cameras: where the take stands, and how large it is.

It is the user's from the moment it is made; the keys of head and cameras are in its space, in metres.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from . import axes
from . import ownership as replace

UNITS = "flowface_units"
"""The root's property: units of its space per metre; 1 but for takes that an earlier add-on built in another scale."""
SIZE = 0.2
"""Metres: how large the empty is drawn."""
APART = 1.0
"""Metres between takes: a camera half a metre before a face does not see the next head."""
NEAR = 0.4
"""Metres: heads whose takes stand nearer than this overlap."""


def build_root(collection: Any, name: str, placement: axes.Placement) -> Any:
    """The root of a new take, which then stands at ``placement``."""
    obj = bpy.data.objects.new(f"{name} root", None)
    obj.empty_display_type, obj.empty_display_size = "PLAIN_AXES", SIZE
    obj[UNITS] = 1.0
    own = axes.at_eye_level()
    turn = placement.turn @ own.turn.T
    matrix = np.eye(4)
    matrix[:3, :3] = placement.scale * turn
    matrix[:3, 3] = placement.offset - placement.scale * (turn @ own.offset)
    obj.matrix_world = Matrix(matrix.tolist())
    return replace.take_in(collection, replace.ROOT, obj)


def root_of(collection: Any, metres_per_unit: float) -> Any:
    """The root of a take; for one that an earlier add-on built without, a new one about what it has, in its space."""
    collection = replace.main_of(collection)
    root = replace.member(collection, replace.ROOT)
    if root is None:
        others = replace.built(collection)
        fresh = axes.at_eye_level()
        root = build_root(collection, collection.name, fresh)
        root[UNITS] = 1.0 / metres_per_unit if others else 1.0
        hold(root, others.values())
    return root


def hold(root: Any, objects: Iterable[Any]) -> None:
    """Make the root the parent of objects that have none, which stay where they are while it has not been moved."""
    for obj in objects:
        if obj.parent is None and obj != root:
            obj.parent = root


def own_space(root: Any) -> axes.Placement:
    """The placement of a take whose world nobody knows, in its root's space."""
    return axes.at_eye_level(1.0 / root[UNITS])


def in_space_of(root: Any, placement: axes.Placement) -> axes.Placement:
    """A placement in the scene as one in the root's space, wherever that stands now."""
    inverse = np.array(root.matrix_world.inverted(), np.float64)
    scale = float(np.cbrt(abs(np.linalg.det(inverse[:3, :3]))))
    turn = inverse[:3, :3] / scale @ placement.turn
    left, _, right = np.linalg.svd(turn)
    offset = inverse[:3, :3] @ placement.offset + inverse[:3, 3]
    return axes.Placement(left @ right, offset, scale * placement.scale)


def beside_others(scene: Any, placement: axes.Placement) -> axes.Placement:
    """The placement of a new take, moved sideways to where no other take's first camera was placed."""
    offset = _free(placement.offset, [_reference(other) for other in replace.whole_takes_of(scene)], placement.scale)
    return axes.Placement(placement.turn, offset, placement.scale)


def free_place(scene: Any, collection: Any) -> Any | None:
    """A matrix for the root of a take with which it stands beside all others; None where it must not be moved: a
    camera of the user's own filmed it, or nothing holds it."""
    own = replace.member(collection, replace.ROOT)
    solved = [role for role in replace.built(collection) if replace.view_of(role) is not None]
    here = _reference(collection)
    if own is None or not solved or here is None:
        return None
    others = [_reference(other) for other in replace.whole_takes_of(scene) if other != collection]
    moved = _free(here, others, own.matrix_world.median_scale) - here
    return Matrix.Translation(moved.tolist()) @ own.matrix_world


def _reference(collection: Any) -> NDArray[np.float64] | None:
    """Where the first camera of a take stood when it was built, moved with its root; None where nothing is left."""
    root = replace.member(collection, replace.ROOT)
    if root is None:
        return axes.at_eye_level().offset if replace.built(collection) else None
    return np.array(root.matrix_world @ Matrix.Translation(axes.at_eye_level().offset.tolist()), np.float64)[:3, 3]


def _free(
    wanted: NDArray[np.float64], taken: Iterable[NDArray[np.float64] | None], scale: float
) -> NDArray[np.float64]:
    places = [place for place in taken if place is not None]
    while any(np.linalg.norm(wanted - place) < NEAR * scale for place in places):
        wanted = wanted + np.array([APART * scale, 0.0, 0.0])
    return wanted
