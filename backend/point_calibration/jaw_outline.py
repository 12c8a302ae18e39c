"""Measure how surely MediaPipe tells the jaw's outline: ``python -m backend.point_calibration.jaw_outline ICT``.

ICT as in ``backend.point_calibration.sigma``. Rendered people of the dev split, MakeHuman's and ICT-FaceKit's
(``rendered_heads``), turn the head to either side. The open head's points along the jaw are carried to theirs, on
MakeHuman's exactly, for that is its own topology, on ICT-FaceKit's to the closest point of the skin. What their
pictures lie off by across the outline is the error, its mean over frontal pictures of a people taken out: calibration
on photographs sees to that of the embedding. Its spread over the people over the points' own σ is ``share``
(``JawOutline``), mirrored points sharing theirs; how it grows as the head turns is fitted by maximum likelihood.

Points do not slide along the outline as a head turns: on turning sequences of nine of these people the outermost points
of paths over cheek and jaw (4 cm inwards), which are a turned head's silhouette, lay outside what the network drew on
the averted side, on the mean by 5 to 11 % of the inter-ocular distance at 12° to 30° of yaw and by 14 to 32 % beyond.
The points of one place lay off by 1 to 5 % at 12° to 30°. Above the corners of the jaw a point errs across the outline
about as much as its σ says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from backend.alignment.landmarks.aligner import LandmarkAligner
from backend.alignment.landmarks.face_finder import BlazeFaceFinder
from backend.alignment.landmarks.plain_mesh import OVAL
from backend.alignment.landmarks.point_sigma import load_point_sigma
from backend.datasets.splits import PEOPLES, People
from backend.evaluation.benchmark import BenchmarkHead
from backend.evaluation.benchmark.heads import benchmark_head
from backend.evaluation.benchmark.scene import make_scene
from backend.head_model.library import load_head
from backend.head_model.model import SurfacePoints, surface_positions
from backend.head_model.rigid import similarity_between
from backend.head_model.surface import MeshSurface
from backend.observations import PointSet
from backend.observations.jaw_outline import TABLE, JawOutline, turned
from backend.point_calibration.rendered_heads import EXPRESSIONS, dev_person, pictures

F64 = NDArray[np.float64]
PEOPLE = 10
CHAIN = np.array(OVAL[OVAL.index(361) : OVAL.index(132) + 1])
"""From below the left ear to below the right one."""
YAWS = np.radians([0.0, *(side * yaw for yaw in (4, 8, 15, 22, 30, 38, 46, 54) for side in (-1.0, 1.0))])
FRONTAL = 0.25  # of ``turned``: 10°
BINS = ((0.0, 0.1), (0.1, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0), (1.0, 1.3), (1.3, 1.6), (1.6, 5.0))
_INNER = slice(17, 68)  # of iBUG's 68 points: those that are not the jaw's own
_SKIN = ("face", "head_and_neck", "bust")


@dataclass(frozen=True, eq=False)
class Measured:
    """Errors across the outline ``ratio (n,P)`` over the points' own σ, and ``turned (n,)`` the heads were."""

    ratio: F64
    turned: F64


def carried(head: BenchmarkHead) -> SurfacePoints:
    """The open head's points of ``CHAIN`` on the skin of another head."""
    ours = load_head("open")
    places = [surface_positions(ours.landmarks[n], ours.triangles, ours.template) for n in ("ibug68", "mediapipe478")]
    to_theirs = similarity_between(places[0][_INNER].astype(np.float64), head.marks[_INNER])
    skin = np.any([head.groups[name] for name in _SKIN if name in head.groups], axis=0)
    kept = np.flatnonzero(skin[head.triangles].all(axis=1))
    found = MeshSurface(head.template, head.triangles[kept]).closest(
        to_theirs.apply(places[1][CHAIN].astype(np.float64))
    )
    return SurfacePoints(kept[found.triangle].astype(np.int32), found.barycentric.astype(np.float32))


def measured(archive: Path, people: People, count: int) -> Measured:
    """Errors of so many people of a kind, less their mean over frontal pictures."""
    head = benchmark_head(people, archive)
    points, aligner, finder = carried(head), LandmarkAligner(), BlazeFaceFinder()
    rows = list(_rows(head, points, people, count, aligner, finder))
    aligner.close()
    finder.close()
    ratio, turn = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    return Measured(ratio - ratio[turn < FRONTAL].mean(axis=0), turn)


def _rows(
    head: BenchmarkHead,
    points: SurfacePoints,
    people: People,
    count: int,
    aligner: LandmarkAligner,
    finder: BlazeFaceFinder,
) -> Iterator[tuple[F64, float]]:
    table = JawOutline(CHAIN, np.ones(len(CHAIN) - 2), 1.0, "")
    turns = np.column_stack([YAWS, np.zeros(len(YAWS))])
    for person in range(count):
        spec = replace(dev_person(person, len(YAWS)), people=people)
        shown = [
            {name: own for name, own in EXPRESSIONS[k % len(EXPRESSIONS)].items() if name in head.expression_names}
            for k in range(len(YAWS))
        ]
        for vertices, picture in pictures(head, spec, shown, turns):
            found = aligner.align([picture], finder.find(picture)[:1] or [None])[0]
            if found is None:
                continue
            seen = PointSet.of("mediapipe478", found.mu[None], found.sigma[None], np.ones((1, len(found.mu)), bool))
            true = surface_positions(points, head.triangles, vertices)[1:-1]
            true = true[:, :2] / true[:, 2:] * make_scene(spec).focal_px + spec.side / 2
            off = ((table.positions(seen)[0] - true) * table.normals(seen)[0]).sum(axis=-1)
            yield off / seen.sigma[0, table.points], float(turned(seen)[0])


def shares(found: Measured) -> F64:
    """(P,) spread of frontal errors over σ; mirrored points as one."""
    square = np.square(found.ratio[found.turned < FRONTAL]).mean(axis=0)
    return np.asarray(np.sqrt((square + square[::-1]) / 2))


def doubling_turn(found: Measured, share: F64) -> float:
    """The turn that doubles the spread: the most likely one, of those a hundredth apart."""

    def misfit(turn: float) -> float:
        spread = share * (1 + (found.turned[:, None] / turn) ** 2)
        return float((np.log(spread) + 0.5 * (found.ratio / spread) ** 2).mean())

    return float(min(np.arange(0.1, 3.0, 0.01), key=misfit))


def main(
    archive: Annotated[Path, typer.Argument(help="ict_facekit.npz, of which people are rendered.")],
    out: Annotated[Path, typer.Option(help="Where the table goes.")] = TABLE,
    people: Annotated[int, typer.Option(help="Rendered people of each kind.")] = PEOPLE,
) -> None:
    """Measure and write the table; prints what it found by point and by turn."""
    each = {kind: measured(archive, kind, people) for kind in PEOPLES}
    both = Measured(*(np.concatenate([getattr(m, name) for m in each.values()]) for name in ("ratio", "turned")))
    share = shares(both)
    turn = doubling_turn(both, share)
    heads = f"{people} heads each of MakeHuman (CC0) and ICT-FaceKit (MIT), dev identities"
    about = f"{len(both.turned)} renderings of {heads}"
    JawOutline(CHAIN, share, turn, about).save(out)
    sigma = load_point_sigma().sigma_fraction
    for point, own in zip(CHAIN[1:-1].tolist(), share, strict=True):
        typer.echo(f"{point:3d}: {own:.2f} of σ, {100 * own * sigma[point]:.2f} % of the inter-ocular distance")
    for kind, found in each.items():
        for low, high in BINS:
            inside = found.ratio[(found.turned >= low) & (found.turned < high)]
            if len(inside):
                typer.echo(f"{kind}, turned {low} to {high}: {np.sqrt(np.mean(inside**2)):.2f} of σ ({len(inside)})")
    typer.echo(f"doubled at a turn of {turn:.2f}: {about}")


if __name__ == "__main__":
    typer.run(main)
