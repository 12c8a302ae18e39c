"""Paints a person on the head's own atlas: skin, brows, lips, lids, stubble, hair, eyes, teeth, a shirt."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates
from scipy.spatial import cKDTree

from backend.datasets.splits import People
from backend.evaluation.benchmark.head import EYES, BenchmarkHead, eye_centre
from backend.evaluation.benchmark.regions import lip_depth_cm
from backend.evaluation.benchmark.specs import SequenceSpec
from backend.head_model.appearance import Palette, eye_colors
from backend.head_model.render import HeadRenderer

F64 = NDArray[np.float64]
Image = NDArray[np.uint8]

SIDE = 1024
_SKINS = (
    (0.93, 0.76, 0.67),
    (0.87, 0.67, 0.55),
    (0.78, 0.57, 0.44),
    (0.62, 0.42, 0.30),
    (0.45, 0.29, 0.21),
    (0.31, 0.20, 0.15),
)
_HAIRS = ((0.10, 0.08, 0.07), (0.20, 0.13, 0.09), (0.34, 0.22, 0.13), (0.55, 0.40, 0.24), (0.45, 0.43, 0.42))
_BEARDS: dict[People, tuple[float, ...]] = {"ict": (0.0, 0.0, 0.25, 0.5), "makehuman": (0.0, 0.0, 0.5, 0.9)}
"""How much of the skin a beard covers, each as likely."""
_IRISES = ((0.25, 0.16, 0.09), (0.36, 0.25, 0.14), (0.32, 0.36, 0.24), (0.34, 0.43, 0.52))


@dataclass(frozen=True, eq=False)
class Atlas:
    """The head's surface in one picture: where each covered texel (n,) lies on the template, and on which part.

    ``rows``, ``columns (n,)``; ``points (n,3)`` cm; ``part (n,)`` indexes the head's
    groups; ``nearest (2,SIDE,SIDE)`` leads every texel to a covered one.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    points: F64
    part: NDArray[np.int64]
    nearest: NDArray[np.int32]


@lru_cache(maxsize=2)
def atlas(ict: BenchmarkHead) -> Atlas:
    """Look up every texel of the head's picture; raises UserError ``no_opengl``."""
    group = np.argmax(np.stack(list(ict.groups.values())), axis=0)[ict.triangles[:, 0]]
    on = covered_texels(ict.corner_uv)
    points = np.einsum("nk,nkc->nc", on.weights, ict.template[ict.triangles[on.triangle]].astype(np.float64)) * 100
    covered = np.zeros((SIDE, SIDE), bool)
    covered[on.rows, on.columns] = True
    nearest = distance_transform_edt(~covered, return_distances=False, return_indices=True).astype(np.int32)
    return Atlas(on.rows, on.columns, points, group[on.triangle], nearest)


@dataclass(frozen=True, eq=False)
class CoveredTexels:
    """The texels (n,) that triangles cover: which one each shows, and where in it, ``weights (n,3)``."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    triangle: NDArray[np.int32]
    weights: F64


def covered_texels(corner_uv: NDArray[np.floating[Any]]) -> CoveredTexels:
    """What triangles with ``corner_uv (F,3,2)`` cover of a picture of ``SIDE``²; raises UserError ``no_opengl``."""
    flat = np.pad(corner_uv.reshape(-1, 2) * (1, -1) + (0, 1), ((0, 0), (0, 1)), constant_values=1.0)
    with HeadRenderer((SIDE, SIDE)) as renderer:
        seen = renderer.surface(
            flat,
            np.arange(len(flat)).reshape(-1, 3),
            focal_px=SIDE,
            principal_point=(0.0, 0.0),
            world_to_camera=np.eye(3, 4),
        ).triangle
    rows, columns = np.nonzero(seen >= 0)
    triangle = seen[rows, columns]
    corners = flat.reshape(-1, 3, 3)[triangle, :, :2]
    centre = np.stack([columns + 0.5, rows + 0.5], axis=1) / SIDE
    edges = np.stack([corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]], axis=2)
    second_third = np.linalg.solve(edges, (centre - corners[:, 0])[..., None])[..., 0]
    return CoveredTexels(rows, columns, triangle, np.column_stack([1 - second_third.sum(axis=1), second_third]))


def paint_person(ict: BenchmarkHead, spec: SequenceSpec) -> Image:
    """The picture (SIDE,SIDE,3) of a person on the head's ``corner_uv``, v upwards; the same in all their sequences."""
    random = spec.random("paint", whole_person=True)
    on = atlas(ict)
    tone = (spec.person + random.uniform(0, 1)) * (len(_SKINS) - 1) / 10 % (len(_SKINS) - 1)
    skin = _between(_SKINS, (tone * 2.3) % (len(_SKINS) - 1))
    hair = _between(_HAIRS, random.uniform(0, 1.5 if skin[0] < 0.7 else len(_HAIRS) - 1))
    fine, mottled = _noise(on.points, 0.09, random), _noise(on.points, 0.8, random)
    colors = _skin(ict, on, skin, hair, fine, mottled, _BEARDS[spec.people], random)
    shirt = random.uniform(0.08, 0.75, 3)
    collar = on.points[:, 1] + 12.6 - 0.02 * on.points[:, 0] ** 2 + 0.12 * (on.points[:, 2] - 4)
    colors = _mix(colors, shirt * (1 + 0.12 * fine[:, None]), _step(-collar, 0.15))
    _inside(colors, ict, on, fine)
    _worn(colors, ict, on, shirt, hair, fine)
    eye = _part(ict, on, *EYES)
    # Both eyes share their texels, so one stands for both.
    centre = eye_centre(ict.template, ict.groups[EYES[0]]) * 100
    around = on.points[eye] - centre * np.where(on.points[eye, :1] > 0, (1, 1, 1), (-1, 1, 1))
    iris = np.array(_IRISES[random.integers(2 if skin[0] < 0.7 else len(_IRISES))])
    streaks = 1 + 0.25 * _noise(np.stack([12 * np.arctan2(around[:, 1], around[:, 0])] * 3, axis=1), 1.0, random)
    colors[eye] = (
        eye_colors(around, Palette(iris=tuple(iris), sclera=(0.86, 0.83, 0.80))) * np.clip(streaks, 0.9, 1.1)[:, None]
    )
    picture = np.zeros((SIDE, SIDE, 3))
    picture[on.rows, on.columns] = colors
    return (np.clip(picture[on.nearest[0], on.nearest[1]], 0, 1) * 255 + 0.5).astype(np.uint8)


def _skin(
    ict: BenchmarkHead,
    on: Atlas,
    skin: F64,
    hair: F64,
    fine: F64,
    mottled: F64,
    beards: tuple[float, ...],
    random: np.random.Generator,
) -> F64:
    x, y, z = np.abs(on.points[:, 0]), on.points[:, 1], on.points[:, 2]
    blood = skin * (1.0, 0.78, 0.76)
    colors = np.broadcast_to(skin, on.points.shape) * (1 + 0.035 * fine + 0.03 * mottled)[:, None]
    cheeks = _bump(x, 4.6, 2.0) * _bump(y, -0.4, 1.8) + _bump(x, 0.0, 1.4) * _bump(y, 0.2, 1.3) * (z > 10.5)
    colors = _mix(colors, blood, np.clip(cheeks, 0, 1) * random.uniform(0.3, 0.9))
    sockets = _bump(x, 2.9, 1.9) * _bump(y, 3.5, 1.3) * (z > 7)
    colors = _mix(colors, skin * (0.74, 0.64, 0.63), 0.55 * sockets)
    freckles = np.clip(_noise(on.points, 0.12, random) - 1.6, 0, 1) * random.choice((0.0, 0.5)) * (skin[0] > 0.75)
    colors = _mix(colors, skin * (0.7, 0.55, 0.45), freckles * (y < 6))
    nostrils = _bump(x, 0.75, 0.38) * _bump(y, -0.95, 0.22) * (z > 9.5) * (z < 11.6)
    colors = _mix(colors, skin * 0.25, nostrils)
    beard = _bump(x, 0.0, 7.0) * _step(-1.6 - y + 0.18 * x, 0.5) * _step(z - 2.0, 1.0) * _step(y + 8.5, 0.8)
    beard *= random.choice(beards) * (0.8 + 0.4 * fine)
    colors = _mix(colors, 0.5 * (skin + hair), beard * (lip_depth_cm(ict, on.points / 100) < 0))
    lips = np.array((0.96, 0.68, 0.68)) * skin * random.uniform(0.82, 0.97)
    depth = lip_depth_cm(ict, on.points / 100)
    colors = _mix(colors, lips * (1 + 0.05 * fine)[:, None], _step(depth, 0.12))
    marks = ict.marks * 100
    colors = _mix(colors, hair * 0.9, _brow(x, y, z, marks, fine, random))
    colors = _mix(colors, np.array((0.13, 0.09, 0.08)), _lash_line(on.points, marks))
    return _mix(colors, hair * (1 + 0.25 * fine)[:, None], _hair(x, y, z, mottled, random))


def _brow(x: F64, y: F64, z: F64, marks: F64, fine: F64, random: np.random.Generator) -> F64:
    line = marks[22:27]
    thick, lift = random.uniform(0.75, 1.25), random.uniform(-0.15, 0.1)
    half = thick * np.interp(x, line[:, 0], (0.36, 0.42, 0.38, 0.28, 0.10))
    depth = half - np.abs(y - np.interp(x, line[:, 0], line[:, 1]) - lift)
    ends = np.minimum(x - line[0, 0] + 0.1, line[-1, 0] - x + 0.2)
    return _step(np.minimum(depth, ends) + 0.10 * fine, 0.14) * (z > 5) * random.uniform(0.7, 0.95)


def _lash_line(points: F64, marks: F64) -> F64:
    """Dark along the lids' rims, more so above."""
    dark = np.zeros(len(points))
    for contour, upper in (
        (range(42, 46), True),
        ((45, 46, 47, 42), False),
        (range(36, 40), True),
        ((39, 40, 41, 36), False),
    ):
        line = marks[list(contour)]
        dense = np.concatenate([np.linspace(a, b, 12) for a, b in pairwise(line)])
        distance = cKDTree(dense).query(points, distance_upper_bound=0.3)[0]
        width, amount = (0.14, 0.9) if upper else (0.07, 0.5)
        dark = np.maximum(dark, amount * _step(width - distance, 0.10))
    return dark


def _hair(x: F64, y: F64, z: F64, mottled: F64, random: np.random.Generator) -> F64:
    """A short cut, or none; the line runs over the forehead, down the temples, around the ears to the nape."""
    amount = random.choice((0.25, 0.8, 0.93, 0.97))
    line = random.uniform(8.3, 9.3)
    above = y - (line - 0.025 * x**2)
    front = np.interp(y, (-7, -1.8, -0.5, 2.5, 4.5, 7.0, line), (-4.5, -3.6, -2.6, 3.0, 4.2, 5.5, 9.0))
    beside = np.where(y > -6, front - z, -1.0)
    ear = (x > 7.2) & (y > -2.6) & (y < 4.2) & (z > -3.2) & (z < 3.6)
    return amount * _step(np.maximum(above, np.where(x > 3, beside, -1.0)) + 0.15 * mottled, 0.35) * ~ear


def _inside(colors: F64, ict: BenchmarkHead, on: Atlas, fine: F64) -> None:
    """Colour the mouth's inside in place, darker the deeper."""
    deep = np.clip((on.points[:, 2] - 4.0) / 6.5, 0.12, 1.0)[:, None] * (1 + 0.03 * fine[:, None])
    for name, color in (
        ("mouth_socket", (0.42, 0.17, 0.16)),
        ("gums_and_tongue", (0.66, 0.33, 0.32)),
        ("teeth", (0.84, 0.80, 0.72)),
    ):
        where = _part(ict, on, name)
        colors[where] = np.array(color) * deep[where]
    sockets = _part(ict, on, "eye_socket_left", "eye_socket_right")
    colors[sockets] = (0.45, 0.25, 0.22)


def _worn(colors: F64, ict: BenchmarkHead, on: Atlas, shirt: F64, hair: F64, fine: F64) -> None:
    """Colour in place what people of MakeHuman wear."""
    for name, color, grain in (("bust", shirt, 0.12), ("hair", hair, 0.35), ("glasses", np.full(3, 0.09), 0.0)):
        if name in ict.groups:
            where = _part(ict, on, name)
            colors[where] = color * (1 + grain * fine[where, None])


def _part(ict: BenchmarkHead, on: Atlas, *names: str) -> NDArray[np.bool_]:
    return np.isin(on.part, [list(ict.groups).index(name) for name in names])


def _between(colors: tuple[tuple[float, float, float], ...], place: float) -> F64:
    low = min(int(place), len(colors) - 2)
    first, second = np.array(colors[low]), np.array(colors[low + 1])
    return np.asarray(first + (place - low) * (second - first))


def _noise(points: F64, size_cm: float, random: np.random.Generator) -> F64:
    """Smooth noise (n,) of unit variance in space, its blobs about ``size_cm`` wide."""
    grid = gaussian_filter(random.standard_normal((48, 48, 48)), 1.0, mode="wrap")
    grid /= grid.std()
    return np.asarray(map_coordinates(grid, (points / size_cm * 1.5).T % 48, order=1, mode="grid-wrap"))


def _bump(value: F64, centre: float, width: float) -> F64:
    return np.asarray(np.exp(-(((value - centre) / width) ** 2)))


def _step(value: F64, soft: float) -> F64:
    """0 below, 1 above zero, over about ±``soft``."""
    return np.asarray(np.clip(0.5 + 0.5 * value / soft, 0, 1))


def _mix(colors: F64, other: F64, amount: F64) -> F64:
    return np.asarray(colors + amount[:, None] * (other - colors))
