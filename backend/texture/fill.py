"""What no picture shows: mirrored from the other side where that was seen, else the colour of the skin around it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.ndimage import distance_transform_edt
from scipy.sparse.linalg import spsolve

from backend.head_model.model import HeadModel
from backend.texture.blend import Blend
from backend.texture.skin_atlas import SkinAtlas, on_neck, on_scalp
from backend.texture.types import F32, F64, Picture

ENOUGH = (0.02, 0.12)
"""Sums of weights from which a texel begins to come from the footage, and from which it does so alone."""
SMOOTH = 1 / 100
"""Of the atlas's side: the width over which colours are compared where footage meets what is filled in."""
ACROSS = 0.003
"""How much an edge across the hairline counts beside others."""
SOFT_STEPS = 3  # from vertex to vertex: 2 cm
NECK_CELL = 9
"""Texels over which a neck's colour is looked at."""
OTHER_TINT, BRIGHTER, DARKER = 0.15, 0.35, 0.7
"""Logarithms of ratios of a neck's colour to the face's, beyond which it is not the neck's: of its tint, and of its
brightness both ways. It lies in the chin's shadow."""
ROUGH = 7.0
"""Grey levels of contrast within ``NECK_CELL`` that no neck has: the edge of cloth."""
STRANGE = 0.45
"""Logarithm of the ratio of a neck's colour to what it usually is, above which it is not the neck's."""
HOLD = 50.0
"""How much a vertex that was seen keeps its colour against its neighbours'."""


def fill(head: HeadModel, atlas: SkinAtlas, blended: Blend) -> tuple[Picture, F32]:
    """The whole picture (S,S,3), also beyond the surface's border, and the share (S,S) of the footage in it."""
    share = _share(blended.weight * _skin_like(head, atlas, blended), atlas)
    color = blended.color
    graph = _graph(head)
    low, known = _at_vertices(head, color, share)
    if atlas.symmetric:
        color, low, known = _mirrored(head, atlas, graph, color, share, low, known)
        both = np.maximum(share, share[:, ::-1])
    else:
        both = share
    around = atlas.picture(_softened(graph, _diffused(graph, low, known), known))
    whole = around + both[..., None] * (color - around)
    return _padded(whole, atlas.covered), share


def _skin_like(head: HeadModel, atlas: SkinAtlas, blended: Blend) -> F32:
    """(S,S) 0 on the neck where its colour is far from the face's, or from most of its own: a collar, hair, a wall."""
    neck = (atlas.picture(on_neck(head)[:, None])[..., 0] > 0.5) & atlas.outer
    seen = blended.weight > ENOUGH[0]
    mean = cv2.blur(blended.color, (NECK_CELL, NECK_CELL))
    smooth = np.log(np.maximum(mean, 4.0))
    rough = cv2.blur(np.abs(blended.color - mean).max(axis=-1), (NECK_CELL, NECK_CELL)) > ROUGH
    if not (neck & seen).any() or not (~neck & seen).any():
        return np.ones(neck.shape, np.float32)
    face = np.median(smooth[~neck & seen], axis=0)
    tint = np.abs(smooth - face - (smooth - face).mean(axis=-1, keepdims=True)).max(axis=-1)
    light = (smooth - face).mean(axis=-1)
    strange = neck & seen & (rough | (tint > OTHER_TINT) | (light > BRIGHTER) | (light < -DARKER))
    own = neck & seen & ~strange
    if own.any():
        usual = np.median(smooth[own & (blended.weight >= np.median(blended.weight[own]))], axis=0)
        strange |= own & (np.abs(smooth - usual).max(axis=-1) > STRANGE)
    around = cv2.dilate(strange.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=NECK_CELL)
    return np.asarray(1 - np.float32(around * neck), np.float32)


def _share(weight: F32, atlas: SkinAtlas) -> F32:
    """(S,S) how much of each texel comes from the footage, falling off smoothly towards what was not seen."""
    share = np.clip((weight - ENOUGH[0]) / (ENOUGH[1] - ENOUGH[0]), 0, 1)
    width = atlas.side / 256
    seen = cv2.erode((share > 0.5).astype(np.float32), np.ones((3, 3), np.uint8), iterations=round(width))
    return np.asarray(np.minimum(share, cv2.GaussianBlur(seen, (0, 0), width)) * atlas.outer, np.float32)


def _at_vertices(head: HeadModel, color: F32, share: F32) -> tuple[F64, F64]:
    """Smooth colours (V,3) of the vertices and how well they are known (V,), 0…1."""
    width = len(share) * SMOOTH
    weight = cv2.GaussianBlur(share, (0, 0), width)
    smooth = cv2.GaussianBlur(color * share[..., None], (0, 0), width) / np.maximum(weight, 1e-4)[..., None]
    place = np.clip(np.floor(head.uv_vertices * (1, -1) * len(share) + (0, len(share))), 0, len(share) - 1).astype(int)
    vertex = np.zeros(len(head.uv_vertices), int)
    vertex[head.uv_triangles.ravel()] = head.triangles.ravel()
    total = np.zeros(head.vertex_count)
    summed = np.zeros((head.vertex_count, 3))
    own = weight[place[:, 1], place[:, 0]].astype(np.float64)
    own *= share[place[:, 1], place[:, 0]] > 0.2
    np.add.at(total, vertex, own)
    np.add.at(summed, vertex, own[:, None] * smooth[place[:, 1], place[:, 0]])
    return summed / np.maximum(total, 1e-9)[:, None], np.clip(total, 0, 1)


def _mirrored(
    head: HeadModel, atlas: SkinAtlas, graph: sparse.csr_matrix, color: F32, share: F32, low: F64, known: F64
) -> tuple[F32, F64, F64]:
    """The picture with the other side where only that was seen, in the tint that this side would have."""
    other, other_share = np.ascontiguousarray(color[:, ::-1]), np.ascontiguousarray(share[:, ::-1])
    other_low, other_known = _at_vertices(head, other, other_share)
    ratio = np.log(np.maximum(low, 4.0) / np.maximum(other_low, 4.0))
    tint = np.exp(_diffused(graph, ratio, known * other_known, rest=0.02))
    fitted = np.clip(other * atlas.picture(tint), 0, 255)
    part = other_share * (1 - share)
    weight = np.maximum(share + part, 1e-6)[..., None]
    whole = (share[..., None] * color + part[..., None] * fitted) / weight
    mixed = known + (1 - known) * other_known
    vertices = (known[:, None] * low + ((1 - known) * other_known)[:, None] * other_low * tint) / np.maximum(
        mixed, 1e-9
    )[:, None]
    return np.asarray(whole, np.float32), vertices, mixed


def _graph(head: HeadModel) -> sparse.csr_matrix:
    """The Laplacian (V,V) of the mesh's edges, those across the hairline weak: hair takes its colour from hair."""
    edges = np.concatenate([head.triangles[:, [0, 1]], head.triangles[:, [1, 2]], head.triangles[:, [2, 0]]])
    links = sparse.coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), (head.vertex_count,) * 2).tocsr()
    links = ((links + links.T) > 0).astype(np.float64).tocoo()
    scalp = on_scalp(head)
    weight = np.where(scalp[links.row] == scalp[links.col], 1.0, ACROSS)
    links = sparse.coo_matrix((weight, (links.row, links.col)), links.shape).tocsr()
    return (sparse.diags(np.asarray(links.sum(axis=1)).ravel()) - links).tocsr()


def _diffused(graph: sparse.csr_matrix, values: F64, known: F64, rest: float = 0.0) -> F64:
    """Values (V,c) at all vertices: as given where they are known, elsewhere as smooth as can be.

    ``rest`` draws what is far from everything known towards 0; without it that is the mean of what is known.
    """
    weight = HOLD * known
    middle = (values * known[:, None]).sum(axis=0) / max(known.sum(), 1e-9) if not rest else np.zeros(values.shape[1])
    pull = max(rest, 1e-6)
    system = graph + sparse.diags(weight + pull)
    wanted = weight[:, None] * values + pull * middle
    return np.asarray(np.column_stack([spsolve(system.tocsc(), wanted[:, c]) for c in range(values.shape[1])]))


def _softened(graph: sparse.csr_matrix, values: F64, known: F64) -> F64:
    """Values (V,c), a hairline that was not seen drawn softly."""
    links = (graph != 0).astype(np.float64)
    mean = sparse.diags(1 / np.asarray(links.sum(axis=1)).ravel()) @ links
    for _ in range(SOFT_STEPS):
        values = values + (1 - known[:, None]) * (mean @ values - values)
    return values


def _padded(color: F32, covered: NDArray[np.bool_]) -> Picture:
    """The picture with the nearest colour beyond the surface's border, so that filtering finds no black at seams."""
    rows, columns = distance_transform_edt(~covered, return_distances=False, return_indices=True)
    return np.asarray(np.clip(color[rows, columns] + 0.5, 0, 255), np.uint8)
