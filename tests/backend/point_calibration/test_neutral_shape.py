"""The lesson of the learned neutral on made-up people, and identities carried to the open head."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from backend.alignment.landmarks.point_sigma import load_point_sigma
from backend.alignment.landmarks.pose_bias import load_pose_bias
from backend.fitting.action_witness import Seen
from backend.fitting.learned_neutral import COMPONENTS
from backend.head_model.library import load_head
from backend.head_model.model import surface_positions
from backend.point_calibration.neutral_shape import Pictured, held_out_error, identity_of, learn, mirror_signs
from backend.training.synthetic.actors import OpenVertices, make_actor


@pytest.fixture(scope="module")
def how():  # type: ignore[no-untyped-def]
    return load_pose_bias().mean_points, load_point_sigma().mirror, mirror_signs(load_head("open"))


def pictured(number: int) -> Pictured:
    """Somebody of three kinds of shape, turned and somewhere, with points that lie on the head to half a pixel."""
    head, random = load_head("open"), np.random.default_rng(number)
    identity = np.zeros(COMPONENTS)
    identity[:3] = random.normal(size=3)
    neutral = head.neutral(identity)
    points = surface_positions(head.landmarks["mediapipe478"], head.triangles, neutral).astype(np.float64)
    seen = points @ Rotation.from_euler("YX", random.normal(scale=0.1, size=2)).as_matrix().T * (1, -1, -1)
    mu = 4000 * seen[:, :2] / (seen[:, 2:] + 1.0) + random.uniform(200, 400, 2)
    return Pictured(mu + random.normal(scale=0.5, size=mu.shape), identity)


def test_what_points_show_is_learnt_and_the_mirror_image_is_the_mirrored_person(how) -> None:  # type: ignore[no-untyped-def]
    mean_points, mirror, signs = how
    people = [pictured(n) for n in range(60)]
    usual, told = held_out_error(people, load_head("open"), *how)
    assert told < 0.5 * usual
    table = learn(people, mean_points, mirror, signs)
    somebody = pictured(100)
    both = np.stack([somebody.points, somebody.points[mirror] * (-1, 1)])
    one, other = table.identity(Seen.of(np.zeros((2, 0)), both, mean_points).moved)
    np.testing.assert_allclose(other, one * signs, atol=0.02)


def test_an_actor_of_the_open_head_is_its_own_identity() -> None:
    head = load_head("open")
    actor = make_actor("open", head, OpenVertices.of_itself(head), np.arange(COMPONENTS))
    identity = np.random.default_rng(3).normal(size=COMPONENTS)
    np.testing.assert_allclose(identity_of(head, actor, identity), identity, atol=0.05)


def test_signs_say_which_components_are_symmetric(how) -> None:  # type: ignore[no-untyped-def]
    signs = how[2]
    assert set(signs.tolist()) == {-1.0, 1.0} and (signs > 0).sum() > COMPONENTS / 2
