"""The canonical atlas: a place in the unit square for every point of the head's surface.

The outer skin is one chart, cut open along the back of the head from the neck to the crown and flattened with the face
enlarged; nothing crosses the face. The mouth bag, the eye sockets, the eyeballs, teeth, tongue and lashes have charts
of their own in a strip below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial import cKDTree

from backend.head_model.builder import eyes
from backend.head_model.builder.flatten import boundary_loops, circle, flatten, rounded_square
from backend.head_model.builder.mesh import HeadMesh

STRIP = 0.135
"""Height of the strip at the lower edge that holds every chart but the skin's."""
GAP = 0.004
NECK_SHARE = 0.24
"""Share of the skin chart's outline that the neck takes; the rest is the seam's two sides."""
FAR_DENSITY, EAR_DENSITY, FADE_METRES = 0.12, 0.6, 0.035
"""Plane area per surface area at the back of the head and on the ears, the face having 1, and how fast it fades."""


@dataclass(frozen=True, eq=False)
class Atlas:
    """``uv (V,2)`` of each vertex; ``uv_vertices (U,2)`` and ``uv_triangles (F,3)`` with seams cut open."""

    uv: NDArray[np.float64]
    uv_vertices: NDArray[np.float64]
    uv_triangles: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Chart:
    faces: NDArray[np.int64]  # (f,) of the head's triangles
    vertices: NDArray[np.int64]  # (n,) of the head, one for each plane point
    plane: NDArray[np.float64]  # (n,2) in the unit square
    triangles: NDArray[np.int64]  # (f,3) indices into plane


def make_atlas(mesh: HeadMesh, regions: Mapping[str, NDArray[np.bool_]], template: NDArray[np.float64]) -> Atlas:
    """The atlas of the head (V,3)."""
    triangles = mesh.triangles.astype(np.int64)
    kind = np.zeros(len(triangles), int)  # 0 outer skin, 1 mouth bag, 2 sockets, 3 the other parts
    kind[regions["mouth_bag"][triangles].any(axis=1)] = 1
    kind[regions["eye_sockets"][triangles].any(axis=1)] = 2
    kind[~mesh.parts["skin"][triangles].all(axis=1)] = 3
    skin = _skin_chart(mesh, regions, template, np.flatnonzero(kind == 0))
    small = [
        _disk_chart(mesh, template, faces) for k in (1, 2) for faces in _pieces(triangles, np.flatnonzero(kind == k))
    ]
    eyeballs = [mesh.parts[part][triangles].all(axis=1) for part in ("left_eyeball", "right_eyeball")]
    small += [_eye_chart(mesh, np.flatnonzero(faces)) for faces in eyeballs]
    for part in ("tongue", "teeth", "lashes"):
        for faces in _pieces(triangles, np.flatnonzero(mesh.parts[part][triangles].all(axis=1))):
            small += [_disk_chart(mesh, template, half) for half in _disks(triangles, template, faces)]
    return _lay_out(mesh, skin, small)


def _lay_out(mesh: HeadMesh, skin: _Chart, small: list[_Chart]) -> Atlas:
    boxes = [(skin, np.array([GAP, STRIP + GAP]), np.array([1 - 2 * GAP, 1 - STRIP - 2 * GAP]))]
    large = small[:5]
    side = STRIP - 2 * GAP
    x = GAP
    for chart in large:
        boxes.append((chart, np.array([x, GAP]), np.array([side, side])))
        x += side + GAP
    rest = small[5:]
    columns = -(-len(rest) // 2)
    width = min((1 - GAP - x) / columns, side / 2 + GAP)
    for n, chart in enumerate(rest):
        corner = np.array([x + (n // 2) * width, GAP + (n % 2) * (side + GAP) / 2])
        boxes.append((chart, corner, np.full(2, min(width - GAP, side / 2 - GAP))))
    uv = np.full((len(mesh.mirror), 2), np.nan)
    points: list[NDArray[np.float64]] = []
    uv_triangles = np.full((len(mesh.triangles), 3), -1, np.int64)
    count = 0
    for chart, corner, extent in boxes:
        placed = corner + chart.plane * extent
        uv_triangles[chart.faces] = chart.triangles + count
        new = np.isnan(uv[chart.vertices, 0])
        # the first copy of a vertex in the first chart that has it: the skin's, before a bag's
        first = np.unique(chart.vertices, return_index=True)[1]
        chosen = first[new[first]]
        uv[chart.vertices[chosen]] = placed[chosen]
        points.append(placed)
        count += len(placed)
    return Atlas(uv, np.concatenate(points), uv_triangles)


def _skin_chart(
    mesh: HeadMesh, regions: Mapping[str, NDArray[np.bool_]], template: NDArray[np.float64], faces: NDArray[np.int64]
) -> _Chart:
    vertices, local = np.unique(mesh.triangles[faces], return_inverse=True)
    local = local.reshape(-1, 3).astype(np.int64)
    where = {int(v): n for n, v in enumerate(vertices)}
    seam = [where[v] for v in _back_seam(mesh, template, faces)]
    positions, copies = template[vertices], np.arange(len(vertices), len(vertices) + len(seam) - 1)
    copy_of = dict(zip(seam[:-1], copies.tolist(), strict=True))
    right = positions[local].mean(axis=1)[:, 0] < 0
    cut = local.copy()
    cut[right] = np.vectorize(lambda v: copy_of.get(v, v))(local[right])
    everyone = np.concatenate([vertices, vertices[seam[:-1]]])
    loop = max(boundary_loops(cut), key=len)
    at_left, at_right, crown = loop.index(seam[0]), loop.index(int(copies[0])), loop.index(seam[-1])
    outline = _skin_outline(template[everyone[loop]], at_left, at_right, crown)
    density = np.full(len(everyone), FAR_DENSITY)
    for region, peak in (("face", 1.0), ("ears", EAR_DENSITY)):
        distance, _ = cKDTree(template[regions[region]]).query(template[everyone])
        density = np.maximum(density, peak * np.exp(-((distance / FADE_METRES) ** 2)))
    density[regions["mouth"][everyone] | regions["eyes"][everyone]] *= 1.6
    plane = flatten(cut, template[everyone], outline, loop, density)
    return _Chart(faces, everyone, _symmetric(mesh, everyone, plane, dict(copy_of)), cut)


def _symmetric(
    mesh: HeadMesh, vertices: NDArray[np.int64], plane: NDArray[np.float64], copy_of: dict[int, int]
) -> NDArray[np.float64]:
    where = {int(v): n for n, v in reversed(list(enumerate(vertices)))}
    other = np.array([where[int(mesh.mirror[v])] for v in vertices])
    for original, copy in copy_of.items():
        other[original], other[copy] = copy, original
    reflected = plane[other] * [-1, 1] + [1, 0]
    return (plane + reflected) / 2


def _skin_outline(points: NDArray[np.float64], left: int, right: int, crown: int) -> NDArray[np.float64]:
    """Places of the boundary loop's points (n,3): neck along the lower side, seam up both sides to the crown."""
    order = np.roll(np.arange(len(points)), -left)
    step = np.linalg.norm(np.roll(points, -1, axis=0) - points, axis=1)[order]
    along = np.append(0, np.cumsum(step))
    position = {int(v): n for n, v in enumerate(order)}
    # counter-clockwise from the middle of the lower side: up the seam's left copy, down its right one, then the neck
    stops = [0, position[crown], position[right], len(order)]
    shares = [NECK_SHARE / 2, 0.5, 1 - NECK_SHARE / 2, 1 + NECK_SHARE / 2]
    at = np.interp(along[:-1], along[stops], shares)
    outline = np.empty((len(points), 2))
    outline[order] = rounded_square(at % 1.0)
    return outline


def _back_seam(mesh: HeadMesh, template: NDArray[np.float64], faces: NDArray[np.int64]) -> list[int]:
    """Vertices of the middle of the head's back, from the neck's edge up to the crown."""
    triangles = mesh.triangles[faces]
    middle = np.unique(triangles)
    middle = middle[mesh.mirror[middle] == middle]
    neighbours: dict[int, set[int]] = {int(v): set() for v in middle}
    for a, b in np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]):
        if int(a) in neighbours and int(b) in neighbours:
            neighbours[int(a)].add(int(b))
            neighbours[int(b)].add(int(a))
    neck = set(
        max(boundary_loops(triangles.astype(np.int64)), key=lambda loop: -float(template[np.array(loop), 1].mean()))
    )
    path = [min((v for v in neighbours if v in neck), key=lambda v: float(template[v, 2]))]
    crown = max(neighbours, key=lambda v: float(template[v, 1]))
    while path[-1] != crown:
        steps = neighbours[path[-1]] - set(path)
        path.append(min(steps, key=lambda v: float(template[v, 2])))
    return path


def _pieces(triangles: NDArray[np.int64], faces: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The faces of each connected piece, in the order of their first faces."""
    corners = triangles[faces]
    size = int(corners.max()) + 1
    links = sparse.coo_matrix(
        (np.ones(2 * len(corners)), (np.tile(corners[:, 0], 2), np.concatenate([corners[:, 1], corners[:, 2]]))),
        (size, size),
    )
    _, label = sparse.csgraph.connected_components(links, directed=False)
    piece = label[corners[:, 0]]
    return [faces[piece == value] for value in dict.fromkeys(piece.tolist())]


def _disks(
    triangles: NDArray[np.int64], template: NDArray[np.float64], faces: NDArray[np.int64]
) -> list[NDArray[np.int64]]:
    """A piece as it is where it is a disk; a closed or tubular one in two halves, cut across its longest axis."""
    if _is_disk(triangles[faces]):
        return [faces]
    centres = template[triangles[faces]].mean(axis=1)
    for axis in np.argsort(-np.ptp(centres, axis=0)):
        for share in (0.5, 0.4, 0.6, 0.3, 0.7):
            low, high = centres[:, axis].min(), centres[:, axis].max()
            front = centres[:, axis] > low + share * (high - low)
            halves = [faces[front], faces[~front]]
            if all(len(half) and len(_pieces(triangles, half)) == 1 and _is_disk(triangles[half]) for half in halves):
                return halves
    raise ValueError(f"a piece of {len(faces)} triangles cannot be cut into two disks")


def _is_disk(triangles: NDArray[np.int64]) -> bool:
    edges = np.unique(
        np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1), axis=0
    )
    euler = len(np.unique(triangles)) - len(edges) + len(triangles)
    return euler == 1 and len(boundary_loops(triangles)) == 1


def _disk_chart(mesh: HeadMesh, template: NDArray[np.float64], faces: NDArray[np.int64]) -> _Chart:
    vertices, local = np.unique(mesh.triangles[faces], return_inverse=True)
    local = local.reshape(-1, 3).astype(np.int64)
    loop = boundary_loops(local)[0]
    plane = flatten(local, template[vertices], circle(len(loop)), loop, np.ones(len(vertices)), rounds=10)
    return _Chart(faces, vertices, plane, local)


def _eye_chart(mesh: HeadMesh, faces: NDArray[np.int64]) -> _Chart:
    """An eyeball from the front, rings at equal-area radii; the pole behind has a copy for each of its triangles."""
    vertices, local = np.unique(mesh.triangles[faces], return_inverse=True)
    local = local.reshape(-1, 3).astype(np.int64)
    unit, _ = eyes.unit_eyeball()
    radius = np.sqrt((1 - unit[:, 2]) / 2)
    around = np.arctan2(unit[:, 1], unit[:, 0])
    plane = 0.5 + 0.5 * radius[:, None] * np.stack([np.cos(around), np.sin(around)], axis=1)
    pole = len(unit) - 1
    behind = np.flatnonzero((local == pole).any(axis=1))
    extra = []
    for n, face in enumerate(behind):
        corners = local[face]
        middle = unit[corners[corners != pole]].mean(axis=0)
        extra.append(0.5 + 0.5 * middle[:2] / np.linalg.norm(middle[:2]))
        if n:
            local[face] = np.where(corners == pole, len(unit) + n - 1, corners)
    plane[pole] = extra[0]
    everyone = np.concatenate([vertices, np.full(len(extra) - 1, vertices[pole])])
    return _Chart(faces, everyone, np.concatenate([plane, np.array(extra[1:])]), local)
