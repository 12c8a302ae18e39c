"""What the shape keys of a mesh object move, as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .fields import Shapes

F32 = NDArray[np.float32]

_STILL = 1e-6  # of the mesh's extent: the rounding of single precision


def names_of(obj: Any) -> tuple[str, ...]:
    """The names of an object's shape keys in their order, without the one that the others are relative to."""
    keys = getattr(obj.data, "shape_keys", None)
    if keys is None:
        return ()
    return tuple(block.name for block in keys.key_blocks if block != keys.reference_key)


def read(obj: Any, named: dict[str, Any] | None = None) -> Shapes:
    """What an object's keys add at value 1 where they move anything, in the axes of the scene.

    A key adds what it differs by from the key that it is relative to, by the weights of its vertex group if it has
    one. Points that no key moves are left out. ``named`` are the keys to read by the names to give them; all without.
    """
    mesh = obj.data
    keys = mesh.shape_keys
    blocks = named if named is not None else {name: keys.key_blocks[name] for name in names_of(obj)}
    neutral = np.nan_to_num(_points(keys.reference_key), posinf=0.0, neginf=0.0)
    least = _STILL * float(np.ptp(neutral, axis=0).max(initial=0.0))
    based = {keys.reference_key.name: neutral}
    moved, found = np.zeros(len(neutral), bool), []
    for block in blocks.values():
        base = block.relative_key
        if base.name not in based:
            based[base.name] = _points(base)
        offset = np.nan_to_num(_points(block) - based[base.name], posinf=0.0, neginf=0.0)
        if block.vertex_group:
            offset *= _weights(obj, block.vertex_group)[:, None]
        rows = np.flatnonzero(np.abs(offset).max(axis=1) > least)
        moved[rows] = True
        found.append((rows, offset[rows]))
    place = np.cumsum(moved) - 1
    offsets = np.zeros((len(found), int(moved.sum()), 3), np.float32)
    for row, (rows, offset) in enumerate(found):
        offsets[row, place[rows]] = offset
    linear = np.array(obj.matrix_world, np.float32)[:3, :3]
    return Shapes(tuple(blocks), neutral[moved] @ linear.T, offsets @ linear.T)


def _points(block: Any) -> F32:
    out = np.empty(3 * len(block.points), np.float32)
    block.points.foreach_get("co", out)
    return out.reshape(-1, 3)


def _weights(obj: Any, group: str) -> F32:
    """The weights (V,) of a vertex group; 1 where there is none of that name, as Blender has it."""
    out = np.ones(len(obj.data.vertices), np.float32)
    found = obj.vertex_groups.get(group)
    if found is None:
        return out
    out[:] = 0.0
    for vertex in obj.data.vertices:
        for item in vertex.groups:
            if item.group == found.index:
                out[vertex.index] = item.weight
    return out
