"""A head as pictures show it: painted, with the brows, lashes and teeth that scenes get."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.appearance import paint_texture
from backend.head_model.brows import Brows
from backend.head_model.lashes import Lashes
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel
from backend.head_model.teeth import InMouth, teeth_of


@dataclass(frozen=True, eq=False)
class Drawing:
    """What a picture of a head is drawn from; brows, lashes and teeth follow its V vertices, N in all.

    A head of another atlas than the open head's is drawn as it is.
    """

    texture: NDArray[np.uint8]  # (side,side,3) on the head's atlas
    triangles: NDArray[np.int32]  # (F,3)
    corner_uv: NDArray[np.float32]  # (F,3,2)
    grown: tuple[Brows | Lashes | InMouth, ...]

    @classmethod
    def of(cls, head: HeadModel) -> Drawing:
        """Raises ``UserError`` ``no_opengl`` where nothing can be drawn."""
        triangles, corner_uv = head.triangles, head.uv_vertices[head.uv_triangles]
        brows, lashes = Brows.of(head), Lashes.of(head)
        if brows is None or lashes is None:
            return cls(paint_texture(head), triangles, corner_uv, ())
        teeth = teeth_of(head)
        replaced = ("lashes", "teeth") if teeth else ("lashes",)
        kept = ~np.any([head.regions[name][triangles].all(axis=1) for name in replaced if name in head.regions], axis=0)
        start, pieces, corners = head.vertex_count, [triangles[kept]], [corner_uv[kept]]
        lash_places = np.tile(_lash_place(), (len(lashes.places()), 1))
        grown: tuple[Brows | Lashes | InMouth, ...] = (brows, lashes, *teeth)
        for item, places in zip(grown, (brows.places(), lash_places, *(piece.at for piece in teeth)), strict=True):
            halves = np.concatenate([item.quads[:, [0, 1, 2]], item.quads[:, [0, 2, 3]]])
            pieces.append(halves + start)
            corners.append(places[halves].astype(np.float32))
            start += len(places)
        return cls(paint_texture(head), np.concatenate(pieces), np.concatenate(corners), grown)

    def vertices(self, posed: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """(N,3) for the head's vertices (V,3), metres, wherever they are."""
        return np.concatenate([posed, *(grown.on(posed) for grown in self.grown)]).astype(np.float32)


@lru_cache(maxsize=1)
def _lash_place() -> NDArray[np.float64]:
    """A place (2,) in the canonical atlas that has the colour of lashes: in the largest face of the open head's own."""
    head = load_head("open")
    corners = head.uv_vertices[head.uv_triangles[head.regions["lashes"][head.triangles].all(axis=1)]].astype(np.float64)
    along, across = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = np.abs(along[:, 0] * across[:, 1] - along[:, 1] * across[:, 0])
    return np.asarray(corners[area.argmax()].mean(axis=0))
