"""Measures MediaPipe's errors on turned heads, on rendered people of the dev split.

The people are those of ``backend.evaluation.benchmark`` (ICT-FaceKit, even identity modes only), each with a face,
skin, light, lens and background of their own. A point is lifted onto the head where it lies in the frontal picture,
whatever surface point that is, and turned with the head: what the aligner says of the turned picture differs from there
by bias.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.alignment.landmarks.aligner import LandmarkAligner
from backend.alignment.landmarks.face_finder import BlazeFaceFinder
from backend.alignment.landmarks.face_mesh import POINTS
from backend.alignment.landmarks.point_sigma import PointSigma
from backend.evaluation.benchmark import load_ict_head
from backend.point_calibration.rendered_heads import EXPRESSIONS, Lifted, dev_person, lift, pictures

F64 = NDArray[np.float64]

YAWS = np.radians([0.0, *(side * angle for angle in range(10, 81, 10) for side in (-1, 1))])
"""Frontal first: that is where points are lifted."""
_KNOT_REACH = np.radians(8.0)


@dataclass(frozen=True, eq=False)
class TurnedHead:
    """One picture of a turned head, in the aligner's own terms.

    ``yaw`` that it tells, radians, positive to the subject's left, and how far its points ``bias (478,2)`` from where
    the frontal picture put them, in its own inter-ocular distances.
    """

    yaw: float
    bias: F64


@dataclass(frozen=True, eq=False)
class LookedUp(PointSigma):
    """A table that notes what the aligner looks up in it: the yaw and the inter-ocular distance it believes in."""

    asked: list[tuple[float, float]] = field(default_factory=list)

    @classmethod
    def of(cls, mirror: NDArray[np.int64]) -> LookedUp:
        """A table that says nothing itself; ``mirror (478,)`` is each point's mirror image."""
        one, nowhere = np.ones(2), np.zeros((POINTS, 2))
        return cls(np.ones(POINTS), one, one, one, np.zeros(POINTS), 0.0, mirror, nowhere, nowhere, "")

    def pixels(
        self,
        yaw: float,
        inter_ocular_px: float,
        apart: F64 | None = None,  # noqa: ARG002 - a table's
    ) -> NDArray[np.float32]:
        self.asked.append((yaw, inter_ocular_px))
        return np.ones(POINTS, np.float32)


def turned_heads(archive: Path, mirror: NDArray[np.int64], people: int) -> Iterator[TurnedHead]:
    """Pictures of rendered dev people at ``YAWS``, neutral and with one expression each, as the aligner sees them.

    ``archive`` is ``ict_facekit.npz``, ``mirror (478,)`` each point's mirror image. About 4 s
    per person. Raises UserError where nothing can be rendered (see ``load_ict_head``, ``HeadRenderer``).
    """
    ict, table = load_ict_head(archive), LookedUp.of(mirror)
    turns = np.column_stack([YAWS, np.zeros_like(YAWS)])
    aligner, finder = LandmarkAligner(table), BlazeFaceFinder()
    for person in range(people):
        spec = dev_person(person, len(YAWS))
        for expression in (EXPRESSIONS[0], EXPRESSIONS[1 + person % (len(EXPRESSIONS) - 1)]):
            lifted: Lifted | None = None
            for vertices, picture in pictures(ict, spec, expression, turns):
                found = aligner.align([picture], finder.find(picture)[:1] or [None])[0]
                yaw, iod = table.asked[-1] if found else (0.0, 0.0)
                points = found.mu.astype(np.float64) if found else None
                if lifted is None:
                    if points is None:
                        break
                    lifted = lift(ict, spec, vertices, points)
                elif points is not None:
                    yield TurnedHead(yaw, (points - lifted.seen(vertices)) / iod)
    aligner.close()
    finder.close()


def yaw_growth(heads: list[TurnedHead], sigma: F64, lateral: F64, knots: F64) -> tuple[F64, F64]:
    """Factors on ``sigma (478,)`` at each yaw knot (radians, positive: the point's side turns away).

    The first are for points at the side of the face (its outline left out: a silhouette has no one place on a head to
    be lifted to), the second for those on its middle line. Knots are yaws as the aligner tells them, which is what the
    table is looked up by: it says 60° of heads at 60° and at 80°. Factor = √(1 + bias² / σ²) over the pictures within
    8° of a knot, made not to fall with |yaw|; a knot without pictures takes its inner neighbour's.
    """
    side, middle = np.ones(len(knots)), np.ones(len(knots))
    for index, knot in enumerate(knots):
        if abs(knot) < _KNOT_REACH:
            continue
        near: list[tuple[TurnedHead, int]] = [
            (head, sign) for head in heads for sign in (-1, 1) if abs(head.yaw * sign - knot) < _KNOT_REACH
        ]
        side[index] = _growth([(head.bias, np.abs(lateral * sign - 0.6) < 0.2) for head, sign in near], sigma)
        middle[index] = _growth([(head.bias, np.abs(lateral) < 0.15) for head, _ in near], sigma)
    for factor in (side, middle):
        for part in (np.flatnonzero(knots >= 0), np.flatnonzero(knots <= 0)[::-1]):
            factor[part] = np.fmax.accumulate(factor[part])
    return side, middle


def _growth(biases: list[tuple[F64, NDArray[np.bool_]]], sigma: F64) -> float:
    """NaN where there is nothing to tell it from."""
    ratios = [(bias[chosen] ** 2).mean(axis=1) / sigma[chosen] ** 2 for bias, chosen in biases]
    squares = np.concatenate([ratio[np.isfinite(ratio)] for ratio in ratios]) if ratios else np.empty(0)
    if not squares.size:
        return float("nan")
    # A mean square, told from the 90 % quantile (squares in a plane are distributed exponentially): bias has a longer
    # tail than noise, and it counts, but a point lifted past a nostril's rim or a face seen elsewhere is no bias.
    return float(np.sqrt(1 + np.quantile(squares, 0.9) / np.log(10)))
