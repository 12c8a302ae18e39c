"""Measures ``mediapipe_pose_bias.npz`` on rendered people of the dev split.

``python -m backend.point_calibration.pose_bias`` does it.

A point is lifted onto the head where it lies in the frontal picture, whatever surface point that is, and turned with
the head. What the network says of the turned picture, less where that surface point is, is the person's own error plus
bias that all people share; a robust regression on the pose that the network tells finds the second.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from backend.alignment.crop import Crop
from backend.alignment.landmarks.aligner import LandmarkAligner, Look
from backend.alignment.landmarks.face_finder import BlazeFaceFinder
from backend.alignment.landmarks.face_mesh import LEFT_OUTER_CANTHUS, POINTS, RIGHT_OUTER_CANTHUS
from backend.alignment.landmarks.plain_mesh import face_oval, tesselation
from backend.alignment.landmarks.point_sigma import load_point_sigma
from backend.alignment.landmarks.pose_bias import TABLE, PoseBias, pose_features
from backend.evaluation.benchmark import BenchmarkHead, load_ict_head
from backend.observations import Alignment
from backend.point_calibration.rendered_heads import EXPRESSIONS, Lifted, dev_person, lift, pictures

F64 = NDArray[np.float64]

PEOPLE = 12
YAWS, PITCHES = (-70, -55, -40, -25, -12, 0, 12, 25, 40, 55, 70), (-30, -15, 0, 15, 30)
TURNS = np.radians(
    [(0, 0)] + [(y, p) for p in PITCHES for y in YAWS if (y, p) != (0, 0) and abs(y) / 75 + abs(p) / 60 < 1.05]
)
"""(n,2) yaw and pitch, frontal first: that is where points are lifted. Corners of the square are no poses of a face."""
RIDGE = 1e-2
_OVAL = {index for edge in face_oval() for index in edge}
OUTLINE = sorted({index for edge in tesselation() if _OVAL & set(edge) for index in edge})
"""Points of the silhouette and next to it: lifted past the cheek as often as onto it."""


@dataclass(frozen=True, eq=False)
class Sample:
    """A picture: the network's ``points (478,3)`` in its crop, and their ``bias (478,2)``.

    Both in the crop's axes and its own inter-ocular distances; bias is NaN for points lifted past the head.
    """

    frontal: bool
    points: F64
    bias: F64


class _Raw(LandmarkAligner):
    """Notes the network's own points and the crop that they were found in."""

    last: tuple[Crop, F64]

    def _alignment(self, look: Look, mu: F64) -> Alignment:
        self.last = look.crop, np.column_stack([look.crop.points_from_image(mu), look.points[:, 2]])
        return super()._alignment(look, mu)


def person_samples(ict: BenchmarkHead, person: int, aligner: _Raw, finder: BlazeFaceFinder) -> list[Sample]:
    """All pictures of one rendered person in which the aligner finds the face: neutral and with an expression."""
    spec, samples = dev_person(person, len(TURNS)), []
    for expression in (EXPRESSIONS[0], EXPRESSIONS[1 + person % (len(EXPRESSIONS) - 1)]):
        lifted: Lifted | None = None
        for vertices, picture in pictures(ict, spec, expression, TURNS):
            if aligner.align([picture], finder.find(picture)[:1] or [None])[0] is None:
                if lifted is None:
                    break
                continue
            crop, points = aligner.last
            frontal = lifted is None
            if lifted is None:
                lifted = lift(ict, spec, vertices, crop.points_to_image(points[:, :2]))
            true = np.linalg.solve(crop.to_image[:, :2], (lifted.seen(vertices) - crop.to_image[:, 2]).T).T
            scale = np.linalg.norm(points[LEFT_OUTER_CANTHUS] - points[RIGHT_OUTER_CANTHUS])
            samples.append(Sample(frontal, points / scale, (points[:, :2] - true) / scale))
    return samples


def pose_bias_table(samples: list[Sample], mirror: NDArray[np.int64]) -> PoseBias:
    """The table that these pictures give, the same for both sides of the face (without ``about``)."""
    frontal = np.array([s.points for s in samples if s.frontal])
    mean = (frontal - frontal.mean(axis=1, keepdims=True)).mean(axis=0)
    flipped = mean[mirror] * (-1, 1, 1)
    table = PoseBias((mean + flipped) / 2, np.zeros((5, POINTS, 2)), "")
    poses = np.array([table.pose(s.points) for s in samples])
    bias = np.array([s.bias for s in samples])
    features = pose_features(np.append(poses[:, 0], -poses[:, 0]), np.append(poses[:, 1], poses[:, 1]))
    both = np.concatenate([bias, bias[:, mirror] * (-1, 1)])
    for point in sorted(set(range(POINTS)) - set(OUTLINE)):
        seen = np.isfinite(both[:, point, 0])
        table.coefficients[:, point] = _robust_ridge(features[seen], both[seen, point])
    smooth = _smooth(table.coefficients)
    odd = np.array([-1, 1, 1, -1, 1])[:, None, None]  # s and s·p change sign in the mirror, and so does x
    return PoseBias(table.mean_points, (smooth + odd * smooth[:, mirror] * (-1, 1)) / 2, "")


def _smooth(coefficients: F64) -> F64:
    """Each point's median over itself and its neighbours: a point lifted into a nostril stands out from them."""
    inner = sorted(set(range(POINTS)) - set(OUTLINE))
    smooth = coefficients.copy()
    for point in inner:
        around = {index for edge in tesselation() if point in edge for index in edge} - set(OUTLINE)
        smooth[:, point] = np.median(coefficients[:, sorted(around | {point})], axis=1)
    return smooth


def _robust_ridge(features: F64, target: F64) -> F64:
    """(5,2) ridge regression; Cauchy weights at 2.5 median errors, for points lifted past a nostril's rim."""
    weight = np.ones(len(features))
    for _ in range(4):
        weighted = features * weight[:, None]
        found: F64 = np.linalg.solve(weighted.T @ features + RIDGE * np.eye(features.shape[1]), weighted.T @ target)
        error = np.linalg.norm(target - features @ found, axis=1)
        weight = 1 / (1 + (error / (2.5 * np.median(error) + 1e-9)) ** 2)
    return found


def _remaining(table: PoseBias, samples: list[Sample]) -> tuple[float, float]:
    """Median bias of all points in the pictures of turned heads, in per cent, before and after the table."""
    inner = sorted(set(range(POINTS)) - set(OUTLINE))
    turned = [s for s in samples if not s.frontal]
    before = np.array([s.bias for s in turned])[:, inner]
    after = before - np.array([table.offsets(s.points) for s in turned])[:, inner]

    def size(bias: F64) -> float:
        return 100 * float(np.nanmedian(np.linalg.norm(bias, axis=-1)))

    return size(before), size(after)


def main(
    archive: Annotated[Path, typer.Argument(help="ict_facekit.npz, of which turned heads are rendered.")],
    out: Annotated[Path, typer.Option(help="Where the table goes.")] = TABLE,
    people: Annotated[int, typer.Option(help="Rendered people; every third of them only checks.")] = PEOPLE,
) -> None:
    """Measure and write the table; prints how much bias it takes off people who were left out."""
    ict, mirror = load_ict_head(archive), load_point_sigma().mirror
    nothing = PoseBias(np.eye(POINTS, 3), np.zeros((5, POINTS, 2)), "")
    aligner, finder = _Raw(pose_bias=nothing), BlazeFaceFinder()
    with typer.progressbar(range(people), label="rendering and aligning") as numbers:
        seen = [person_samples(ict, person, aligner, finder) for person in numbers]
    aligner.close()
    finder.close()
    everyone = [sample for person in seen for sample in person]
    table = pose_bias_table(everyone, mirror)
    about = (
        f"MediaPipe's 256² landmark network and its iris network; "
        f"{len(everyone)} renderings of {people} ICT-FaceKit heads (MIT), dev split"
    )
    PoseBias(table.mean_points, table.coefficients, about).save(out)
    kept = [sample for number, person in enumerate(seen) if number % 3 for sample in person]
    left = [sample for number, person in enumerate(seen) if number % 3 == 0 for sample in person]
    before, after = _remaining(pose_bias_table(kept, mirror), left)
    typer.echo(f"{about}; median bias of turned heads left out: {before:.2f} → {after:.2f} % of inter-ocular distance")


if __name__ == "__main__":
    typer.run(main)
