"""The numbers of a splice: weights at the borders, rotations between rotations, and keys that stay as they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given as examples
from hypothesis import settings as effort
from hypothesis import strategies as st
from mathutils import Quaternion

from blender_addon.keys import Keys, joined
from blender_addon.scene import axes, splice
from blender_addon.scene.splice import Part

ANGLES = st.lists(st.floats(-3.1, 3.1), min_size=3, max_size=3)


def test_a_run_takes_over_smoothly_at_both_borders() -> None:
    share = splice.weights(40, Part(30, 69, before=True, after=True))
    assert (share[4:-4] == 1).all() and np.array_equal(share, share[::-1])
    assert (np.diff(share[:5]) > 0).all() and 0 < share[0] < 0.2
    assert np.diff([0, *share[:4], 1]).max() < 0.35, "no step is a jump"


@pytest.mark.parametrize(("before", "after"), [(True, False), (False, True), (False, False)])
def test_where_the_take_ends_the_new_run_is_whole(before: bool, after: bool) -> None:
    share = splice.weights(12, Part(1, 12, before=before, after=after))
    assert (share[0] < 1) == before and (share[-1] < 1) == after


@pytest.mark.parametrize("count", [1, 2, 3, 5, 11])
def test_most_of_a_short_run_is_new(count: int) -> None:
    share = splice.weights(count, Part(1, count, before=True, after=True))
    assert len(share) == count and (share == 1).sum() >= max(1, count // 3)


def test_keys_outside_are_found_by_their_frames() -> None:
    frames = np.arange(1.0, 101.0)
    before, after = splice.outside(frames, Part(30, 40, before=True, after=True))
    assert frames[before].tolist() == list(range(1, 30)) and frames[after].tolist() == list(range(41, 101))
    assert splice.outside(frames, Part(200, 210, before=True, after=False)) == (slice(0, 100), slice(100, 100))
    left, right = frames[before], frames[after]
    pieces = [Keys({"co": np.stack([part, part], axis=1), "type": part.astype(int)}) for part in (left, right)]
    assert joined(*pieces).frames.tolist() == [*left, *right]


def test_a_curve_that_was_thinned_out_is_held_up_to_the_part() -> None:
    part = Part(30, 40, before=True, after=True)
    dense = np.arange(1.0, 101.0)
    assert [len(bare) for bare in splice.left_bare(dense, part, 1.0)] == [0, 0]
    left, right = splice.left_bare(np.array([10.0, 35.0, 44.0]), part, 1.0)
    assert left.tolist() == list(range(11, 30)) and right.tolist() == [41, 42, 43]
    left, right = splice.left_bare(np.array([35.0]), part, 1.0)
    assert left.tolist() == [29] and right.tolist() == [41]
    left, right = splice.left_bare(np.array([35.0]), Part(30, 40, before=False, after=False), 1.0)
    assert len(left) == len(right) == 0


@examples(ANGLES, ANGLES, st.floats(0, 1))
@effort(max_examples=60, deadline=None)
def test_rotations_turn_the_shortest_way(one: list[float], other: list[float], share: float) -> None:
    """Blender's own slerp is the judge."""
    start, end = (Quaternion(vector, float(np.linalg.norm(vector))) for vector in (one, other))
    if start.dot(end) < 0:
        end.negate()
    if start.dot(end) < 0.05:
        return  # half a turn apart, either way is as short
    matrices = [np.array(q.to_matrix(), np.float64)[None] for q in (start, end)]
    got = splice.turned(matrices[0], matrices[1], np.array([share]))[0]
    expected = np.array(start.slerp(end, share).to_matrix())
    assert np.abs(got - expected).max() < 1e-3
    assert np.abs(got @ got.T - np.eye(3)).max() < 1e-9


@examples(ANGLES)
@effort(max_examples=60, deadline=None)
def test_quaternions_are_those_of_the_matrices(vector: list[float]) -> None:
    matrix = np.array(Quaternion(vector, float(np.linalg.norm(vector))).to_matrix(), np.float64)[None]
    assert np.abs(splice.matrices(axes.rotation_values(matrix, "QUATERNION")) - matrix).max() < 1e-5
