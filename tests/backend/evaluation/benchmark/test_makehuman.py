"""MakeHuman's people: who they are, what they wear, and that their pictures and truth agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.evaluation.benchmark import SequenceSpec, load_makehuman_head, load_truth_full, render_sequence
from backend.evaluation.benchmark.head import EYES, BenchmarkHead, camera_vertices
from backend.evaluation.benchmark.make import sequence_motion
from backend.evaluation.benchmark.makehuman_head import BESPECTACLED, LONG_HAIRED, first_edition
from backend.evaluation.benchmark.regions import lip_mask, region_masks
from backend.evaluation.benchmark.repertoire import REPERTOIRES
from backend.head_model.library import load_head
from backend.head_model.model import surface_positions
from backend.head_model.rigid import similarity_between

SPEC = SequenceSpec("dev", 5, 2, "extreme", frame_count=6, side=256, people="makehuman")


@pytest.fixture(scope="module")
def head() -> BenchmarkHead:
    return load_makehuman_head()


def _neutral(head: BenchmarkHead, split: str, person: int) -> np.ndarray:
    spec = SequenceSpec(split, 5, person, "speech", 6, people="makehuman")  # type: ignore[arg-type]
    return head.neutral(spec.identity(len(head.identity_basis)))


def test_twenty_people_differ_as_people_do(head: BenchmarkHead) -> None:
    faces = [_neutral(head, split, n)[head.narrow_face] for split in ("dev", "test") for n in range(10)]
    apart = [
        np.sqrt(np.square(similarity_between(a, b, scaled=False).apply(a) - b).sum(axis=1).mean())
        for n, a in enumerate(faces)
        for b in faces[n + 1 :]
    ]
    assert 0.0015 < min(apart) < max(apart) < 0.015


def test_their_actions_are_not_those_of_the_head_that_is_fitted() -> None:
    fitted = load_head("open")
    skin = fitted.regions["face"] & fitted.regions["skin"]
    own = dict(zip(first_edition().expression_names, first_edition().expression_basis[:, skin], strict=True))
    for name, other in zip(fitted.expression_names, fitted.expression_basis[:, skin], strict=True):
        alike = (own[name] * other).sum() / np.sqrt(np.square(own[name]).sum() * np.square(other).sum() + 1e-18)
        assert alike < 0.97, name


def test_every_pose_of_the_repertoire_moves_the_face(head: BenchmarkHead) -> None:
    names = head.expression_names
    for pose in (*REPERTOIRES["makehuman"].visemes[1:], *REPERTOIRES["makehuman"].extremes):
        for action in pose:
            columns = [names.index(name) for name in (action, f"{action}_L", f"{action}_R") if name in names]
            assert columns, action
            assert np.abs(head.expression_basis[columns]).max() > 1e-3, action
    assert not set(map(_key, REPERTOIRES["makehuman"].extremes)) & set(map(_key, REPERTOIRES["ict"].extremes))


def _key(pose: object) -> tuple[object, ...]:
    return tuple(sorted(dict(pose).items()))  # type: ignore[call-overload]


def test_hair_and_glasses_are_worn_by_some_and_nowhere_on_the_others(head: BenchmarkHead) -> None:
    for part, who in (("hair", LONG_HAIRED), ("glasses", BESPECTACLED)):
        for person in range(10):
            extent = np.ptp(_neutral(head, "test", person)[head.groups[part]], axis=0).max()
            assert (extent > 0.1) == (person in who)


def test_glasses_sit_before_the_eyes_and_move_with_the_head(head: BenchmarkHead) -> None:
    neutral, motion = sequence_motion(SPEC, head, np.array([0.2]))
    eyes = tuple(head.groups[name] for name in EYES)
    posed = camera_vertices(neutral, head.expression_basis, (eyes[0], eyes[1]), head.follows_head, motion)[0]
    worn = head.groups["glasses"]
    apart = np.linalg.norm(posed[worn] - (neutral[worn] @ motion.rotation[0].T + motion.translation[0]), axis=1)
    assert apart.max() < 1e-5
    lids = surface_positions(head.landmarks68, head.triangles, neutral)[36:48]
    assert neutral[worn][:, 2].max() > lids[:, 2].max() + 0.005


def test_regions_and_landmarks_lie_where_ict_facekits_do(head: BenchmarkHead) -> None:
    masks = region_masks(head)
    share = {name: mask.sum() / head.narrow_face.sum() for name, mask in masks.items()}
    assert all(share[name] > 0.03 for name in ("eyes", "nose", "mouth", "ears")), share
    assert 0.01 < lip_mask(head).sum() / head.narrow_face.sum() < 0.5
    marks = head.marks * 1000
    assert 80 < marks[45, 0] - marks[36, 0] < 100  # the outer corners of the eyes, mm
    np.testing.assert_allclose(marks[[30, 8], 0], 0, atol=1.0)


def test_a_rendered_sequence_shows_what_its_truth_says(tmp_path: Path, head: BenchmarkHead) -> None:
    sequence = render_sequence(SPEC, head, tmp_path)
    truth = load_truth_full(sequence.truth)
    assert truth.expression_names == head.expression_names
    neutral, motion = sequence_motion(SPEC, head, np.arange(6) / SPEC.frame_rate)
    eyes = tuple(head.groups[name] for name in EYES)
    posed = camera_vertices(neutral, head.expression_basis, (eyes[0], eyes[1]), head.follows_head, motion)
    # the basis is kept as float16 of centimetres
    np.testing.assert_allclose(truth.mesh.vertices, posed, atol=2e-4)
    assert truth.expression.max() > 0.2
