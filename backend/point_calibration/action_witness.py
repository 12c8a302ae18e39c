"""``python -m backend.point_calibration.action_witness ICT``: learn ``action_witness.npz`` from rendered people.

They are people of the dev split with known action weights (``action_performances``), every picture seen as its mirror
image, too. A ridge regression from what ``backend.fitting.action_witness`` looks at to the weights is learnt, and how
far it is off on people whom it was not learnt from is each action's σ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.progress import track

from backend.alignment.landmarks.aligner import LandmarkAligner
from backend.alignment.landmarks.blendshapes import mirrored_scores
from backend.alignment.landmarks.face_finder import BlazeFaceFinder
from backend.alignment.landmarks.point_sigma import load_point_sigma
from backend.alignment.landmarks.pose_bias import load_pose_bias
from backend.evaluation.benchmark import load_ict_head
from backend.fitting.action_witness import TABLE, TOLD, Seen, WitnessTable
from backend.point_calibration.action_performances import Performed, performed
from protocol.face_actions import ARKIT_ACTIONS

F64 = NDArray[np.float64]

PEOPLE = 100
FOLDS = 5
RIDGE = 3.0
"""1, 3 and 10 told 60 people alike, each from the others: 0.63, 0.63, 0.62 in correlation."""
LEAST_CORRELATION = 0.3
"""Actions told less well (jawForward) have no say."""


def mirror_image(person: Performed, mirror: NDArray[np.int64]) -> Performed:
    """The same pictures mirrored."""
    return Performed(
        weights=mirrored_scores(person.weights),
        scores=mirrored_scores(person.scores),
        points=person.points[:, mirror] * np.array((-1, 1), np.float32),
        resting=person.resting,
    )


def learn(people: Sequence[Performed], mean_points: F64, mirror: NDArray[np.int64]) -> tuple[WitnessTable, F64]:
    """The table (without ``about``), and how well held-out people's weights were told: correlations (A,)."""
    both = [*people, *(mirror_image(person, mirror) for person in people)]
    seen = [Seen.of(one.scores[:, :TOLD], one.points, mean_points) for one in both]
    resting_scores = np.concatenate([s.scores[p.resting] for s, p in zip(seen, both, strict=True)])
    resting_points = np.concatenate([s.moved[p.resting] for s, p in zip(seen, both, strict=True)])
    usual, neutral = np.median(resting_scores, axis=0), resting_points.mean(axis=0)
    own = [one.features_of_take(usual) for one in seen]
    alone = [one.features(usual, neutral) for one in seen]
    truth = [one.weights[:, :TOLD].astype(np.float64) for one in both]
    fold = np.arange(len(both)) % len(people) % FOLDS
    off, off_alone, told = [], [], []
    for part in range(FOLDS):
        taught = np.flatnonzero(fold != part)
        weights = regression([own[k] for k in taught], [truth[k] for k in taught])
        for k in np.flatnonzero(fold == part):
            told.append((np.clip(own[k] @ weights, 0, 1), truth[k]))
            off.append(told[-1][0] - truth[k])
            off_alone.append(np.clip(alone[k] @ weights, 0, 1) - truth[k])
    said, true = (np.concatenate(each) for each in zip(*told, strict=True))
    good = np.array([np.corrcoef(said[:, k], true[:, k])[0, 1] if said[:, k].any() else 0.0 for k in range(TOLD)])
    sigma, sigma_alone = (np.sqrt(np.square(np.concatenate(each)).mean(axis=0)) for each in (off, off_alone))
    known = good >= LEAST_CORRELATION
    table = WitnessTable(
        mean_points=mean_points,
        neutral_points=neutral,
        usual_scores=usual,
        weights=regression(own, truth),
        sigma=np.where(known, sigma, np.inf),
        sigma_alone=np.where(known, sigma_alone, np.inf),
        about="",
    )
    return table, good


def regression(features: Sequence[F64], truth: Sequence[F64]) -> F64:
    """(F,A) ridge regression's weights."""
    given, wanted = np.concatenate(features), np.concatenate(truth)
    ridge = RIDGE * np.eye(given.shape[1])
    return np.linalg.solve(given.T @ given + ridge, given.T @ wanted)


def measure(
    ict: Annotated[Path, typer.Argument(help="ICT-FaceKit's archive, ict_facekit.npz.")],
    out: Annotated[Path, typer.Option(help="Where the table goes.")] = TABLE,
    people: Annotated[int, typer.Option(help="How many people to render.")] = PEOPLE,
) -> None:
    """Render the people, learn the table and say how well it tells people whom it was not learnt from."""
    head, aligner, finder = load_ict_head(ict), LandmarkAligner(), BlazeFaceFinder()
    seen = [performed(head, person, aligner, finder) for person in track(range(people), "rendering")]
    table, good = learn(seen, load_pose_bias().mean_points, load_point_sigma().mirror)
    pictures = sum(len(one.weights) for one in seen)
    about = f"{pictures} pictures of {people} rendered people of the dev split (ICT-FaceKit); {FOLDS} folds of people"
    replace(table, about=about).save(out)
    for name, correlation, sigma in zip(ARKIT_ACTIONS, good, table.sigma, strict=False):
        print(f"{name:20s} correlation {correlation:.2f}  σ {sigma:.3f}")
    print(f"mean {good.mean():.3f}; {out}")


if __name__ == "__main__":
    typer.run(measure)
