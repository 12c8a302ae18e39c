"""Single teeth and gums as geometry, in place of the open head's two plain bands.

Each row is shaped once, on the mean head, along the arch of its band, and is then carried by the affine map that takes
the band from there to where it is: teeth stay rigid under the jaw, and people's rows differ in size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from backend.head_model.appearance import light_behind, mouth_light
from backend.head_model.hair import Hair
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel

F64 = NDArray[np.float64]

TEETH, GUMS = "teeth", "gums"
MM = 0.001

_ANGLES = np.radians(np.arange(0.0, 106.0, 15.0))  # about the arch's middle, where its band is measured
_MIDDLE = 0.031  # metres behind the incisors


@dataclass(frozen=True)
class Tooth:
    """One tooth's shape: ``width`` in mm along the arch, the rest as shares of the crown's height or in mm."""

    width: float
    shorter: float  # share of the crown's height
    point: float  # how much the edge's corners fall back behind its middle, share of the crown's height
    depth: tuple[float, float]  # mm from front to back at the edge and at the gum


UPPER: tuple[Tooth, ...] = (
    Tooth(8.5, 0.0, 0.03, (0.9, 6.0)),
    Tooth(6.5, 0.07, 0.04, (0.9, 5.5)),
    Tooth(7.5, -0.02, 0.12, (2.0, 7.0)),
    Tooth(7.0, 0.04, 0.09, (5.5, 7.0)),
    Tooth(6.8, 0.06, 0.07, (5.5, 7.0)),
    Tooth(10.0, 0.08, 0.04, (7.5, 8.5)),
)
LOWER: tuple[Tooth, ...] = (
    Tooth(5.0, 0.0, 0.02, (0.9, 5.5)),
    Tooth(5.5, 0.0, 0.02, (0.9, 5.5)),
    Tooth(7.0, -0.02, 0.10, (2.0, 7.0)),
    Tooth(7.0, 0.04, 0.08, (5.0, 6.5)),
    Tooth(7.0, 0.06, 0.07, (5.5, 7.0)),
    Tooth(11.0, 0.08, 0.04, (7.5, 8.5)),
)
"""From the middle outwards to the first molar. Widths are those of textbooks of dental anatomy (Wheeler's: upper
central incisor 8.5 mm, lateral 6.5, canine 7.5, premolars 7, first molar 10; lower 5, 5.5, 7, 7, 7, 11)."""

_ACROSS = np.linspace(-1.0, 1.0, 5)
# along the crown, from under the gum over the front to the edge and back: height, width, how far it stands out of
# the band in mm; the bulge makes up for it, as the band nearly touches the lips
_FRONT = ((1.12, 0.85, -1.3), (0.86, 0.93, -0.3), (0.50, 1.0, -0.1), (0.14, 0.99, -0.25), (0.0, 0.91, -0.65))
_BULGE, _SIDE = 0.35, 0.65  # mm that a tooth's middle stands out and its sides stand back
_GUM = ((1.5, -0.1), (1.15, 0.15), (0.97, -0.35), (0.84, -1.15))  # in front: height and how far it stands out in mm
_GUM_BEHIND = ((0.84, 0.9), (1.0, 1.05), (1.5, 1.1))  # behind: height and share of the teeth's depth
_GUM_COLUMNS = 31


@dataclass(frozen=True, eq=False)
class InMouth:
    """N vertices of a material slot ``part``, each a mix of vertices of the head's own teeth."""

    part: str
    own: NDArray[np.int64]  # (n,) vertices of the head
    share: F64  # (N,n), rows sum to 1
    quads: NDArray[np.int32]  # (M,4) among the N, counter-clockwise seen from outside
    light: F64  # (N,) as of ``appearance.mouth_light``
    at: F64  # (N,2) places in the atlas that have their colour

    def on(self, vertices: NDArray[np.floating[Any]]) -> F64:
        """Where they are (N,3) on vertices (V,3), metres, wherever the head is."""
        return np.asarray(self.share @ vertices[self.own].astype(np.float64))

    def places(self) -> F64:
        """Places (N,2) in the atlas that have their colour."""
        return self.at

    def hair(self, head: HeadModel, neutral: NDArray[np.float32]) -> Hair:
        """As geometry of a person whose neutral is (V,3)."""
        return Hair(
            self.part,
            self.on(neutral).astype(np.float32),
            np.stack([self.on(delta) for delta in head.expression_basis]).astype(np.float32),
            np.clip(self.share @ head.skinning_weights[self.own], 0, 1).astype(np.float32),
            self.at.astype(np.float32),
            self.quads,
            self.light.astype(np.float32),
        )


@lru_cache(maxsize=4)
def teeth_of(head: HeadModel) -> tuple[InMouth, ...]:
    """Teeth and gums of the open head; none for heads that have teeth of their own making, or no teeth."""
    if not np.array_equal(head.triangles, load_head("open").triangles):
        return ()
    bands = _bands(head)
    pieces = [(band, sign, row) for band, sign, row in zip(bands, (-1, 1), (UPPER, LOWER), strict=True)]
    return (
        _joined(head, TEETH, [(band, *_row(_Arch.of(head, band, sign), row)) for band, sign, row in pieces]),
        _joined(head, GUMS, [(band, *_gum(_Arch.of(head, band, sign), row)) for band, sign, row in pieces]),
    )


def _bands(head: HeadModel) -> list[NDArray[np.int64]]:
    """The vertices of the upper and of the lower band."""
    faces = head.triangles[head.regions["teeth"][head.triangles].all(axis=1)]
    links = coo_matrix(
        (np.ones(faces.size), (faces.ravel(), np.roll(faces, 1, axis=1).ravel())), [head.vertex_count] * 2
    )
    _, piece = connected_components(links, directed=False)
    bands = [np.flatnonzero(piece == n) for n in np.unique(piece[faces])]
    return sorted(bands, key=lambda band: -float(head.template[band, 1].mean()))


@dataclass(frozen=True, eq=False)
class _Arch:
    """The front of a band by the way along it in metres, 0 in the middle and left positive: its edge and gum line."""

    edge: CubicSpline  # metres -> (3,)
    gum: CubicSpline
    middle: F64  # (3,)
    length: float

    @classmethod
    def of(cls, head: HeadModel, band: NDArray[np.int64], sign: int) -> _Arch:
        """``sign`` is where the edge is: −1 below, 1 above."""
        points = head.template.astype(np.float64)
        inside = np.zeros(len(points), bool)
        inside[band] = True
        faces = head.triangles[inside[head.triangles].all(axis=1)]
        links = np.unique(
            np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1), axis=0
        )
        middle = np.array([0.0, 0.0, points[band, 2].max() - _MIDDLE])
        sections = [_section(points[links] - middle, angle) for angle in _ANGLES]
        edge = np.array([section[np.argmax(sign * section[:, 1])] for section in sections]) + middle
        gum = np.array([section[np.argmin(sign * section[:, 1])] for section in sections]) + middle
        way = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(edge[:, [0, 2]], axis=0), axis=1)))
        # the other side is its mirror image, so that the curve is level in the middle
        both = [np.concatenate([(line * (-1, 1, 1))[:0:-1], line]) for line in (edge, gum)]
        ways = np.concatenate([-way[:0:-1], way])
        return cls(CubicSpline(ways, both[0]), CubicSpline(ways, both[1]), middle, float(way[-1]))

    def at(self, along: F64, height: F64, out: F64) -> F64:
        """Points (…,3) at ways ``along (…)``, shares ``height`` of the way to the gum line, ``out`` metres in front."""
        edge, gum = self.edge(along), self.gum(along)
        # from the arch's middle, as the band's own bends would make the inner sides of teeth cross
        outwards = (edge - self.middle) * (1, 0, 1)
        outwards /= np.linalg.norm(outwards, axis=-1, keepdims=True)
        return np.asarray(edge + height[..., None] * (gum - edge) + out[..., None] * outwards)


def _section(links: F64, angle: float) -> F64:
    """Where lines (n,2,3) cross the half-plane that goes from the y axis at an angle from +z to +x, (m,3)."""
    beside = links[:, :, 0] * np.cos(angle) - links[:, :, 2] * np.sin(angle)
    crossing = (beside.min(axis=1) <= 1e-9) & (beside.max(axis=1) >= -1e-9) & (np.ptp(beside, axis=1) > 1e-9)
    share = beside[crossing, 0] / (beside[crossing, 0] - beside[crossing, 1])
    points = links[crossing, 0] + share[:, None] * (links[crossing, 1] - links[crossing, 0])
    return np.asarray(points[points[:, 0] * np.sin(angle) + points[:, 2] * np.cos(angle) > 0])


def _row(arch: _Arch, row: tuple[Tooth, ...]) -> tuple[F64, NDArray[np.int32]]:
    """The teeth of a row, both sides: vertices (N,3) in metres and quads (M,4)."""
    scale = _scale(arch, row)
    vertices: list[F64] = []
    for side in (1, -1):
        start = 0.0
        for tooth in row:
            middle, half = side * (start + tooth.width / 2) * scale, tooth.width / 2 * scale
            vertices.append(_tooth(arch, tooth, middle, half))
            start += tooth.width
    count = len(vertices[0])
    grid = np.arange(count).reshape(-1, len(_ACROSS))
    wrapped = np.stack([grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]], axis=-1).reshape(-1, 4)
    # the sides, but for a corner under the gum
    walls = np.array([[2, 3, 4, 5], [1, 2, 5, 6]])
    quads = np.concatenate([wrapped, grid[walls, 0][:, ::-1], grid[walls, -1]])
    return np.concatenate(vertices), np.concatenate([quads + n * count for n in range(len(vertices))]).astype(np.int32)


def _tooth(arch: _Arch, tooth: Tooth, middle: float, half: float) -> F64:
    back = ((0.14, 0.95, -tooth.depth[0] - 0.25), (0.95, 0.92, -tooth.depth[1]))
    height, width, out = np.array((*_FRONT, *back)).T[:, :, None]
    low = np.clip(1 - height, 0, 1)  # the edge's shape fades towards the gum
    height = height + low * (tooth.shorter + tooth.point * np.abs(_ACROSS) ** 1.5) + 0 * _ACROSS
    out = out + _BULGE * (1 - _ACROSS**2) - _SIDE * _ACROSS**4
    return arch.at(middle + half * width * _ACROSS, height, out * MM).reshape(-1, 3)


def _gum(arch: _Arch, row: tuple[Tooth, ...]) -> tuple[F64, NDArray[np.int32]]:
    scale = _scale(arch, row)
    ends = np.cumsum([tooth.width for tooth in row]) * scale
    along = np.linspace(-ends[-1], ends[-1], _GUM_COLUMNS)
    middles = ends - np.array([tooth.width for tooth in row]) / 2 * scale
    depth = np.interp(np.abs(along), middles, [tooth.depth[1] for tooth in row])
    height = np.array([height for height, _ in (*_GUM, *_GUM_BEHIND)])[:, None] + 0 * along
    out = np.stack([*(out + 0 * along for _, out in _GUM), *(-share * depth for _, share in _GUM_BEHIND)])
    points = arch.at(np.broadcast_to(along, out.shape), height, out * MM)
    grid = np.arange(points[..., 0].size).reshape(points.shape[:2])
    quads = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], axis=-1).reshape(-1, 4)
    return points.reshape(-1, 3), quads.astype(np.int32)


def _scale(arch: _Arch, row: tuple[Tooth, ...]) -> float:
    """Metres per mm of a tooth's width: the row ends where the band has a tenth of its length left."""
    return 0.9 * arch.length / sum(tooth.width for tooth in row)


def _joined(head: HeadModel, part: str, rows: list[tuple[NDArray[np.int64], F64, NDArray[np.int32]]]) -> InMouth:
    own = np.concatenate([band for band, _, _ in rows])
    shares, quads, lights, places = [], [], [], []
    column = start = 0
    tongue = np.flatnonzero(head.regions["tongue"])
    tongue_light = mouth_light(head)[tongue]
    front = head.template[own, 2].max()
    for band, points, faces in rows:
        share = np.zeros((len(points), len(own)))
        system = np.column_stack([head.template[band].astype(np.float64), np.ones(len(band))])
        share[:, column : column + len(band)] = np.column_stack([points, np.ones(len(points))]) @ np.linalg.pinv(system)
        normals = np.cross(*(points[faces[:, k]] - points[faces[:, 0]] for k in (1, 2)))
        outer = points[faces].mean(axis=1) * (1, 0, 1) - (0, 0, points[:, 2].max() - _MIDDLE)
        shares.append(share)
        quads.append((faces if (normals * outer).sum() > 0 else faces[:, ::-1]) + start)
        light = light_behind((front - points[:, 2]) / MM)
        lights.append(light)
        # pictures paint by the atlas, in which gums have no place: the tongue's where as much light comes to
        alike = np.abs(light[:, None] - tongue_light).argmin(axis=1)
        nearest = np.linalg.norm(points[:, None] - head.template[band], axis=2).argmin(axis=1)
        places.append(head.uv[band[nearest]] if part == TEETH else head.uv[tongue[alike]])
        column, start = column + len(band), start + len(points)
    return InMouth(
        part, own, np.concatenate(shares), np.concatenate(quads).astype(np.int32), np.concatenate(lights),
        np.concatenate(places).astype(np.float64),
    )  # fmt: skip
