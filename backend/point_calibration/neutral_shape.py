"""``python -m backend.point_calibration.neutral_shape ICT``: learn ``learned_neutral.npz`` from rendered people.

They are the people that the alignment network learns from: random identities of the open head and of ICT-FaceKit's
training modes, each in one picture, at rest or with a mild expression, turned a little. A ridge regression from where
MediaPipe's points lie to the open head's identity is learnt, from every picture and its mirror image, and told how well
it tells people whom it was not learnt from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.progress import track
from scipy.spatial import KDTree

from backend.alignment.landmarks.aligner import LandmarkAligner
from backend.alignment.landmarks.face_mesh import POINTS, box_around
from backend.alignment.landmarks.point_sigma import load_point_sigma
from backend.alignment.landmarks.pose_bias import load_pose_bias
from backend.fitting.action_witness import Seen
from backend.fitting.learned_neutral import COMPONENTS, TABLE, NeutralTable, identity_space
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel
from backend.head_model.rigid import similarity_between
from backend.training.synthetic.actors import Actor
from backend.training.synthetic.expressions import Performance, perform
from backend.training.synthetic.source import Shot, SyntheticSource
from backend.training.synthetic.views import draw_place, posed

F64 = NDArray[np.float64]

PEOPLE = 1200
FOLDS = 5
RIDGE = 3.0
"""3, 10 and 30 told 1200 people alike, each from the others: 1.127, 1.134 and 1.144 mm."""
TURN = np.deg2rad((14.0, 9.0, 5.0))  # one standard deviation of yaw, pitch and roll
AT_REST, MILD = 0.4, 0.6  # share of pictures without an expression; the most of any other's strength
DRESSED = 0.5  # share of people in glasses, hair and the like
SKINS = 24
_SEED = 77
_IDENTITY_BOUND = 2.5  # standard deviations of one mode, as in training
_LIMITS = np.deg2rad((38.0, 25.0, 30.0))
_STEPS = 6


@dataclass(frozen=True, eq=False)
class Pictured:
    """One person's picture: ``points (478,2)`` as the aligner sees them, and the identity (K,) on the open head."""

    points: F64
    identity: F64


def pictured(source: SyntheticSource, head: HeadModel, aligner: LandmarkAligner, person: int) -> Pictured | None:
    """Render and align one person, who follows from the number; None where the aligner sees no face."""
    random = np.random.default_rng([_SEED, person])
    number = int(random.integers(len(source.actors)))
    actor = source.actors[number]
    identity = np.clip(random.standard_normal(len(actor.modes)), -_IDENTITY_BOUND, _IDENTITY_BOUND)
    drawn = perform(random)
    strength = 0.0 if random.random() < AT_REST else random.uniform(0, MILD)
    yaw, pitch, roll = np.clip(random.normal(0, TURN), -_LIMITS, _LIMITS).tolist()
    shot = Shot(
        actor=number,
        identity=identity,
        performance=Performance((strength * drawn.strengths).astype(np.float32), drawn.gaze),
        pose=posed(yaw, pitch, roll, draw_place(random)),
        skin=int(random.integers(SKINS)),
    )
    sample = source.render(shot, person, random, dressed=random.random() < DRESSED)
    seen = aligner.align([sample.image], [box_around(sample.mu[-POINTS:].astype(np.float64))])[0]
    return None if seen is None else Pictured(seen.mu.astype(np.float64), identity_of(head, actor, identity))


def identity_of(head: HeadModel, actor: Actor, identity: F64) -> F64:
    """(K,) components of the open head that come nearest to an actor's neutral, in its face and ears, moved and turned.

    The rigid motion and the components are solved for in turns, weighted by the head's vertex weights.
    """
    target = actor.open_vertices.on(actor.neutral(identity))
    weight = head.vertex_weight * actor.open_vertices.known
    weight = np.where(head.vertex_weight > 0.05, weight, 0.0).astype(np.float64)
    template, basis = head.template.astype(np.float64), head.shape_basis[:COMPONENTS].astype(np.float64)
    root = np.sqrt(weight)[:, None]
    flat = (basis * root).reshape(len(basis), -1)
    form = flat @ flat.T
    found = np.zeros(len(basis))
    for _ in range(_STEPS):
        near = template + np.einsum("k,kvc->vc", found, basis)
        laid = similarity_between(target, near, weight, scaled=False).apply(target)
        found = np.linalg.solve(form, flat @ ((laid - template) * root).ravel())
    return found


def mirror_signs(head: HeadModel) -> F64:
    """(K,) 1 of identity components that are symmetric, -1 of those that change sign in the mirror.

    Raises ValueError for a head that is not its own mirror image.
    """
    template, basis = head.template.astype(np.float64), head.shape_basis[:COMPONENTS].astype(np.float64)
    distance, mirror = KDTree(template).query(template * (-1, 1, 1))
    reflected = basis[:, mirror] * (-1, 1, 1)
    signs = np.sign(np.einsum("kvc,kvc->k", reflected, basis))
    off = np.abs(reflected - signs[:, None, None] * basis).max()
    if max(distance.max(), off) > 1e-5:
        raise ValueError(f"the head {head.id} is not symmetric")
    return signs


def learn(people: Sequence[Pictured], mean_points: F64, mirror: NDArray[np.int64], signs: F64) -> NeutralTable:
    """The table, without ``identities`` and ``about``."""
    points = np.stack([person.points for person in people])
    points = np.concatenate([points, points[:, mirror] * (-1, 1)])
    identity = np.stack([person.identity for person in people])
    identity = np.concatenate([identity, identity * signs])
    moved = Seen.of(np.zeros((len(points), 0)), points, mean_points).moved.reshape(len(points), -1)
    usual, usual_identity = moved.mean(axis=0), identity.mean(axis=0)
    given = moved - usual
    form = given.T @ given + RIDGE * np.eye(given.shape[1])
    weights = np.linalg.solve(form, given.T @ (identity - usual_identity))
    return NeutralTable(mean_points, usual, usual_identity, weights, "", "")


def held_out_error(
    people: Sequence[Pictured], head: HeadModel, mean_points: F64, mirror: NDArray[np.int64], signs: F64
) -> tuple[float, float]:
    """RMS distance in mm, on the face and size taken out, from people's neutral shapes: of the head's mean, and of what
    is told of people whom it was not learnt from."""
    usual, told = [], []
    for fold in range(FOLDS):
        table = learn([p for n, p in enumerate(people) if n % FOLDS != fold], mean_points, mirror, signs)
        for person in people[fold::FOLDS]:
            seen = Seen.of(np.zeros((1, 0)), person.points[None], mean_points)
            usual.append(_distance(head, np.zeros(COMPONENTS), person.identity))
            told.append(_distance(head, table.identity(seen.moved[0]), person.identity))
    return float(np.mean(usual)), float(np.mean(told))


def _distance(head: HeadModel, one: F64, other: F64) -> float:
    face = head.regions["face"] & head.regions["skin"]
    a, b = (np.asarray(head.neutral(each)[face], np.float64) for each in (one, other))
    laid = similarity_between(a, b, np.ones(len(a)), scaled=True).apply(a)
    return 1e3 * float(np.sqrt(np.square(laid - b).sum(axis=1).mean()))


def measure(
    ict: Annotated[Path, typer.Argument(help="ICT-FaceKit's archive, ict_facekit.npz.")],
    out: Annotated[Path, typer.Option(help="Where the table goes.")] = TABLE,
    people: Annotated[int, typer.Option(help="How many people to render.")] = PEOPLE,
    cache: Annotated[Path | None, typer.Option(help="Folder of registered heads; the system's where left out.")] = None,
) -> None:
    """Render the people, learn the table and say how well it tells people whom it was not learnt from."""
    head, aligner = load_head("open"), LandmarkAligner()
    with SyntheticSource(ict, cache=cache) as source:
        seen = [pictured(source, head, aligner, person) for person in track(range(people), "rendering")]
    kept = [one for one in seen if one is not None]
    how = load_pose_bias().mean_points, load_point_sigma().mirror, mirror_signs(head)
    usual, told = held_out_error(kept, head, *how)
    about = (
        f"{len(kept)} rendered people, one picture each: random identities of the open head and of ICT-FaceKit's "
        f"training modes; of people held out ({FOLDS} folds) {told:.2f} mm RMS on the face, the mean head {usual:.2f}"
    )
    replace(learn(kept, *how), identities=identity_space(head), about=about).save(out)
    print(f"{about}; {out}")


if __name__ == "__main__":
    typer.run(measure)
