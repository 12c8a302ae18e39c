"""The shape of a head that is there already: which keys are its expressions, and how it takes over another person.

What a user sculpted, on the head's own keys or on further ones, is kept as what it is: an offset from the shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ..vendor import take as contract
from .head import EXPRESSIONS, OWN_VERTICES, SHAPE, add_shape_key
from .polygons import polygons_of

F32 = NDArray[np.float32]

SCULPTED = 2e-6
"""Metres: single precision is finer at the size of a head, and nobody sculpts by less."""


def expressions_of(mesh: Any, names: Sequence[str]) -> dict[str, Any]:
    """The shape keys of expressions by the expressions' names; those that the mesh does not have are left out.

    A key that the user renamed is known by its place, as long as all keys stay in order.
    """
    keys = mesh.shape_keys
    if keys is None:
        return {}
    blocks, built = keys.key_blocks, list(mesh.get(EXPRESSIONS, names))
    found = {}
    for name in names:
        block = blocks.get(name)
        place = built.index(name) + 1 if name in built else len(blocks)
        if block is None and place < len(blocks) and blocks[place].name not in built:
            block = blocks[place]
        if block is not None:
            found[name] = block
    return found


def built_names(mesh: Any) -> list[str]:
    """The names of the expressions that a mesh was built with; none where an earlier add-on did not say."""
    return list(mesh.get(EXPRESSIONS, ()))


def same_topology(mesh: Any, head: contract.HeadGeometry) -> bool:
    """True where the mesh has the head's vertices and faces, so that the one's shape can be the other's."""
    if len(mesh.vertices) != len(head.neutral):
        return False
    wanted = polygons_of(head)
    if len(mesh.loops) != len(wanted.vertex) or len(mesh.polygons) != len(wanted.start):
        return False
    corners = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("vertex_index", corners)
    return bool((corners == wanted.vertex).all())


def same_head(mesh: Any, head: contract.HeadGeometry) -> bool:
    """True where the mesh was built of this head model, even if its faces were changed by hand since."""
    built = list(mesh.get(OWN_VERTICES, (0, len(mesh.vertices))))[1]
    names = list(mesh.get(EXPRESSIONS, head.expression_names))
    known = expressions_of(mesh, head.expression_names) or not head.expression_names
    return built == len(head.neutral) and names == list(head.expression_names) and bool(known)


def keep_shape(name: str, points: F32) -> Any:
    """Keep shapes (1+K,V,3) in the file as a mesh of bare vertices that is shown nowhere."""
    kept = bpy.data.meshes.new(f".{name} shape")
    kept.vertices.add(points.shape[0] * points.shape[1])
    kept.attributes["position"].data.foreach_set("vector", points.ravel())  # 150 times as fast as their "co"
    return kept


def kept_shape(kept: Any, mesh: Any) -> F32 | None:
    """The shapes (1+K,V,3) that ``keep_shape`` kept for a head's mesh, None where that has other vertices."""
    if kept is None or not len(mesh.vertices) or len(kept.vertices) % len(mesh.vertices):
        return None
    points = np.empty(3 * len(kept.vertices), np.float32)
    kept.attributes["position"].data.foreach_get("vector", points)
    return points.reshape(-1, len(mesh.vertices), 3)


def shape_of(obj: Any, names: Sequence[str]) -> F32:
    """The shapes (1+K,V,3) that a head has now; an expression that it lacks is as the neutral."""
    keys, found = obj.data.shape_keys, expressions_of(obj.data, names)
    basis = _read(keys.reference_key)
    return np.stack([basis, *(_read(found[name]) if name in found else basis for name in names)])


def change_shape(obj: Any, names: Sequence[str], points: F32) -> bool:
    """Give a head the shapes ``points (1+K,V,3)``; returns whether it has something sculpted, which is kept.

    What differs from the shapes that it was given before is the user's; where those are not known, nothing is.
    """
    was = kept_shape(obj.data.get(SHAPE), obj.data)
    was = was if was is not None and was.shape == points.shape else None
    mesh, blocks = obj.data, obj.data.shape_keys.key_blocks
    for name in names:
        if name not in expressions_of(mesh, names):
            key = add_shape_key(obj, name)
            key.points.foreach_set("co", _read(blocks[0]).ravel())
    own = expressions_of(mesh, names)
    reference = obj.data.shape_keys.reference_key
    old = {block.name: _read(block) for block in blocks}
    basis_edit = _edit(old[reference.name] - was[0]) if was is not None else None
    new = {reference.name: points[0] if basis_edit is None else points[0] + basis_edit}
    sculpted = basis_edit is not None
    for index, name in enumerate(names, 1):
        block = own[name]
        edit = None
        if was is not None:
            edit = _edit((old[block.name] - old[reference.name]) - (was[index] - was[0]))
        offset = points[index] - points[0] if edit is None else points[index] - points[0] + edit
        new[block.name] = points[index] if edit is None and basis_edit is None else new[reference.name] + offset
        sculpted = sculpted or edit is not None
    for block in blocks:
        if block.name not in new:
            base = block.relative_key.name if block.relative_key.name in new else reference.name
            new[block.name] = new[base] + (old[block.name] - old[block.relative_key.name])
    for block in blocks:
        block.points.foreach_set("co", new[block.name].ravel())
    mesh.attributes["position"].data.foreach_set("vector", new[reference.name].ravel())
    mesh.update()
    return sculpted


def _edit(difference: F32) -> F32 | None:
    """What was sculpted, None where all is rounding."""
    moved = np.abs(difference) > SCULPTED
    return np.where(moved, difference, np.float32(0)) if moved.any() else None


def _read(key: Any) -> F32:
    out = np.empty(3 * len(key.points), np.float32)
    key.points.foreach_get("co", out)
    return out.reshape(-1, 3)
