"""A neutral from an earlier take or a mesh comes back in head space, or is refused in words."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from backend.errors import UserError
from backend.head_model.library import load_head
from backend.observations import PointSet
from backend.pipeline.neutral_prior import FacePicture, MeshNeutral, TrackNeutral, predicted_neutral, predictor_for
from backend.track.io import save_track
from tests.backend.track.test_io import small_track


@pytest.fixture(scope="module")
def head():
    return load_head("open")


@pytest.fixture(scope="module")
def person(head):
    """Somebody's neutral, lying on the mean head as well as it can."""
    identity = np.random.default_rng(5).standard_normal(len(head.shape_basis)).astype(np.float32)
    return identity, head.neutral(identity)


def earlier_take(head, identity, tmp_path, **changes):
    track = dataclasses.replace(
        small_track(),
        head_id=head.id,
        head_hash=head.hash,
        identity=identity,
        expression=np.zeros((4, len(head.expression_names)), np.float32),
        expression_sigma=np.zeros((0, 0), np.float32),
        deformation=np.full((head.vertex_count, 3), 0.001, np.float32),
        action_corrections=np.zeros((0, 0, 3), np.float16),
    )
    save_track(dataclasses.replace(track, **changes), tmp_path / "track.npz")
    return str(tmp_path / "track.npz")


def seen_at(value: float) -> PointSet:
    return PointSet.of(
        "none", np.full((1, 1, 2), value, np.float32), np.ones((1, 1), np.float32), np.ones((1, 1), bool)
    )


def test_the_neutral_of_an_earlier_take(head, person, tmp_path):
    identity, neutral = person
    predictor = predictor_for(earlier_take(head, identity, tmp_path))
    assert isinstance(predictor, TrackNeutral)
    np.testing.assert_allclose(predicted_neutral(predictor, head), neutral + 0.001, atol=1e-6)


@pytest.mark.parametrize("changes", [{"head_hash": "f" * 16}, {"deformation": np.zeros((3, 3), np.float32)}])
def test_a_take_of_another_head_is_refused(head, person, tmp_path, changes):
    predictor = predictor_for(earlier_take(head, person[0], tmp_path, **changes))
    with pytest.raises(UserError, match="“open”") as caught:
        predictor.neutrals(head, ())
    assert caught.value.code == "other_head"


def obj(path, vertices):
    path.write_text(
        "# mesh\nvn 0 0 1\n" + "".join(f"v {x:.6f} {y:.6f} {z:.6f}\n" for x, y, z in vertices) + "f 1 2 3\n"
    )
    return str(path)


@pytest.mark.parametrize("unit", [1.0, 0.1, 0.01, 0.001])
def test_a_mesh_in_any_unit_turned_and_moved_lies_on_the_head_again(head, person, tmp_path, unit):
    turn = Rotation.from_rotvec([0.4, -2.0, 1.1]).as_matrix()
    straight = predicted_neutral(predictor_for(obj(tmp_path / "a.obj", person[1])), head)
    moved = (person[1] @ turn.T + [0.3, 5.0, -1.0]) / unit
    predictor = predictor_for(obj(tmp_path / "b.obj", moved))
    assert isinstance(predictor, MeshNeutral)
    np.testing.assert_allclose(predicted_neutral(predictor, head), straight, atol=1e-5)
    # What it was moved by to lie on the mean head is small, and its own size is kept.
    face = head.regions["face"]
    assert np.linalg.norm(straight - person[1], axis=1).max() < 0.02
    np.testing.assert_allclose(np.ptp(straight[face], axis=0), np.ptp(person[1][face], axis=0), rtol=0.05)


def test_an_npz_of_vertices(head, person, tmp_path):
    np.savez(tmp_path / "mesh.npz", vertices=person[1])
    expected = predicted_neutral(predictor_for(obj(tmp_path / "a.obj", person[1])), head)
    np.testing.assert_allclose(predicted_neutral(predictor_for(str(tmp_path / "mesh.npz")), head), expected, atol=1e-5)


def test_predictions_are_averaged(head):
    class Guess:
        pictures_wanted = 3

        def neutrals(self, head, pictures):
            return np.stack([head.template + picture.point_sets[0].mu.mean() for picture in pictures])

    pictures = [FacePicture(np.zeros((4, 4, 3), np.uint8), (seen_at(value),)) for value in (0.0, 1.0, 5.0)]
    np.testing.assert_allclose(predicted_neutral(Guess(), head, iter(pictures)), head.template + 2.0, atol=1e-6)


def test_what_is_no_neutral_of_this_head_is_refused(head, person, tmp_path):
    neutral = person[1]
    with_hole = neutral.copy()
    with_hole[7] = np.nan
    (tmp_path / "words.obj").write_text("v a b c\n")
    (tmp_path / "mesh.fbx").write_text("x")
    np.savez(tmp_path / "empty.npz", points=neutral)
    cases = {
        "other_topology": [obj(tmp_path / "few.obj", neutral[:-1]), obj(tmp_path / "big.obj", neutral * 30)],
        "bad_mesh": [obj(tmp_path / "nan.obj", with_hole), str(tmp_path / "words.obj"), str(tmp_path / "empty.npz")],
        "file_missing": [str(tmp_path / "gone.obj")],
    }
    cases["other_topology"].append(obj(tmp_path / "shuffled.obj", np.random.default_rng(1).permutation(neutral)))
    cases["bad_mesh"].append(str(tmp_path / "mesh.fbx"))
    for code, paths in cases.items():
        for path in paths:
            with pytest.raises(UserError) as caught:
                predicted_neutral(predictor_for(path), head)
            assert caught.value.code == code, path
            assert path in caught.value.message
