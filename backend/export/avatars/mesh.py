"""The person's head as meshes: what of it is written, in which pose, and which part of a face each vertex is of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.export.takes import ExportTake
from backend.head_model.model import HeadModel, actions_of, posed_vertices, surface_positions
from backend.track.geometry import neutral_of, person_of
from protocol.arrays import at_frames

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Bools = NDArray[np.bool_]

MOUTH_OPEN = 0.5
"""Strength of ``jawOpen`` in the canonical mesh: lips and lids apart, as metrical-tracker's 12° of the jaw do it."""
_LEFT_OUT = ("lashes",)
"""Cards of hair beside the lids would be the nearest surface to what is skin."""
_UNDER_JAW = 0.005
"""Metres below chin and jaw angles at which the neck begins: the jaw line's landmarks lie on its edge."""


@dataclass(frozen=True, eq=False)
class AvatarMesh:
    """A take's head without its lashes: n vertices, of which ``vertices (n,)`` are the head's own numbers.

    ``triangles (F,3)`` index the n, counter-clockwise seen from outside. Meshes are in head space: metres, +x the
    subject's left, +y up, +z out of the face, expressions and gaze in them, but not the head's own motion.
    """

    take: ExportTake
    vertices: NDArray[np.int64]
    triangles: NDArray[np.int32]

    @classmethod
    def of(cls, take: ExportTake) -> AvatarMesh:
        """The mesh of a take's head."""
        head = take.head
        kept = ~sum(
            (head.regions[name] for name in _LEFT_OUT if name in head.regions), np.zeros(head.vertex_count, bool)
        )
        number = np.cumsum(kept) - 1
        triangles = head.triangles[kept[head.triangles].all(axis=1)]
        return cls(take, np.flatnonzero(kept), number[triangles].astype(np.int32))

    @cached_property
    def neutral(self) -> F32:
        """(V,3) of all the head's vertices: the person's neutral."""
        return neutral_of(self.take.head, self.take.track)

    @property
    def person(self) -> HeadModel:
        """The head as this person performs it."""
        return person_of(self.take.head, self.take.track)

    def posed(self, frame: int) -> F32:
        """(n,3) at a frame of the take."""
        some = at_frames(self.take.track, np.array([frame]))
        return posed_vertices(self.person, self.neutral, some.expression, some.gaze)[0, self.vertices]

    def canonical(self) -> F32:
        """(n,3) the person at rest with the mouth half open, where the head has the action for that."""
        names, offsets = actions_of(self.person)
        opened = MOUTH_OPEN * offsets[names.index("jawOpen")] if "jawOpen" in names else 0.0
        return np.asarray((self.neutral + opened)[self.vertices], np.float32)

    @cached_property
    def parts(self) -> dict[str, Bools]:
        """Which of the n vertices are of which part; see ``parts_of``."""
        return {name: mask[self.vertices] for name, mask in parts_of(self.take.head).items()}


def parts_of(head: HeadModel) -> dict[str, Bools]:
    """Masks (V,) of a head's parts, by its regions: no two hold the same vertex.

    left and right eye and ear (the subject's), nose, upper and lower lip, mouth (what is inside), neck, scalp (skin
    that is neither face nor ear nor neck: where hair grows), and skin, which is the rest.
    """
    none = np.zeros(head.vertex_count, bool)
    region = {name: head.regions.get(name, none) for name in (*head.regions, "teeth", "tongue", "mouth_bag")}
    place, marks = head.template, surface_positions(head.landmarks["ibug68"], head.triangles, head.template)
    left = place[:, 0] > 0
    lips = region["mouth"] & region["skin"] & _inside(place, marks[48:60])
    seam = (
        marks[[60, 61, 62, 63, 64]] + marks[[60, 67, 66, 65, 64]]
    ) / 2  # from the subject's right corner to the left
    lower = place[:, 1] < np.interp(place[:, 0], seam[:, 0], seam[:, 1])
    wanted = {
        "left_eye": region["left_eyeball"],
        "right_eye": region["right_eyeball"],
        "mouth": region["teeth"] | region["tongue"] | region["mouth_bag"],
        "upper_lip": lips & ~lower,
        "lower_lip": lips & lower,
        "nose": region["nose"],
        "left_ear": region["ears"] & left,
        "right_ear": region["ears"] & ~left,
        "neck": region["skin"] & ~region["face"] & _below_jaw(place, marks),
        "scalp": region["skin"] & ~region["face"],
        "skin": ~none,
    }
    parts, taken = {}, none
    for name, mask in wanted.items():
        parts[name] = mask & ~taken
        taken = taken | mask
    return parts


def _inside(place: F32, outline: NDArray[np.floating[Any]]) -> Bools:
    """Within a closed ``outline (m,3)`` seen from the front: rays to the right cross it an odd number of times."""
    inside = np.zeros(len(place), bool)
    x, y = place[:, 0], place[:, 1]
    for (x0, y0), (x1, y1) in zip(outline[:, :2], np.roll(outline[:, :2], -1, axis=0), strict=True):
        between = (y0 > y) != (y1 > y)
        inside ^= between & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0 if y1 != y0 else 1.0))
    return inside


def _below_jaw(place: F32, marks: NDArray[np.floating[Any]]) -> Bools:
    """Below a line from the chin to the jaw's angles, and behind those below their height."""
    chin, angle = marks[8], (marks[4] + marks[12]) / 2
    height = np.interp(place[:, 2], [angle[2], chin[2]], [angle[1], chin[1]])
    return np.asarray(place[:, 1] < height - _UNDER_JAW)


def obj(vertices: NDArray[np.floating[Any]], triangles: NDArray[np.integer[Any]], colors: F64 | None = None) -> bytes:
    """A Wavefront OBJ of ``vertices (n,3)`` to a micrometre and ``triangles (F,3)``; ``colors (n,3)`` 0…1 after each
    vertex, as MeshLab writes them."""
    rows = np.asarray(vertices, np.float64)
    if colors is None:
        corners = ("v %.6f %.6f %.6f\n" * len(rows)) % tuple(rows.ravel())
    else:
        corners = ("v %.6f %.6f %.6f %.3f %.3f %.3f\n" * len(rows)) % tuple(np.hstack([rows, colors]).ravel())
    return (corners + ("f %d %d %d\n" * len(triangles)) % tuple(np.asarray(triangles).ravel() + 1)).encode()
