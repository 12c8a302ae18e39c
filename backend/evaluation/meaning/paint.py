"""Paints a benchmark's person on the character: each texel takes the colour of its place on the ICT head."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from backend.alignment.landmarks.plain_mesh import still_face_mesh
from backend.evaluation.benchmark.head import EYES, BenchmarkHead
from backend.evaluation.benchmark.paint import SIDE, atlas, covered_texels, paint_person
from backend.evaluation.benchmark.specs import SequenceSpec
from backend.evaluation.meaning.character import Character
from backend.head_model.appearance import Palette, eye_colors
from backend.head_model.registration.face_points import BareHead, find_face_points
from backend.head_model.registration.warp import SpaceWarp

F64 = NDArray[np.float64]
Image = NDArray[np.uint8]


SMOOTHING = 2e-3
"""Metres. MediaPipe's points on bare heads scatter by a millimetre or two, which would wrinkle brows and lips."""
_TOOTH = 60  # vertices: the character's lower teeth are pieces of their own, and none has more
_TEETH = (0.84, 0.80, 0.72)
_SCLERA = (0.86, 0.83, 0.80)


def clay(character: Character) -> F64:
    """Colours (V,3) without a texture: grey skin, teeth, eyes that look like eyes."""
    colors = np.full(character.neutral.shape, 0.7)
    colors[character.teeth] = (0.9, 0.9, 0.85)
    for eye, centre in zip(character.eyes, character.eye_centres, strict=True):
        colors[eye] = eye_colors(character.neutral[eye] - centre, Palette())
    return colors


def paint_character(character: Character, ict: BenchmarkHead, spec: SequenceSpec) -> tuple[Image, F64]:
    """The picture (h,w,3) of ``spec``'s person on the character, v upwards, and its corners' places in it (F,3,2).

    The skin's half of the picture is on its own atlas; beside it eyes and teeth, which have none, get their own. Raises
    UserError ``no_opengl``, and ``face_not_found`` where MediaPipe sees no face on either head.
    """
    rows, columns, place = _texels(character, ict)
    on = atlas(ict)
    skin = np.flatnonzero(np.isin(on.part, [list(ict.groups).index(name) for name in _SKIN if name in ict.groups]))
    person = paint_person(ict, spec)
    nearest = skin[cKDTree(on.points[skin]).query(place * 100)[1]]
    picture = np.zeros((SIDE, SIDE, 3))
    picture[rows, columns] = person[on.rows[nearest], on.columns[nearest]] / 255
    covered = np.zeros((SIDE, SIDE), bool)
    covered[rows, columns] = True
    filled = distance_transform_edt(~covered, return_distances=False, return_indices=True)
    picture = picture[filled[0], filled[1]]
    beside, corner_uv = _eyes_and_teeth(character, person, ict)
    whole = np.concatenate([picture, beside], axis=1)
    return (np.clip(whole, 0, 1) * 255 + 0.5).astype(np.uint8), corner_uv


_SKIN = ("face", "head_and_neck", "mouth_socket", "eye_socket_left", "eye_socket_right")


def _texels(character: Character, ict: BenchmarkHead) -> tuple[NDArray[np.intp], NDArray[np.intp], F64]:
    """Texels of the skin's atlas, and where on the ICT head's template (n,3), metres, each of them lies."""
    triangles = character.skin[character.triangles].all(axis=1)
    on = covered_texels(character.corner_uv[triangles])
    corners = character.neutral[character.triangles[triangles][on.triangle]]
    points = np.einsum("nk,nkc->nc", on.weights, corners)
    return on.rows, on.columns, _warp(character, ict)(points)


@lru_cache(maxsize=1)
def _warp(character: Character, ict: BenchmarkHead) -> SpaceWarp:
    """From the character to the ICT head, through the points that MediaPipe sees on both."""
    own = BareHead(
        character.neutral,
        character.triangles,
        (character.skin & ~teeth_of(character))[character.triangles].all(axis=1),
        character.eyes,
    )
    skin = np.any([ict.groups[name] for name in ("face", "head_and_neck") if name in ict.groups], axis=0)
    other = BareHead(
        ict.template.astype(np.float64),
        ict.triangles,
        skin[ict.triangles].all(axis=1),
        tuple(ict.groups[name] for name in EYES),
    )
    source = find_face_points(own, "facecap", still_face_mesh).position
    target = find_face_points(other, "ICT-FaceKit", still_face_mesh).position
    known = np.isfinite(source).all(axis=1) & np.isfinite(target).all(axis=1)
    return SpaceWarp(source[known], target[known], SMOOTHING)


def teeth_of(character: Character) -> NDArray[np.bool_]:
    """(V,) the lower teeth, which belong to the character's skin, as small pieces, and the upper ones."""
    count, t = len(character.neutral), character.triangles
    graph = coo_matrix((np.ones(2 * len(t)), (np.r_[t[:, 0], t[:, 1]], np.r_[t[:, 1], t[:, 2]])), (count, count))
    _, piece = connected_components(graph, directed=False)
    return character.teeth | (character.skin & (np.bincount(piece)[piece] < _TOOTH))


def _eyes_and_teeth(character: Character, person: Image, ict: BenchmarkHead) -> tuple[F64, F64]:
    """What stands beside the skin's picture (SIDE,SIDE,3), and all corners' places (F,3,2) in the two together.

    Teeth have one colour; an eye's texels are its directions seen from the front.
    """
    strip = np.zeros((SIDE, SIDE, 3))
    uv = character.corner_uv.copy()
    uv[..., 0] *= 0.5
    half = SIDE // 2
    strip[:half, :half] = _TEETH
    span = (np.arange(half) + 0.5) / half * 2 - 1
    x, y = np.meshgrid(span, -span)
    ahead = np.sqrt(np.clip(1 - x**2 - y**2, 0, 1))
    iris = _iris(person, ict)
    eye = eye_colors(
        np.stack([x, y, np.maximum(ahead, 1e-3)], axis=-1).reshape(-1, 3), Palette(iris=iris, sclera=_SCLERA)
    )
    strip[half:, :half] = eye.reshape(half, half, 3)
    teeth = teeth_of(character)[character.triangles].all(axis=1)
    uv[teeth] = (0.5 + 0.125, 0.75)
    for mask, centre in zip(character.eyes, character.eye_centres, strict=True):
        of_eye = mask[character.triangles].all(axis=1)
        around = character.neutral[character.triangles[of_eye]] - centre
        around /= np.linalg.norm(around, axis=-1, keepdims=True)
        front = np.where(
            around[..., 2:] > 0,
            around[..., :2],
            around[..., :2] / np.maximum(np.linalg.norm(around[..., :2], axis=-1, keepdims=True), 1e-9),
        )
        uv[of_eye] = np.stack([0.625 + 0.124 * front[..., 0], 0.25 + 0.248 * front[..., 1]], axis=-1)
    return strip, uv


def _iris(person: Image, ict: BenchmarkHead) -> tuple[float, float, float]:
    """The iris colour of a painted person."""
    on = atlas(ict)
    eye = np.isin(on.part, [list(ict.groups).index(name) for name in EYES])
    points = on.points[eye]
    centre = points[:, :2].mean(axis=0) if len(points) else np.zeros(2)
    colors = person[on.rows[eye], on.columns[eye]] / 255
    around = np.linalg.norm(points[:, :2] - centre, axis=1)
    front = (points[:, 2] > np.quantile(points[:, 2], 0.8)) & (around > 0.25) & (around < 0.45)
    red, green, blue = np.median(colors[front], axis=0) if front.any() else (0.36, 0.25, 0.14)
    return float(red), float(green), float(blue)
