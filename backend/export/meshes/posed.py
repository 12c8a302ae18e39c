"""The head of each frame of a take, as tools with a y axis that points up want it. Pure numerics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.head_model.model import HeadModel, posed_vertices
from backend.track.geometry import neutral_of, person_of
from backend.track.types import Track
from protocol.arrays import at_frames

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

Y_UP: F64 = np.diag([1.0, -1.0, -1.0])
"""World with y up = Y_UP · the take's world (OpenCV's axes): +x to the right, +y up, +z towards who looks, metres.

A first camera at the origin looks along −z. Maya, Houdini, Nuke and glTF have these axes; Blender's importers of OBJ
and glTF turn them into its own, in which they are (x, −z, y).
"""
FRAMES_AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class PosedHead:
    """A head in one frame: ``vertices (V,3)`` in metres in the world with y up, unit ``normals (V,3)``."""

    index: int  # into the track's frames
    vertices: F32
    normals: F32


def posed_heads(track: Track, head: HeadModel) -> Iterator[PosedHead]:
    """The tracked person's head in each frame of the track, bridged ones included, in its order.

    Raises UserError ``head_changed`` where the head is not the track's.
    """
    person, neutral = person_of(head, track), neutral_of(head, track)
    for first in range(0, len(track.frames), FRAMES_AT_ONCE):
        some = np.arange(first, min(first + FRAMES_AT_ONCE, len(track.frames)))
        part = at_frames(track, some)
        turns = Y_UP @ Rotation.from_rotvec(part.head_rotation.copy()).as_matrix()  # scipy wants to own what it reads
        posed = posed_vertices(person, neutral, part.expression, part.gaze).astype(np.float64)
        world = posed @ turns.transpose(0, 2, 1) + (part.head_translation @ Y_UP)[:, None]
        for index, vertices in zip(some.tolist(), world, strict=True):
            yield PosedHead(index, vertices.astype(np.float32), vertex_normals(vertices, head.triangles))


def vertex_normals(vertices: NDArray[np.floating[Any]], triangles: NDArray[np.integer[Any]]) -> F32:
    """Unit normals (V,3), the mean of the triangles around each vertex by their areas; +y where there is none."""
    corners = vertices[triangles]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    sums = [np.bincount(triangles.ravel(), np.repeat(across[:, axis], 3), minlength=len(vertices)) for axis in range(3)]
    normals = np.stack(sums, axis=1)
    lengths = np.linalg.norm(normals, axis=1)
    normals[lengths <= 0] = (0.0, 1.0, 0.0)
    return (normals / np.where(lengths > 0, lengths, 1.0)[:, None]).astype(np.float32)
