"""What the objects of a character look like on each frame, whatever moves them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import stepping

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Seen:
    """An object on T frames."""

    obj: Any
    worlds: F64
    """(T,4,4): the object's space in the world."""
    keys: Mapping[str, F64]
    """(T,) by shape key's name, all but the reference key; 0 where one is muted."""
    bones: Mapping[str, F64]
    """(T,4,4) by pose bone's name: its space in the armature's."""


def on_frames(context: Any, objects: Sequence[Any], frames: F64) -> list[Seen]:
    """What is seen of visible objects on scene frames (T,)."""
    count = len(frames)
    worlds = [np.empty((count, 4, 4)) for _ in objects]
    keys = [np.zeros((count, len(_blocks(obj))), np.float32) for obj in objects]
    poses = [np.empty((count, len(_bones(obj)), 4, 4)) for obj in objects]
    for index, graph in enumerate(stepping.through(context, frames)):
        for number, obj in enumerate(objects):
            evaluated = obj.evaluated_get(graph)
            worlds[number][index] = evaluated.matrix_world
            if len(keys[number][index]):
                obj.data.shape_keys.evaluated_get(graph).key_blocks.foreach_get("value", keys[number][index])
            for bone, pose in enumerate(_bones(evaluated)):
                poses[number][index, bone] = pose.matrix
    return [
        Seen(
            obj, world, _named(obj, values), dict(zip((b.name for b in _bones(obj)), pose.swapaxes(0, 1), strict=True))
        )
        for obj, world, values, pose in zip(objects, worlds, keys, poses, strict=True)
    ]


def _blocks(obj: Any) -> Any:
    keys = getattr(obj.data, "shape_keys", None)
    return keys.key_blocks if keys is not None else ()


def _bones(obj: Any) -> Any:
    return obj.pose.bones if obj.pose is not None else ()


def _named(obj: Any, values: NDArray[np.float32]) -> dict[str, F64]:
    blocks = _blocks(obj)
    reference = obj.data.shape_keys.reference_key if len(blocks) else None
    columns = zip(blocks, values.T.astype(np.float64), strict=True)
    return {block.name: column * (not block.mute) for block, column in columns if block != reference}
