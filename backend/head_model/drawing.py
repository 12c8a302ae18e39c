"""A head as pictures show it: painted, with the brows, lashes and teeth that scenes get."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.appearance import GAMMA, MOUTH_PARTS, light_behind, mouth_light, paint_texture
from backend.head_model.brows import Brows
from backend.head_model.hair import at_points, eyes_and_scale
from backend.head_model.lashes import Lashes
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel, SurfacePoints
from backend.head_model.teeth import InMouth, teeth_of

_CORNERS, _MIDDLE = (78, 308), (0, 17)
_INNER_LIPS = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
"""MediaPipe's points: the corners inside the lips towards −x and +x, above and below the lips, and around inside."""
_LEAST_MM = 2.0  # radius of an opening that lets no light in


@dataclass(frozen=True, eq=False)
class Drawing:
    """What a picture of a head is drawn from; brows, lashes and teeth follow its V vertices, N in all.

    A head of another atlas than the open head's is drawn as it is.
    """

    texture: NDArray[np.uint8]  # (side,side,3) on the head's atlas
    triangles: NDArray[np.int32]  # (F,3)
    corner_uv: NDArray[np.float32]  # (F,3,2)
    grown: tuple[Brows | Lashes | InMouth, ...]
    mouth: _Mouth | None

    @classmethod
    def of(cls, head: HeadModel) -> Drawing:
        """Raises ``UserError`` ``no_opengl`` where nothing can be drawn."""
        triangles, corner_uv = head.triangles, head.uv_vertices[head.uv_triangles]
        brows, lashes = Brows.of(head), Lashes.of(head)
        if brows is None or lashes is None:
            return cls(paint_texture(head), triangles, corner_uv, (), None)
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
        return cls(paint_texture(head), np.concatenate(pieces), np.concatenate(corners), grown, _Mouth.of(head, grown))

    def vertices(self, posed: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """(N,3) for the head's vertices (V,3), metres, wherever they are."""
        return np.concatenate([posed, *(grown.on(posed) for grown in self.grown)]).astype(np.float32)

    def shades(self, shown: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the texture's colours are to be multiplied by at each of ``vertices`` (N,3): light in the mouth."""
        shades = np.ones((len(shown), 3), np.float32)
        if self.mouth is not None:
            shades[self.mouth.inside] = self.mouth.shade(shown)[:, None]
        return shades


@dataclass(frozen=True, eq=False)
class _Mouth:
    """Light that comes in between the lips, however far they are apart and put forward."""

    head: HeadModel
    inside: NDArray[np.bool_]  # (N,) of the drawing's vertices
    painted: NDArray[np.float64]  # (n,) light of those inside in the texture, as ``mouth_light`` has it

    @classmethod
    def of(cls, head: HeadModel, grown: tuple[Brows | Lashes | InMouth, ...]) -> _Mouth:
        own = np.any([head.regions[name] for name in MOUTH_PARTS if name in head.regions], axis=0)
        more = [np.full(len(item.places()), isinstance(item, InMouth)) for item in grown]
        lights = [item.light for item in grown if isinstance(item, InMouth)]
        return cls(head, np.concatenate([own, *more]), np.concatenate([mouth_light(head)[own], *lights]))

    def shade(self, shown: NDArray[np.float32]) -> NDArray[np.float64]:
        """(n,) by how much of the light that was painted there is, for the drawing's vertices (N,3).

        The form factor of ``mouth_light``, of a disk as large as the opening where it is between the lips.
        """
        posed = shown[: self.head.vertex_count]
        points = self.head.landmarks["mediapipe478"]
        places = np.array((*_CORNERS, *_MIDDLE, *_INNER_LIPS))
        (right, left, above, below), lips = np.split(
            at_points(self.head, SurfacePoints(points.triangle[places], points.barycentric[places]), posed), [4]
        )
        ahead = np.cross(left - right, above - below)
        ahead /= np.linalg.norm(ahead)
        _, scale = eyes_and_scale(self.head, posed)
        around = (lips - lips.mean(axis=0)) / scale
        area = abs(np.cross(around, np.roll(around, -1, axis=0)).sum(axis=0) @ ahead) / 2
        depth = (lips.mean(axis=0) - shown[self.inside]) @ ahead / scale
        light = light_behind(depth, max(np.sqrt(area / np.pi), _LEAST_MM))
        return np.asarray((light / self.painted) ** (1 / GAMMA))


@lru_cache(maxsize=1)
def _lash_place() -> NDArray[np.float64]:
    """A place (2,) in the canonical atlas that has the colour of lashes: in the largest face of the open head's own."""
    head = load_head("open")
    corners = head.uv_vertices[head.uv_triangles[head.regions["lashes"][head.triangles].all(axis=1)]].astype(np.float64)
    along, across = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = np.abs(along[:, 0] * across[:, 1] - along[:, 1] * across[:, 0])
    return np.asarray(corners[area.argmax()].mean(axis=0))
