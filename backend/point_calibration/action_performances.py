"""Rendered people of the dev split who perform known action weights, and what the aligner says of each picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.alignment.landmarks.aligner import LandmarkAligner
from backend.alignment.landmarks.face_finder import BlazeFaceFinder
from backend.evaluation.benchmark import BenchmarkHead
from backend.evaluation.benchmark.head import EYES, NECK_PIVOT, FaceMotion, camera_vertices
from backend.evaluation.benchmark.scene import Scene, make_scene
from backend.evaluation.benchmark.studio import Studio
from backend.head_model.opposed_actions import OPPOSED_ACTIONS
from backend.observations import Alignment
from backend.point_calibration.rendered_heads import dev_person
from backend.synthesis.performance import FACING_CAMERA
from backend.training.synthetic.expressions import perform
from protocol.face_actions import ARKIT_ACTIONS

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

PICTURES = 44  # of each person, the first two at rest
AT_REST = 2
TURN = np.deg2rad((18.0, 12.0))  # one standard deviation of yaw and pitch
_ONE_SIDE = 0.3  # how often an action of two sides acts on one of them alone


@dataclass(frozen=True, eq=False)
class Performed:
    """One person's T pictures in which a face was seen: ``weights`` and ``scores (T,52)``, ``points (T,478,2)``,
    ``resting (T,)`` bool."""

    weights: F32
    scores: F32
    points: F32
    resting: NDArray[np.bool_]


def performed(ict: BenchmarkHead, person: int, aligner: LandmarkAligner, finder: BlazeFaceFinder) -> Performed:
    """Render and align one person, whose looks and performance follow from the number."""
    spec = dev_person(person, PICTURES)
    random = spec.random("actions")
    scene, neutral = make_scene(spec), ict.neutral(spec.identity(len(ict.identity_basis)))
    weights, gaze = drawn_weights(random)
    motion = _motion(ict, neutral, scene, weights, gaze, random)
    eyes = (ict.groups[EYES[0]], ict.groups[EYES[1]])
    found: list[Alignment | None] = []
    with Studio(spec, ict, scene, PICTURES) as studio:
        posed = camera_vertices(neutral, ict.expression_basis, eyes, ict.follows_head, motion)
        for number, vertices in enumerate(posed):
            picture = studio.grained(studio.picture(vertices), number)
            found += aligner.align([picture], finder.find(picture)[:1] or [None])
    kept = [(t, seen) for t, seen in enumerate(found) if seen is not None]
    index = [t for t, _ in kept]
    return Performed(
        weights=weights[index],
        scores=np.array([seen.action_scores for _, seen in kept], np.float32).reshape(-1, len(ARKIT_ACTIONS)),
        points=np.array([seen.mu for _, seen in kept], np.float32).reshape(len(index), -1, 2),
        resting=np.arange(PICTURES)[index] < AT_REST,
    )


def drawn_weights(random: np.random.Generator) -> tuple[F32, F32]:
    """Weights (PICTURES,52) and gaze (PICTURES,2,2): at rest, then single actions, training's faces, two at once."""
    weights = np.zeros((PICTURES, len(ARKIT_ACTIONS)), np.float32)
    gaze = np.zeros((PICTURES, 2, 2), np.float32)
    for number in range(AT_REST, PICTURES):
        kind = number % 3
        if kind == 0:
            weights[number] = _single(random)
            continue
        drawn = [perform(random) for _ in range(kind)]
        together = np.max([one.strengths for one in drawn], axis=0)
        looks = ["Look" in name for name in ARKIT_ACTIONS]
        together[looks] = drawn[0].strengths[looks]
        weights[number], gaze[number] = without_opposites(together), drawn[0].gaze
    return weights, gaze


def _single(random: np.random.Generator) -> F32:
    alone = np.zeros(len(ARKIT_ACTIONS), np.float32)
    name = str(random.choice([name for name in ARKIT_ACTIONS if "Look" not in name]))
    alone[ARKIT_ACTIONS.index(name)] = strength = random.uniform(0.2, 1.0)
    swapped = name.replace("Left", "Right") if name.endswith("Left") else name.replace("Right", "Left")
    opposed = (name, swapped) in OPPOSED_ACTIONS or (swapped, name) in OPPOSED_ACTIONS
    if not opposed and random.random() > _ONE_SIDE:
        alone[ARKIT_ACTIONS.index(swapped)] = strength
    return alone


def without_opposites(weights: NDArray[Any]) -> F32:
    """Weights (52,) of which the weaker of two opposed actions is off."""
    kept = np.array(weights, np.float32)
    for pair in OPPOSED_ACTIONS:
        one, other = (ARKIT_ACTIONS.index(name) for name in pair)
        kept[one if kept[one] < kept[other] else other] = 0
    return kept


def ict_strengths(ict: BenchmarkHead, weights: F32) -> F32:
    """ARKit weights (T,52) as strengths (T,K) of ICT's actions, of which some have two sides where ARKit's have one."""
    names = list(ict.expression_names)
    strengths = np.zeros((len(weights), len(names)), np.float32)
    for column, name in enumerate(ARKIT_ACTIONS):
        own = name.replace("Left", "_L") if name.endswith("Left") else name.replace("Right", "_R")
        for candidate in {name, own, f"{name}_L", f"{name}_R"} & set(names):
            strengths[:, names.index(candidate)] = weights[:, column]
    return strengths


def _motion(
    ict: BenchmarkHead, neutral: F32, scene: Scene, weights: F32, gaze: F32, random: np.random.Generator
) -> FaceMotion:
    turns = random.normal(size=(len(weights), 2)) * TURN
    turns[:AT_REST] = 0
    rotation = FACING_CAMERA * Rotation.from_euler("YX", turns * (1, -1))
    pivot = np.array(NECK_PIVOT)
    base = np.array(scene.place) + FACING_CAMERA.apply(pivot - neutral[ict.narrow_face].mean(axis=0))
    return FaceMotion(
        expression=ict_strengths(ict, weights),
        gaze=gaze,
        rotation=rotation.as_matrix(),
        translation=base - rotation.apply(pivot),
        trunk_rotation=FACING_CAMERA.as_matrix(),
        trunk_translation=base - FACING_CAMERA.apply(pivot),
    )
