"""What an animator looks at, measured on the iBUG-68 points of a face in an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.mesh_landmarks import landmarks_camera
from backend.evaluation.metrics.curves import regression
from backend.evaluation.types import MeshSequence

F64 = NDArray[np.float64]

_CANTHI = (36, 39, 42, 45)
_RIGHT_CANTHI, _LEFT_CANTHI = (36, 39), (42, 45)
OUTER_CANTHI = (36, 45)

# Name, the points whose mean stands above, those whose mean stands below; heights along the face's own up.
_HEIGHTS: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = (
    ("mouth opening", (61, 62, 63), (67, 66, 65)),
    ("corner right", (48,), _CANTHI),
    ("corner left", (54,), _CANTHI),
    ("lids right", (37, 38), (41, 40)),
    ("lids left", (43, 44), (47, 46)),
    ("inner brow right", (20, 21), _RIGHT_CANTHI),
    ("inner brow left", (22, 23), _LEFT_CANTHI),
    ("outer brow right", (17, 18, 19), _RIGHT_CANTHI),
    ("outer brow left", (24, 25, 26), _LEFT_CANTHI),
    ("chin", (8,), _CANTHI),
)
_ACROSS: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = (
    ("mouth width", (54,), (48,)),
    ("jaw aside", (8,), _CANTHI),
)
MEASURES = tuple(name for name, _, _ in (*_HEIGHTS, *_ACROSS))
"""Each is a distance in per cent of the inter-ocular one, positive up, and towards the subject's left."""
GROUPS: dict[str, tuple[str, ...]] = {
    "mouth opening": ("mouth opening",),
    "mouth width": ("mouth width",),
    "corners": ("corner right", "corner left"),
    "lids": ("lids right", "lids left"),
    "inner brows": ("inner brow right", "inner brow left"),
    "outer brows": ("outer brow right", "outer brow left"),
    "chin": ("chin",),
    "jaw aside": ("jaw aside",),
}
"""The measures that a table shows in one column, the mean of both sides."""

MOVES = 1.0
"""% of the inter-ocular distance (0.9 mm): the standard deviation from which a measure moves. On faces that hold still
(``pyfeat_single_face``'s first second, ``lp_s18``'s pauses) the second detector itself scatters by 0.2 to 0.4."""


@dataclass(frozen=True, eq=False)
class Ruler:
    """By what a face in an image is measured; the fitted head's for footage and render alike.

    ``across (T,2)`` is the unit vector in the image from the subject's right to their left, ``unit (T,)`` the distance
    of the outer eye corners in pixels that the face would have if it were turned to the camera.
    """

    across: F64
    unit: F64

    @classmethod
    def of(cls, mesh: MeshSequence) -> Ruler:
        """A mesh's own. Raises ValueError where it does not know its 68 landmarks."""
        right, left = np.moveaxis(landmarks_camera(mesh)[:, list(OUTER_CANTHI)], 1, 0)
        seen = left[:, :2] / left[:, 2:] - right[:, :2] / right[:, 2:]
        depth = (left[:, 2] + right[:, 2]) / 2
        across = seen / np.maximum(np.linalg.norm(seen, axis=1, keepdims=True), 1e-9)
        return cls(across, np.linalg.norm(left - right, axis=1) / depth * mesh.focal_px)

    def at(self, frames: NDArray[np.integer[Any]]) -> Ruler:
        """The ruler of some frames."""
        return Ruler(self.across[frames], self.unit[frames])


def measures_of(points: F64, ruler: Ruler) -> F64:
    """(T,M) in %, in the order of ``MEASURES``, of image points (T,68,2) in pixels."""
    across = ruler.across
    down = np.stack([-across[:, 1], across[:, 0]], axis=1)
    columns = []
    for axis, sign, table in ((down, -1.0, _HEIGHTS), (across, 1.0, _ACROSS)):
        for _, to, origin in table:
            between = points[:, list(to)].mean(axis=1) - points[:, list(origin)].mean(axis=1)
            columns.append(sign * (between * axis).sum(axis=1) / ruler.unit * 100)
    return np.stack(columns, axis=1)


@dataclass(frozen=True, eq=False)
class Agreement:
    """One thing measured over time on footage and on the fitted head, each array (N,).

    ``correlation`` and ``slope`` of the head's on the footage's, NaN where the footage's does not move; ``constant``
    the mean difference; ``error`` mean absolute difference, ``error_moving`` the same after the constant is taken out.
    """

    correlation: F64
    slope: F64
    constant: F64
    error: F64
    error_moving: F64


def agree(head: F64, footage: F64, moves_from: float = MOVES) -> Agreement:
    """Compare what was seen on the head (T,N) with what was seen in the footage (T,N)."""
    if not len(footage):
        nothing = np.full(footage.shape[1], np.nan)
        return Agreement(nothing, nothing, nothing, nothing, nothing)
    correlation, slope, _ = regression(head, footage, moves_from)
    off = head - footage
    constant = off.mean(axis=0)
    return Agreement(correlation, slope, constant, np.abs(off).mean(axis=0), np.abs(off - constant).mean(axis=0))
