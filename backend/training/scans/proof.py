"""``python -m backend.training.scans.proof DATA OUT``: registration and carried landmarks against known truth.

The truth is ICT-FaceKit's head with a known identity and expressions, drawn in a painted skin as if it were scanned.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from numpy.typing import NDArray

from backend.head_model.library import load_head
from backend.head_model.model import HeadModel, surface_positions
from backend.head_model.render import HeadRenderer
from backend.head_model.surface import MeshSurface
from backend.training.scans.flow import DisFlow, carry
from backend.training.scans.landmarks import NAMES, LandmarkFile, annotated_points, preselected
from backend.training.scans.mesh import ScanMesh
from backend.training.scans.propagate import Neutral, propagate
from backend.training.scans.register import Registered, register_scan
from backend.training.scans.views import ScanView, seen
from backend.training.synthetic.actors import Actor
from backend.training.synthetic.canvas import make_canvas
from backend.training.synthetic.ict_actor import load_ict_actor
from backend.training.synthetic.skins import paint
from protocol.face_actions import ARKIT_ACTIONS

F64 = NDArray[np.float64]

FRAMES = 60
_SEED = 5
_CLICK = 0.0007  # metres that a person's click is off
_EXPRESSIONS = (
    {"jawOpen": 0.35, "mouthStretchLeft": 0.3, "mouthStretchRight": 0.3},
    {"mouthSmileLeft": 0.8, "mouthSmileRight": 0.7, "cheekSquintLeft": 0.5, "cheekSquintRight": 0.5},
    {"browInnerUp": 0.8, "browOuterUpLeft": 0.6, "browOuterUpRight": 0.6},
)


@dataclass(frozen=True, eq=False)
class Person:
    """Somebody of the ICT head, with skin."""

    head: HeadModel
    actor: Actor
    neutral: NDArray[np.float32]
    skin: NDArray[np.uint8]

    @classmethod
    def drawn(cls, data: Path, cache: Path) -> Person:
        """The one that ``_SEED`` draws."""
        head, rng = load_head("open"), np.random.default_rng(_SEED)
        actor = load_ict_actor(data / "ict" / "ict_facekit.npz", head, cache)
        skin = paint(make_canvas(head), rng, ()).picture[:, :, :3]
        return cls(head, actor, actor.neutral(0.8 * rng.standard_normal(len(actor.modes))), skin)

    def scan(self, strengths: dict[str, float]) -> ScanMesh:
        """As a scanner would see the person with these actions."""
        row = np.zeros(len(ARKIT_ACTIONS), np.float32)
        for name, value in strengths.items():
            row[ARKIT_ACTIONS.index(name)] = value
        vertices = self.actor.posed(self.neutral, row, np.zeros((2, 2))).astype(np.float64)
        triangles = self.actor.drawn[self.actor.triangles].astype(np.int32)
        return ScanMesh(vertices, triangles, self.actor.uv[self.actor.triangles], np.ascontiguousarray(self.skin))

    def true_points(self, mesh: ScanMesh) -> F64:
        """The 44 and those preselected (N,3)."""
        on_open = self.actor.open_vertices.on(mesh.vertices)
        marks = surface_positions(annotated_points(self.head), self.head.triangles, on_open)
        return np.concatenate([marks, on_open[preselected(self.head)]])


def registration(person: Person) -> Iterator[str]:
    """A neutral by 44 noisy clicks, then expressions by carried landmarks, each compared with where the skin went."""
    head, neutral = person.head, person.scan({})
    rng = np.random.default_rng(1)
    clicks = person.true_points(neutral)[: len(NAMES)] + rng.normal(0, _CLICK, (len(NAMES), 3))
    found = register_scan(head, neutral, LandmarkFile(clicks), unit=1.0)
    yield f"neutral: {found.report}"
    known = found.known & person.actor.open_vertices.known & head.regions["face"]
    apart = np.linalg.norm(found.vertices - person.actor.open_vertices.on(neutral.vertices), axis=1)[known] * 1e3
    yield f"  from the ICT head's own correspondence: {apart.mean():.2f} mm mean, {np.percentile(apart, 95):.2f} mm p95"
    foot = MeshSurface(neutral.vertices, neutral.triangles).closest_nearby(found.vertices)
    scans = [person.scan(strengths) for strengths in _EXPRESSIONS]
    start = Neutral.of(head, neutral, found, "annotated")
    carried = propagate(start, scans, DisFlow, in_time=False)
    for mesh, marks, strengths in zip(scans, carried, _EXPRESSIONS, strict=True):
        yield from _expression(person, found, mesh, marks, foot.of(mesh.vertices, mesh.triangles), known, strengths)


def _expression(
    person: Person,
    neutral: Registered,
    mesh: ScanMesh,
    marks: LandmarkFile,
    true: F64,
    known: NDArray[np.bool_],
    strengths: dict[str, float],
) -> Iterator[str]:
    found = register_scan(person.head, mesh, marks, neutral=neutral)
    both = known & found.known
    apart = np.linalg.norm(found.vertices - true, axis=1)[both] * 1e3
    moved = np.linalg.norm(true - neutral.vertices, axis=1)[both] * 1e3
    places = np.linalg.norm(marks.places - true[marks.vertices], axis=1) * 1e3
    yield f"{'+'.join(strengths)}: {found.report}"
    yield (
        f"  skin moved {moved.mean():.2f} mm, found to {apart.mean():.2f} mm mean, {np.percentile(apart, 95):.2f} p95; "
        f"carried landmarks {np.nanmedian(places):.2f} mm median, {np.isfinite(places).mean():.0%} of them followed"
    )


def sequence(person: Person, frames: int = FRAMES, side: int = 768) -> Iterator[str]:
    """Landmarks of the first of some rendered frames, carried to the others and compared with where they are."""
    pictures, truth, visible = [], [], None
    middle = person.neutral[person.actor.face].mean(axis=0).astype(np.float64)
    with HeadRenderer((side, side)) as renderer:
        for number in range(frames):
            mesh, phase = person.scan(_performance(number, frames)), 2 * np.pi * number / max(frames - 1, 1)
            view = ScanView.towards(middle, 1.0, 3.2 * side, side, 0.17 * np.sin(phase), 0.08 * np.sin(1.7 * phase))
            picture = renderer.render(
                mesh.vertices, mesh.triangles, texture=mesh.texture, corner_uv=mesh.corner_uv, **view.optics
            )
            pictures.append(picture)
            points = person.true_points(mesh)
            truth.append(view.project(points)[0])
            if visible is None:
                depth = renderer.surface(mesh.vertices, mesh.triangles, **view.optics).depth
                visible = seen(depth, view, points)
    assert visible is not None
    began = time.monotonic()
    found = list(carry(pictures, np.where(visible[:, None], truth[0], np.nan), DisFlow()))
    seconds = time.monotonic() - began
    error = np.stack([np.linalg.norm(one.position - true, axis=1) for one, true in zip(found, truth, strict=True)])
    followed = np.stack([one.followed for one in found])
    late = error[1:, visible]
    yield (
        f"{frames} frames of {side} pixels, {int(visible.sum())} points: {np.median(late):.2f} px median, of the last "
        f"frame {np.median(error[-1, visible]):.2f} px; {followed[1:, visible].mean():.0%} followed, those to "
        f"{np.median(error[1:][followed[1:]]):.2f} px; {seconds:.0f} s"
    )


def _performance(number: int, frames: int) -> dict[str, float]:
    """Speech, a smile, raised brows and two blinks."""
    phase = 2 * np.pi * number / max(frames - 1, 1)
    blink = sum(float(np.exp(-(((number / frames - at) * 24) ** 2))) for at in (1 / 3, 3 / 4))
    return {
        "jawOpen": 0.35 * _wave(2 * phase),
        "mouthSmileLeft": 0.7 * _wave(phase),
        "mouthSmileRight": 0.6 * _wave(phase),
        "browInnerUp": 0.8 * _wave(1.5 * phase),
        "browOuterUpLeft": 0.6 * _wave(1.5 * phase),
        "eyeBlinkLeft": blink,
        "eyeBlinkRight": blink,
    }


def _wave(angle: float) -> float:
    return float((1 - np.cos(angle)) / 2)


def main(
    data: Annotated[Path, typer.Argument(help="The folder of development data.")],
    cache: Annotated[Path, typer.Argument(help="Where the registered ICT head is kept.")],
    part: Annotated[str, typer.Option(help="registration, sequence or all.")] = "all",
) -> None:
    """Measure registration and carried landmarks."""
    cv2.setNumThreads(1)
    person = Person.drawn(data, cache)
    for name, lines in (("sequence", sequence), ("registration", registration)):
        if part in (name, "all"):
            for line in lines(person):
                typer.echo(line)


if __name__ == "__main__":
    typer.run(main)
