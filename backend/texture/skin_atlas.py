"""The head's atlas as pictures of values that its vertices have."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from backend.head_model.appearance import REGISTERED, canonical_face, scalp_share
from backend.head_model.atlas_texels import AtlasTexels
from backend.head_model.dense_points import FACE_LAMBDA
from backend.head_model.model import HeadModel
from backend.texture.types import F32

CANONICAL = "open"
"""The head that the canonical atlas was made for; others lie in it once they are registered."""
CHIN_MM = -122.0
"""Height of the chin's lower edge in ``face_coordinates``."""
_HIDDEN = ("mouth_bag", "eye_sockets", "teeth", "tongue", "gums", "lashes", "left_eyeball", "right_eyeball")


@dataclass(frozen=True, eq=False)
class SkinAtlas:
    """S × S texels, row 0 the atlas's top.

    ``covered (S,S)`` where the surface lies, ``outer (S,S)`` where that is skin which can be seen from outside.
    ``outer_triangles (F,)`` are that skin's.
    """

    head: HeadModel
    side: int
    covered: NDArray[np.bool_]
    outer: NDArray[np.bool_]
    outer_triangles: NDArray[np.bool_]
    _rows: sparse.csr_matrix  # (texels covered, V)

    @property
    def symmetric(self) -> bool:
        """True where the right half mirrors the left."""
        return self.head.id == CANONICAL or REGISTERED in self.head.provenance

    @cached_property
    def half(self) -> SkinAtlas:
        """The same with half as many texels along, for what changes slowly."""
        return skin_atlas(self.head, self.side // 2)

    def picture(self, values: NDArray[Any]) -> F32:
        """Values (V,c) of the head's vertices as a picture (S,S,c), 0 where no surface is."""
        picture = np.zeros((self.side, self.side, values.shape[1]), np.float32)
        picture[self.covered] = self._rows @ np.asarray(values, np.float32)
        return picture


@lru_cache(maxsize=4)
def skin_atlas(head: HeadModel, side: int) -> SkinAtlas:
    """The atlas of a head in ``side`` texels."""
    texels = AtlasTexels.of(head, side)
    count = len(texels.rows)
    rows = sparse.csr_matrix(
        (
            texels.barycentric.astype(np.float32).ravel(),
            head.triangles[texels.triangle].ravel(),
            np.arange(0, 3 * count + 1, 3),
        ),
        shape=(count, head.vertex_count),
    )
    covered, outer = np.zeros((2, side, side), bool)
    covered[texels.rows, texels.columns] = True
    triangles = outer_skin(head)
    outer[texels.rows, texels.columns] = triangles[texels.triangle]
    return SkinAtlas(head, side, covered, outer, triangles, rows)


def outer_skin(head: HeadModel) -> NDArray[np.bool_]:
    """(F,) the triangles of skin that is seen from outside."""
    skin = np.array(head.regions.get("skin", np.ones(head.vertex_count, bool)))
    for name in _HIDDEN:
        if name in head.regions:
            skin &= ~head.regions[name]
    return np.asarray(skin[head.triangles].all(axis=1))


@lru_cache(maxsize=4)
def on_scalp(head: HeadModel) -> NDArray[np.bool_]:
    """(V,) where hair grows on most heads."""
    face = canonical_face(head)
    return np.asarray(scalp_share(np.column_stack([np.abs(face[:, 0]), face[:, 1:]])) > 0.5)


def on_neck(head: HeadModel) -> NDArray[np.bool_]:
    """(V,) of the skin that is neither face nor ear nor scalp, or lies below the chin."""
    beside = (head.vertex_weight < FACE_LAMBDA) & ~on_scalp(head)
    return np.asarray(beside | (canonical_face(head)[:, 1] < CHIN_MM))
