"""ARKit-52 weights of any head: known mixtures come back, optimality holds, gaze and blinks land where they belong."""

from __future__ import annotations

import dataclasses
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from backend.head_model.action_weights import LIP_GAP, LIP_PAIRS, box_least_squares, look_weights, solve_action_weights
from backend.head_model.gaze import FULL_LOOK_ANGLE
from backend.head_model.library import load_head
from backend.head_model.lids import lid_closure
from backend.head_model.model import HeadModel, surface_positions
from protocol.face_actions import ARKIT_ACTIONS

FloatArray = NDArray[np.float64]
COUNT = len(ARKIT_ACTIONS)


def named(rows: list[str]) -> list[int]:
    return [ARKIT_ACTIONS.index(name) for name in rows]


@pytest.fixture(scope="module")
def rotation() -> FloatArray:
    """The mixture of the actions (columns) that makes the mixed head's expressions (rows); orthogonal."""
    return np.linalg.qr(np.random.default_rng(7).normal(size=(COUNT, COUNT)))[0]


@pytest.fixture(scope="module")
def mixed_head(rotation: FloatArray) -> HeadModel:
    """The open head with nameless expressions, each a mixture of all actions, as a statistical model has them."""
    head = load_head("open")
    return dataclasses.replace(
        head,
        id="mixed",
        expression_basis=np.einsum("ka,avc->kvc", rotation, head.expression_basis).astype(np.float32),
        expression_names=tuple(f"expression_{k:03d}" for k in range(COUNT)),
        action_names=ARKIT_ACTIONS,
        action_basis=head.expression_basis,
    )


LOOKS = [k for k, name in enumerate(ARKIT_ACTIONS) if name.startswith("eyeLook")]


def sparse_weights(frames: int, seed: int = 0) -> FloatArray:
    """A quarter of the actions at any strength, of opposed ones only one; eyes look ahead."""
    rng = np.random.default_rng(seed)
    weights = np.where(rng.uniform(size=(frames, COUNT)) < 0.25, rng.uniform(size=(frames, COUNT)), 0.0)
    for one, other in (("mouthLeft", "mouthRight"), ("jawLeft", "jawRight")):
        first, second = ARKIT_ACTIONS.index(one), ARKIT_ACTIONS.index(other)
        weights[:, second] = np.where(weights[:, first] > 0, 0.0, weights[:, second])
    weights[:, LOOKS] = 0.0
    return weights


def test_a_head_of_arkit_actions_keeps_its_own_coefficients() -> None:
    head = load_head("open")
    shuffled = np.random.default_rng(3).permutation(COUNT)
    other = dataclasses.replace(
        head,
        expression_basis=head.expression_basis[shuffled],
        expression_names=tuple(head.expression_names[k] for k in shuffled),
    )
    weights = sparse_weights(5).astype(np.float32)
    gaze = np.full((5, 2, 2), 0.3)
    np.testing.assert_array_equal(solve_action_weights(head, weights, gaze), weights)
    np.testing.assert_array_equal(solve_action_weights(other, weights[:, shuffled], gaze), weights)


def test_known_mixtures_of_actions_come_back(mixed_head: HeadModel, rotation: FloatArray) -> None:
    """With gaze as well: what the looking lids do is accounted for."""
    weights = sparse_weights(200)
    gaze = np.random.default_rng(6).uniform(-0.5, 0.5, (200, 2, 2))
    for name, values in look_weights(gaze).items():
        weights[:, ARKIT_ACTIONS.index(name)] = values
    found = solve_action_weights(mixed_head, weights @ rotation.T, gaze)
    assert found.dtype == np.float32
    assert np.abs(found - weights).max() < 0.03
    assert np.abs(found - weights).mean() < 0.001


def test_each_single_action_lands_on_itself(mixed_head: HeadModel, rotation: FloatArray) -> None:
    others = [k for k in range(COUNT) if k not in LOOKS]
    found = solve_action_weights(mixed_head, rotation.T[others])[:, others]
    assert np.diag(found).min() > 0.98
    assert (found - np.diag(np.diag(found))).max() < 0.02


def test_beyond_what_actions_can_do_the_closest_shape_is_found(mixed_head: HeadModel) -> None:
    """Offsets far outside 0…1: as near to them, vertex by vertex, as scipy's bounded least squares comes."""
    expression = np.random.default_rng(5).normal(size=(4, COUNT)) * 1.5
    found = solve_action_weights(mixed_head, expression)
    assert found.min() >= 0.0 and found.max() <= 1.0
    still = mixed_head.regions["left_eyeball"] | mixed_head.regions["right_eyeball"]
    weight = np.where(still, 0, mixed_head.vertex_weight)

    def rows(fields: NDArray[Any]) -> FloatArray:
        lips = surface_positions(mixed_head.landmarks["mediapipe478"], mixed_head.triangles, fields)
        upper, lower = np.array(LIP_PAIRS).T
        gaps = np.sqrt(LIP_GAP * weight.sum()) * (lips[:, upper] - lips[:, lower])
        vertices = fields * np.sqrt(weight)[:, None]
        return np.concatenate([vertices.reshape(len(fields), -1), gaps.reshape(len(fields), -1)], axis=1)

    actions = rows(mixed_head.action_basis).T
    targets = rows(np.einsum("tk,kvc->tvc", expression, mixed_head.expression_basis))
    for target, row in zip(targets, found, strict=True):
        fixed = [*LOOKS, *named(["eyeBlinkLeft", "eyeBlinkRight"])]
        left = target - actions[:, fixed] @ row[fixed]
        best = lsq_linear(np.delete(actions, fixed, axis=1), left, (0, 1), method="bvls")
        assert 0.5 * np.sum((actions @ row - target) ** 2) <= best.cost * 1.001
        assert np.sqrt(2 * best.cost / np.sum(target**2)) > 0.3


def test_gaze_gives_the_eye_looks_and_the_lids_are_not_taken_for_blinks(
    mixed_head: HeadModel, rotation: FloatArray
) -> None:
    """Looking down lowers the lids by the looks' own offsets; a half closed lid on top is half a blink."""
    weights = np.zeros((3, COUNT))
    weights[:, named(["eyeLookDownLeft", "eyeLookDownRight"])] = [[0.6, 0.6], [0.6, 0.6], [0.0, 0.0]]
    weights[1, named(["eyeBlinkLeft", "eyeBlinkRight"])] = 0.5
    gaze = np.zeros((3, 2, 2))
    gaze[:2, :, 1] = -0.6 * FULL_LOOK_ANGLE
    gaze[2] = [[2.0, 0.0], [0.4 * FULL_LOOK_ANGLE, 0.5 * FULL_LOOK_ANGLE]]
    found = solve_action_weights(mixed_head, weights @ rotation.T, gaze)
    np.testing.assert_allclose(found[:2], weights[:2], atol=0.01)
    looks = ["eyeLookOutLeft", "eyeLookInLeft", "eyeLookInRight", "eyeLookOutRight", "eyeLookUpRight"]
    np.testing.assert_allclose(found[2, named(looks)], [1.0, 0.0, 0.4, 0.0, 0.5], atol=1e-6)


def test_closed_lids_come_out_as_blinks(mixed_head: HeadModel, rotation: FloatArray) -> None:
    """Also amid a smile and an open mouth, when only one eye closes, and when the shape closes it by other means."""
    weights = np.zeros((3, COUNT))
    weights[0, named(["eyeBlinkLeft", "eyeBlinkRight", "mouthSmileLeft", "mouthSmileRight"])] = [1, 1, 0.7, 0.7]
    weights[1, named(["eyeBlinkRight", "jawOpen"])] = [1, 0.5]
    weights[2, named(["eyeBlinkRight", "eyeLookDownRight", "eyeLookInRight"])] = [0.4, 0.8, 0.8]
    found = solve_action_weights(mixed_head, weights @ rotation.T, np.zeros((3, 2, 2)))
    blinks = found[:, named(["eyeBlinkLeft", "eyeBlinkRight"])]
    closure = lid_closure(mixed_head)
    assert closure is not None
    np.testing.assert_allclose(blinks[:2], [[1, 1], [0, 1]], atol=0.02)
    assert blinks[2, 1] == pytest.approx((closure @ rotation @ weights[2])[1], abs=0.03)


def test_closed_lips_stay_closed(mixed_head: HeadModel) -> None:
    """A jaw that drops behind sealed lips, with a shape that no action has on top: the weights seal them too."""
    rng = np.random.default_rng(8)
    open_jaw = mixed_head.action_basis[ARKIT_ACTIONS.index("jawOpen")]
    sealed = 0.6 * (open_jaw + mixed_head.action_basis[ARKIT_ACTIONS.index("mouthClose")])
    other = 0.004 * np.cos(mixed_head.template @ rng.normal(size=(3, 3)) * 60)  # smooth, over 1 to 3 cm
    head = dataclasses.replace(
        mixed_head,
        expression_basis=(sealed + other)[None].astype(np.float32),
        expression_names=("expression_000",),
        expression_bounds=np.array([[-np.inf, np.inf]], np.float32),
    )
    weights = solve_action_weights(head, np.ones((1, 1)))[0]
    result = np.tensordot(weights, mixed_head.action_basis, 1)
    apart = [lip_gap(mixed_head, offsets) for offsets in (0.6 * open_jaw, sealed + other, result)]
    assert apart[0] > 0.01
    assert abs(apart[2] - apart[1]) < 0.001


def lip_gap(head: HeadModel, offsets: NDArray[np.float32]) -> float:
    """The distance by which the middles of the inner lips are further apart, metres."""
    lips = surface_positions(head.landmarks["mediapipe478"], head.triangles, offsets)[[13, 14]]
    return float(np.linalg.norm(lips[0] - lips[1]))


def test_a_mirrored_expression_gives_mirrored_weights(mixed_head: HeadModel, rotation: FloatArray) -> None:
    """The open head's actions mirror each other, so what is done left comes out left and as strong as on the right."""
    left = named(["mouthSmileLeft", "browDownLeft", "mouthLeft", "eyeSquintLeft"])
    right = named(["mouthSmileRight", "browDownRight", "mouthRight", "eyeSquintRight"])
    weights = np.zeros((2, COUNT))
    weights[0, left] = weights[1, right] = [0.8, 0.5, 0.4, 0.6]
    found = solve_action_weights(mixed_head, weights @ rotation.T)
    np.testing.assert_allclose(found[0, left], found[1, right], atol=0.01)
    np.testing.assert_allclose(found[0, left], weights[0, left], atol=0.02)


def test_actions_that_a_head_lacks_stay_zero(mixed_head: HeadModel, rotation: FloatArray) -> None:
    kept = [k for k, name in enumerate(ARKIT_ACTIONS) if name not in {"tongueOut", "cheekPuff"}]
    head = dataclasses.replace(
        mixed_head,
        action_names=tuple(ARKIT_ACTIONS[k] for k in kept)[::-1],
        action_basis=mixed_head.action_basis[kept][::-1],
    )
    weights = np.zeros((1, COUNT))
    weights[0, named(["jawOpen", "tongueOut"])] = [0.5, 1.0]
    found = solve_action_weights(head, weights @ rotation.T)[0]
    assert found[named(["tongueOut", "cheekPuff"])].tolist() == [0.0, 0.0]
    assert found[ARKIT_ACTIONS.index("jawOpen")] == pytest.approx(0.5, abs=0.02)


def test_no_frames_and_wrong_shapes(mixed_head: HeadModel) -> None:
    assert solve_action_weights(mixed_head, np.zeros((0, COUNT)), np.zeros((0, 2, 2))).shape == (0, COUNT)
    with pytest.raises(ValueError, match=r"\(3, 7\)"):
        solve_action_weights(mixed_head, np.zeros((3, 7)))
    with pytest.raises(ValueError, match=r"\(2, 2, 2\)"):
        solve_action_weights(mixed_head, np.zeros((3, COUNT)), np.zeros((2, 2, 2)))


def test_the_bounded_solver_agrees_with_scipy() -> None:
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(90, 30)) @ np.diag(10.0 ** rng.uniform(-3, 1, 30))
    targets = rng.normal(size=(6, 90)) * 3
    found = box_least_squares(matrix.T @ matrix, targets @ matrix)
    for target, row in zip(targets, found, strict=True):
        np.testing.assert_allclose(row, lsq_linear(matrix, target, (0, 1), method="bvls", tol=1e-14).x, atol=1e-6)


SHAPES = st.integers(1, 12).flatmap(
    lambda count: st.tuples(
        hnp.arrays(np.float64, (count + 3, count), elements=st.floats(-2, 2, width=32)),
        hnp.arrays(np.float64, (4, count), elements=st.floats(-50, 50, width=32)),
    )
)


@settings(max_examples=150, deadline=None)
@given(SHAPES)
def test_the_bounded_solver_meets_the_optimality_conditions(problem: tuple[NDArray[Any], NDArray[Any]]) -> None:
    matrix, linear = problem
    curvature = matrix.T @ matrix + 1e-3 * np.eye(matrix.shape[1])
    found = box_least_squares(curvature, linear)
    gradient = found @ curvature - linear
    slack = 1e-6 * (1 + np.abs(linear).max() + np.abs(curvature).max())
    assert found.min() >= 0 and found.max() <= 1
    assert np.all(gradient[found <= 0] >= -slack)
    assert np.all(gradient[found >= 1] <= slack)
    inside = (found > 1e-7) & (found < 1 - 1e-7)
    assert np.all(np.abs(gradient[inside]) <= slack)


@pytest.mark.parametrize("lowest", [1e-14, -1.0])
def test_a_problem_without_a_single_answer_still_ends_where_no_weight_can_improve(lowest: float) -> None:
    """Identical actions leave their shares open; worse conditioned still, pivoting alone would go round in circles."""
    rng = np.random.default_rng(4)
    matrix = rng.normal(size=(20, 12))
    matrix[:, 6:] = matrix[:, :6]
    curvature = matrix.T @ matrix + lowest * np.eye(12)
    linear = rng.normal(size=(300, 20)) @ matrix * 3.0
    found = box_least_squares(curvature, linear)
    assert found.min() >= 0 and found.max() <= 1
    step = found - np.clip(found - (found @ curvature - linear) / np.diag(curvature), 0, 1)
    assert np.abs(step).max() < 1e-6
