"""The pictures of a take laid out in the atlas one after the other, fast: positions on a coarse grid, pixels on a fine.

``unwrap`` finds the place of every texel; here a sixteenth of the texels tell those between them, which lie closer to
each other than the head's vertices do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from backend.cameras.distortion import Lens, distort
from backend.fitting import FitResult
from backend.fitting.posed import world_vertices
from backend.head_model.atlas_texels import AtlasTexels, sample
from backend.head_model.model import HeadModel
from backend.skin_matching.unwrap import CONTRAST, GRAZING, IN_FRONT, NOISE, face_texels, pixels_per_texel

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Frames = NDArray[np.integer]  # type: ignore[type-arg]

STEP = 4
"""Texels from one node of the coarse grid to the next, 2.5 mm and less."""
CELL = 1.5
"""Nodes across a cell of the picture in which the nearest hides what lies deeper than its slope tells."""
SHARPER = 1.5
"""Pixels a texel from which a picture is made smaller first, lest its detail alias."""


@dataclass(frozen=True, eq=False)
class Places:
    """Where a frame shows the nodes of the coarse grid (R,C): ``pixels (R,C,2)`` ideal ones, ``facing (R,C)`` the
    cosine between normal and line of sight where skin is seen, 0 elsewhere; ``step`` pixels from texel to texel."""

    pixels: F32
    facing: F32
    step: float


@dataclass(frozen=True, eq=False)
class Laid:
    """A picture in the atlas: ``grey (S,S)`` uint8 with its contrast evened out, and where each texel comes from."""

    grey: NDArray[np.uint8]
    places: Places

    def facing(self, at: F64) -> F64:
        """(n,) at texels (n,2)."""
        return sample(self.places.facing, at / STEP)

    def pixels(self, at: F64) -> F64:
        """Ideal pixels (n,2) of texels (n,2)."""
        return sample(self.places.pixels, at / STEP)


@dataclass(frozen=True, eq=False)
class TakeLayout:
    """Lays pictures of a take out in an atlas of ``side`` texels."""

    head: HeadModel
    side: int
    lens: Lens | None = None

    @cached_property
    def texels(self) -> AtlasTexels:
        """The nodes of the coarse grid."""
        return face_texels(self.head, self.side // STEP)

    @cached_property
    def _on_surface(self) -> sparse.csr_matrix:
        """(n,V) the nodes' positions from the vertices'."""
        count = len(self.texels.triangle)
        corners = self.head.triangles[self.texels.triangle].ravel()
        rows = np.repeat(np.arange(count), 3)
        return sparse.csr_matrix(
            (self.texels.barycentric.ravel(), (rows, corners)), shape=(count, self.head.vertex_count)
        )

    @cached_property
    def _nearest(self) -> NDArray[np.intp]:
        """(R,C) the node that is nearest to each place of the grid."""
        number = np.full((self.texels.side, self.texels.side), -1, np.intp)
        number[self.texels.rows, self.texels.columns] = np.arange(len(self.texels.rows))
        where = ndimage.distance_transform_edt(number < 0, return_distances=False, return_indices=True)
        return np.asarray(number[tuple(where)])

    def places(self, fit: FitResult, frames: Frames) -> list[Places]:
        """Where a fit of one view says that its ``frames`` show the atlas; as many at once as fit in memory."""
        camera = fit.cameras[0]
        turn, shift = camera.world_to_camera[:, :3], camera.world_to_camera[:, 3]
        world = world_vertices(self.head, fit, frames)  # (t,V,3)
        flat = np.ascontiguousarray(world.transpose(1, 0, 2)).reshape(world.shape[1], -1)
        nodes = np.asarray(self._on_surface @ flat).reshape(-1, len(frames), 3).transpose(1, 0, 2)
        there = nodes @ turn.T + shift
        return [self._placed(points, camera.focal_px, camera.principal_point) for points in there]

    def _placed(self, points: F64, focal: float, centre: tuple[float, float]) -> Places:
        """From the nodes' positions (n,3) in camera space."""
        pixels = points[:, :2] / points[:, 2:] * focal + np.array(centre)
        step = pixels_per_texel(self.texels, pixels) / STEP
        facing = self._facing(points)
        seen = (facing > GRAZING) & (points[:, 2] > 0)
        across = CELL * step * STEP
        slope = np.sqrt(1 - np.square(facing.clip(-1, 1))) / np.maximum(facing, GRAZING)
        deep = IN_FRONT + slope * across * points[:, 2] / focal
        seen &= points[:, 2] < _nearest_depth(pixels, points[:, 2], across) + deep
        whole = np.zeros(self._nearest.shape, np.float32)
        whole[self.texels.rows, self.texels.columns] = facing * seen
        return Places(pixels.astype(np.float32)[self._nearest], whole, step)

    def _facing(self, points: F64) -> F64:
        """(n,) the cosine between normal and line of sight, from the nodes' differences."""
        grid = points.astype(np.float32)[self._nearest]
        across, down = np.empty_like(grid), np.empty_like(grid)
        across[:, 1:-1], down[1:-1] = grid[:, 2:] - grid[:, :-2], grid[2:] - grid[:-2]
        across[:, (0, -1)], down[(0, -1), :] = across[:, (1, -2)], down[(1, -2), :]
        across, down = (side[self.texels.rows, self.texels.columns] for side in (across, down))
        normal = np.cross(across, down)
        length = np.linalg.norm(normal, axis=1) * np.linalg.norm(points, axis=1)
        # rows go down, so that the cross product points into the head, away from who sees it
        return np.asarray(np.einsum("nc,nc->n", normal, points) / np.maximum(length, 1e-20))

    def lay_out(self, picture: NDArray[np.uint8], places: Places) -> Laid:
        """An RGB picture (H,W,3) in the atlas."""
        height, width = picture.shape[:2]
        ideal = places.pixels
        real = ideal
        if self.lens is not None:
            flat = ideal.reshape(-1, 2).astype(np.float64)
            real = np.nan_to_num(distort(flat, self.lens), nan=-1.0).astype(np.float32).reshape(ideal.shape)
        inside = (real >= 1).all(axis=-1) & (real <= (width - 1, height - 1)).all(axis=-1)
        facing = places.facing * inside
        places = Places(ideal, facing, places.step)
        if not facing.any():
            return Laid(np.full((self.side, self.side), 128, np.uint8), places)
        grey, corner, scale = _cropped(picture, real[facing > 0], places.step)
        at = (real - corner) * np.float32(scale) - np.float32(0.5)
        fine = cv2.resize(at, (self.side, self.side), interpolation=cv2.INTER_LINEAR)
        shades = cv2.remap(grey, fine, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return Laid(_evened(shades, facing > 0, self.side), places)


def _nearest_depth(pixels: F64, depth: F64, across: float) -> F64:
    """(n,) the least depth of those nodes that fall into the same cell of the picture, ``across`` pixels wide."""
    cell = np.floor(pixels / max(across, 1e-6)).astype(np.int64)
    cell -= cell.min(axis=0)
    index = cell[:, 1] * (cell[:, 0].max() + 1) + cell[:, 0]
    _, index = np.unique(index, return_inverse=True)
    nearest = np.full(index.max() + 1, np.inf)
    np.minimum.at(nearest, index, depth)
    return np.asarray(nearest[index])


def _cropped(picture: NDArray[np.uint8], pixels: F32, step: float) -> tuple[NDArray[np.uint8], F32, float]:
    """The grey part of a picture about ``pixels (n,2)``, no finer than texels want it; its corner and its scale."""
    low = np.maximum(np.floor(pixels.min(axis=0)).astype(int) - 2, 0)
    high = np.ceil(pixels.max(axis=0)).astype(int) + 3
    grey = cv2.cvtColor(np.ascontiguousarray(picture[low[1] : high[1], low[0] : high[0]]), cv2.COLOR_RGB2GRAY)
    if step <= SHARPER:
        return grey, low.astype(np.float32), 1.0
    scale = 1 / step
    size = [max(1, round(scale * n)) for n in grey.shape[::-1]]
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return small, low.astype(np.float32), size[0] / grey.shape[1]


def _evened(shades: NDArray[np.uint8], seen: NDArray[np.bool_], side: int) -> NDArray[np.uint8]:
    """Brightness in units of its own local deviation, grey where nothing is seen, as in ``unwrap``.

    What is local is wide: it is told by the nodes of the coarse grid, ``seen (R,C)`` which of them show skin.
    """
    width = side / STEP * CONTRAST
    coarse, whole = seen.shape[::-1], (side, side)
    mask = seen.astype(np.float32)
    share = np.maximum(cv2.GaussianBlur(mask, (0, 0), width), 1e-6)

    def mean(fine: F32) -> F32:
        small = cv2.resize(fine, coarse, interpolation=cv2.INTER_AREA) * mask
        return np.asarray(cv2.resize(cv2.GaussianBlur(small, (0, 0), width) / share, whole), np.float32)

    off = shades.astype(np.float32)
    off -= mean(off)
    deviation = np.sqrt(mean(off * off) + np.float32(NOISE**2))
    off *= cv2.resize(mask, whole, interpolation=cv2.INTER_NEAREST)
    return np.clip(128 + 40 * off / deviation, 0, 255).astype(np.uint8)
