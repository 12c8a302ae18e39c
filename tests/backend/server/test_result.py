"""The result that Blender gets of a track: this person's head, whole and in its parts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from backend.errors import UserError
from backend.export.blender import take_result, triangle_parts
from protocol.arrays import declared
from protocol.take import Performance
from protocol.take_codec import take_from_wire, take_to_wire
from tests.backend.heads import small_head
from tests.backend.track.test_io import small_track


def track_of(head, frames=4):
    track = small_track(frames)
    random = np.random.default_rng(1)
    return dataclasses.replace(
        track,
        head_id=head.id,
        head_hash=head.hash,
        identity=random.normal(size=len(head.shape_basis)).astype(np.float32),
        expression=random.uniform(size=(frames, len(head.expression_names))).astype(np.float32),
        deformation=random.normal(size=head.template.shape).astype(np.float32),
        expression_sigma=np.zeros((0, 0), np.float32),
        action_corrections=(0.01 * random.normal(size=head.expression_basis.shape)).astype(np.float16),
    )


def test_the_head_is_this_persons():
    head = small_head()
    track = track_of(head)
    take = take_result(track, head, "a name", {"frames": 4})
    expected = head.template + np.tensordot(track.identity, head.shape_basis, 1) + track.deformation
    np.testing.assert_allclose(take.head.neutral, expected, atol=1e-5)
    np.testing.assert_allclose(take.head.joints, head.joint_regressor @ expected, atol=1e-5)
    personal = head.expression_basis + track.action_corrections.astype(np.float32)
    np.testing.assert_array_equal(take.head.expression_deltas, personal)
    assert take.name == "a name" and take.report == {"frames": 4}
    assert take.cameras == track.cameras and take.action_names == track.action_names


@pytest.mark.parametrize("name", declared(Performance))
def test_every_array_of_the_performance_comes_along(name):
    track = track_of(small_head())
    np.testing.assert_array_equal(getattr(take_result(track, small_head(), "t", {}), name), getattr(track, name))


def test_it_can_travel():
    head = small_head()
    take = take_result(track_of(head), head, "t", {})
    fields, arrays = take_to_wire(take)
    np.testing.assert_array_equal(take_from_wire(fields, arrays).head.skinning_weights, head.skinning_weights)


def test_triangles_know_their_material_and_absent_ones_get_no_slot():
    names, part = triangle_parts(small_head())
    assert names == ("skin", "eyes", "teeth", "tongue")
    assert [names[p] for p in part] == ["skin", "skin", "eyes", "eyes", "teeth", "tongue", "skin"]


def test_a_head_that_changed_since_is_refused():
    head = small_head()
    for changes in (
        {"head_hash": "f" * 16},
        {"deformation": np.zeros((3, 3), np.float32)},
        {"action_corrections": np.ones((len(head.expression_names), 3, 3), np.float16)},
    ):
        track = dataclasses.replace(track_of(head), **changes)
        with pytest.raises(UserError, match="has changed") as caught:
            take_result(track, head, "t", {})
        assert caught.value.code == "head_changed"


def test_a_track_without_deformation_keeps_the_heads_own_neutral():
    head = small_head()
    track = dataclasses.replace(track_of(head), deformation=np.zeros((0, 3), np.float32))
    np.testing.assert_array_equal(take_result(track, head, "t", {}).head.neutral, head.neutral(track.identity))
