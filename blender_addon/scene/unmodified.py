"""A head's vertices as its shape keys and bones place them, for where a modifier makes other vertices of them.

Blender's own evaluation has no such stage to be read. Shape keys add up, and each vertex goes with its bones by linear
skinning, as in the fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def vertices(head: Any, depsgraph: Any, wanted: Sequence[int] | None = None) -> F64:
    """The places (n,3) in the scene of some vertices of a head object, of all where none are named."""
    indices = range(len(head.data.vertices)) if wanted is None else wanted
    points = _skinned(head, depsgraph, indices, _shaped(head.data, wanted))
    matrix = np.array(head.evaluated_get(depsgraph).matrix_world, np.float64)
    return np.asarray(points @ matrix[:3, :3].T + matrix[:3, 3])


def _shaped(mesh: Any, wanted: Sequence[int] | None) -> F64:
    """Vertices (n,3) under the values that the shape keys have now, in the mesh's space."""
    if mesh.shape_keys is None:
        return _read(mesh.vertices, wanted)
    points = _read(mesh.shape_keys.reference_key.points, wanted)
    for block in mesh.shape_keys.key_blocks:
        if block.value and not block.mute and block != mesh.shape_keys.reference_key:
            points = points + block.value * (_read(block.points, wanted) - _read(block.relative_key.points, wanted))
    return points


def _read(places: Any, wanted: Sequence[int] | None) -> F64:
    if wanted is not None:
        return np.array([tuple(places[index].co) for index in wanted], np.float64).reshape(-1, 3)
    out = np.empty(3 * len(places), np.float32)
    places.foreach_get("co", out)
    return out.reshape(-1, 3).astype(np.float64)


def _skinned(head: Any, depsgraph: Any, indices: Sequence[int], points: F64) -> F64:
    """Vertices (n,3) of the head's space as the armature's pose carries them."""
    modifier = next((one for one in head.modifiers if one.type == "ARMATURE" and one.object is not None), None)
    if modifier is None or not modifier.show_viewport:
        return points
    rig = modifier.object.evaluated_get(depsgraph)
    to_rig = np.linalg.inv(np.array(rig.matrix_world, np.float64)) @ np.array(
        head.evaluated_get(depsgraph).matrix_world, np.float64
    )
    moves, number = [np.eye(4)], {}
    for group in head.vertex_groups:
        bone = rig.pose.bones.get(group.name)
        if bone is not None:
            posed = np.array(bone.matrix, np.float64) @ np.linalg.inv(np.array(bone.bone.matrix_local, np.float64))
            number[group.index] = len(moves)
            moves.append(np.linalg.inv(to_rig) @ posed @ to_rig)
    weights = np.zeros((len(points), len(moves)))
    for place, index in enumerate(indices):
        for one in head.data.vertices[index].groups:
            weights[place, number.get(one.group, 0)] += one.weight * (one.group in number)
    total = weights.sum(axis=1, keepdims=True)
    weights[total[:, 0] == 0, 0] = 1.0  # no bone carries these
    matrices = np.einsum("nm,mab->nab", weights / np.where(total > 0, total, 1.0), np.array(moves))
    return np.asarray(np.einsum("nab,nb->na", matrices[:, :3, :3], points) + matrices[:, :3, 3])
