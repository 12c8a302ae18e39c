"""The witness's lesson on made-up people, and the performances that real ones are rendered with."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backend.alignment.landmarks.blendshapes import mirrored_scores
from backend.alignment.landmarks.point_sigma import load_point_sigma
from backend.alignment.landmarks.pose_bias import load_pose_bias
from backend.evaluation.benchmark import load_ict_head
from backend.fitting.action_witness import TOLD
from backend.head_model.opposed_actions import OPPOSED_ACTIONS
from backend.point_calibration.action_performances import PICTURES, Performed, drawn_weights, ict_strengths
from backend.point_calibration.action_witness import learn, mirror_image
from protocol.face_actions import ARKIT_ACTIONS

SMILES = [ARKIT_ACTIONS.index("mouthSmileLeft"), ARKIT_ACTIONS.index("mouthSmileRight")]
PUFF = ARKIT_ACTIONS.index("cheekPuff")


def person(number: int) -> Performed:
    """A face whose smile shows in its corners and in its score; its puffed cheeks show nowhere."""
    random = np.random.default_rng(number)
    weights = np.zeros((30, len(ARKIT_ACTIONS)), np.float32)
    weights[2:, SMILES] = random.uniform(size=(28, 2))
    weights[2:, PUFF] = random.uniform(size=28)
    mean = load_pose_bias().mean_points[:, :2]
    points = np.repeat(300 * mean[None], 30, axis=0) + random.normal(scale=3, size=mean.shape)
    points[:, [291, 61], 1] -= 40 * weights[:, SMILES]
    points += random.normal(scale=0.3, size=points.shape)
    scores = np.full(weights.shape, 0.1, np.float32)
    scores[:, SMILES] += 0.5 * weights[:, SMILES]
    return Performed(weights, scores, points.astype(np.float32), np.arange(30) < 2)


def test_what_shows_is_learnt_and_what_does_not_has_no_say() -> None:
    mirror = load_point_sigma().mirror
    table, good = learn([person(n) for n in range(10)], load_pose_bias().mean_points, mirror)
    assert good[SMILES].min() > 0.95 and table.sigma[SMILES].max() < 0.12
    assert np.isinf(table.sigma[PUFF]) and np.isinf(table.sigma_alone[PUFF])
    twice = mirror_image(mirror_image(person(0), mirror), mirror)
    np.testing.assert_allclose(twice.points, person(0).points)
    assert (table.weights.shape[1], len(table.sigma)) == (TOLD, TOLD)


def test_people_rest_first_and_never_contradict_themselves(shared_data: Path) -> None:
    weights, gaze = drawn_weights(np.random.default_rng(4))
    assert not weights[:2].any() and not gaze[:2].any() and weights[2:].any(axis=1).all()
    for pair in OPPOSED_ACTIONS:
        assert not np.minimum(*(weights[:, ARKIT_ACTIONS.index(name)] for name in pair)).any()
    ict = load_ict_head(shared_data / "ict" / "ict_facekit.npz")
    strengths = ict_strengths(ict, weights)
    names = list(ict.expression_names)
    inner = weights[:, ARKIT_ACTIONS.index("browInnerUp")]
    for side in ("_L", "_R"):
        np.testing.assert_array_equal(strengths[:, names.index("browInnerUp" + side)], inner)
    other = ict_strengths(ict, mirrored_scores(weights))
    smile = [names.index("mouthSmile_L"), names.index("mouthSmile_R")]
    np.testing.assert_array_equal(strengths[:, smile], other[:, smile[::-1]])
    assert strengths.shape == (PICTURES, len(names))
