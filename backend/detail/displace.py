"""Wrinkles on a performance: the displacement of a frame, and the normals and surface that it makes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.detail.skin import edges_of, slopes
from backend.detail.tension import tension
from backend.detail.types import F32, Wrinkles
from backend.head_model.model import HeadModel, posed_vertices
from backend.texture.skin_atlas import SkinAtlas, skin_atlas
from backend.track.geometry import neutral_of, person_of
from backend.track.types import Track

F64 = NDArray[np.float64]


def with_tension(wrinkles: Wrinkles, atlas: SkinAtlas, tensions: NDArray[np.floating[Any]]) -> F32:
    """(S,S) the displacement, metres, where vertices have ``tensions (V,)``."""
    pulled = np.maximum(tensions, 0)
    both = atlas.picture(np.column_stack([pulled, np.maximum(-tensions, 0)]))
    return np.asarray(wrinkles.base + wrinkles.stretch * both[..., 0] + wrinkles.compression * both[..., 1], np.float32)


def displacement(track: Track, head: HeadModel, wrinkles: Wrinkles, frame: int) -> F32:
    """(S,S) the displacement of a frame of the take, metres along the smooth head's normals."""
    return with_tension(wrinkles, skin_atlas(head, wrinkles.side), _tension(track, head, frame))


def displaced_normals(
    head: HeadModel, atlas: SkinAtlas, vertices: NDArray[np.floating[Any]], depth: NDArray[np.floating[Any]]
) -> F32:
    """(S,S,3) unit normals of posed vertices (V,3), metres, displaced by ``depth (S,S)``; 0 where no surface is."""
    normals, along = slopes(head, vertices, atlas.side)
    values = atlas.picture(np.column_stack([normals, along.reshape(-1, 6)]))
    down, across = np.gradient(np.asarray(depth, np.float32))
    slope = np.stack([across, down], axis=-1)
    bent = values[..., :3] - np.einsum("hwck,hwk->hwc", values[..., 3:].reshape(*depth.shape, 3, 2), slope)
    size = np.linalg.norm(bent, axis=-1, keepdims=True)
    return np.asarray(bent / np.maximum(size, 1e-9), np.float32)


def _tension(track: Track, head: HeadModel, frame: int) -> F32:
    neutral = neutral_of(head, track)
    some = slice(frame, frame + 1)
    posed = posed_vertices(person_of(head, track), neutral, track.expression[some], track.gaze[some])
    return tension(posed[0], neutral, edges_of(head))
