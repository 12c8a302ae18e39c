"""The looks and acts of the benchmark's people follow from the seed, and cover what it promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.datasets.splits import PEOPLES
from backend.errors import UserError
from backend.evaluation.benchmark import PERFORMANCES, BenchmarkHead, SequenceSpec, benchmark_sequences, load_ict_head
from backend.evaluation.benchmark.head import EYES, FaceMotion, camera_vertices, eye_centre
from backend.evaluation.benchmark.make import sequence_motion
from backend.evaluation.benchmark.regions import cheek_mask, lip_mask, region_masks
from backend.evaluation.benchmark.scene import FOCAL_RANGE, make_scene
from backend.evaluation.types import REGIONS


@pytest.fixture(scope="module")
def ict(shared_data: Path) -> BenchmarkHead:
    return load_ict_head(shared_data / "ict" / "ict_facekit.npz")


def _motion(ict: BenchmarkHead, spec: SequenceSpec) -> FaceMotion:
    return sequence_motion(spec, ict, np.arange(spec.frame_count) / spec.frame_rate)[1]


def test_the_full_set_is_ten_people_in_four_performances() -> None:
    specs = benchmark_sequences()
    expected = {(people, n, p) for people in PEOPLES for n in range(10) for p in PERFORMANCES}
    assert {(spec.people, spec.person, spec.performance) for spec in specs} == expected
    assert len(specs) == len({spec.name for spec in specs}) == 80
    assert all(60 <= spec.frame_count <= 120 and spec.side == 512 for spec in specs)


def test_the_quick_set_is_two_people_in_two_performances() -> None:
    specs = benchmark_sequences(quick=True)
    assert [spec.people for spec in specs] == ["ict"] * 4 + ["makehuman"] * 4
    assert {spec.frame_count for spec in specs} == {30}


def test_the_first_few_people_are_those_of_the_whole_benchmark() -> None:
    few = benchmark_sequences(persons=2)
    assert len(few) == len(benchmark_sequences()) // 5
    assert {spec.person for spec in few} == {0, 1}
    assert set(few) < set(benchmark_sequences())


def test_people_of_test_and_of_dev_share_no_identity_mode() -> None:
    test, dev = (benchmark_sequences(split)[0].identity(100) for split in ("test", "dev"))
    assert not test[0::2].any()
    assert test[1::2].all()
    assert not dev[1::2].any()
    assert dev[0::2].all()


def test_a_person_is_the_same_in_every_performance_and_unlike_the_others() -> None:
    specs = benchmark_sequences()
    faces = {(spec.people, spec.person): spec.identity(100) for spec in specs}
    for spec in specs:
        np.testing.assert_array_equal(spec.identity(100), faces[spec.people, spec.person])
    assert len({tuple(face) for face in faces.values()}) == 20


def test_the_seed_decides_everything(ict: BenchmarkHead) -> None:
    for one, same, other in zip(
        benchmark_sequences(seed=1)[:4], benchmark_sequences(seed=1), benchmark_sequences(seed=2), strict=False
    ):
        assert make_scene(one) == make_scene(same) != make_scene(other)
        other = SequenceSpec(other.split, other.seed, other.person, other.performance, one.frame_count)
        np.testing.assert_array_equal(_motion(ict, one).expression, _motion(ict, same).expression)
        np.testing.assert_array_equal(_motion(ict, one).rotation, _motion(ict, same).rotation)
        assert not np.array_equal(_motion(ict, one).expression, _motion(ict, other).expression)


def test_moments_of_the_shutter_see_the_same_performance(ict: BenchmarkHead) -> None:
    for spec in benchmark_sequences()[:4]:
        whole = _motion(ict, spec)
        _, moment = sequence_motion(spec, ict, np.array([17 / spec.frame_rate]))
        np.testing.assert_allclose(moment.expression[0], whole.expression[17], atol=1e-6)
        np.testing.assert_allclose(moment.rotation[0], whole.rotation[17], atol=1e-9)
        np.testing.assert_allclose(moment.gaze[0], whole.gaze[17], atol=1e-6)


def test_performances_cover_what_they_promise(ict: BenchmarkHead) -> None:
    names = list(ict.expression_names)
    motions = {p: [_motion(ict, s) for s in benchmark_sequences() if s.performance == p] for p in PERFORMANCES}
    for motion in (m for group in motions.values() for m in group):
        assert motion.expression.min() >= 0
        assert motion.expression.max() <= 1
    for motion in motions["turns"]:
        forward = motion.rotation[:, :, 2]
        yaw = np.degrees(np.arctan2(forward[:, 0], -forward[:, 2]))
        pitch = np.degrees(np.arcsin(-forward[:, 1]))
        assert yaw.max() > 48
        assert yaw.min() < -48
        assert pitch.max() > 25
        assert pitch.min() < -25
        assert np.abs(np.diff(yaw)).max() < 18  # degrees a frame: faster is not how people turn
    for motion in motions["gaze"]:
        assert motion.expression[:, names.index("eyeBlink_L")].max() > 0.8
        assert np.ptp(np.degrees(motion.gaze[:, 0, 0])) > 20
    for motion in motions["speech"]:
        assert np.ptp(motion.expression[:, names.index("jawOpen")]) > 0.2
    strongest = {n: max(m.expression[:, names.index(n)].max() for m in motions["extreme"]) for n in names}
    assert min(strongest[name] for name in ("jawOpen", "cheekPuff_L", "mouthPucker", "browDown_L")) > 0.9


def test_cameras_cover_the_range_of_lenses() -> None:
    focal = np.array([make_scene(spec).focal_px / spec.side for spec in benchmark_sequences()])
    assert focal.min() >= FOCAL_RANGE[0]
    assert focal.max() <= FOCAL_RANGE[1]
    assert focal.max() / focal.min() > 2.5


def test_a_posed_head_is_the_neutral_moved_and_its_eyes_turn_about_their_centres(ict: BenchmarkHead) -> None:
    spec = benchmark_sequences()[0]
    neutral, motion = sequence_motion(spec, ict, np.array([0.4]))
    still = FaceMotion(
        0 * motion.expression,
        np.radians([[[20, 0], [20, 0]]]).astype(np.float32),
        motion.rotation,
        motion.translation,
        motion.trunk_rotation,
        motion.trunk_translation,
    )
    left, right = (ict.groups[name] for name in EYES)
    posed = camera_vertices(neutral, ict.expression_basis, (left, right), ict.follows_head, still)[0]
    head = (ict.follows_head == 1) & ~left & ~right
    np.testing.assert_allclose(posed[head], neutral[head] @ motion.rotation[0].T + motion.translation[0], atol=1e-5)
    shoulders = ict.follows_head == 0
    expected = neutral[shoulders] @ motion.trunk_rotation.T + motion.trunk_translation
    np.testing.assert_allclose(posed[shoulders], expected, atol=1e-5)
    back = (posed - motion.translation[0]) @ motion.rotation[0]
    centre = eye_centre(neutral, left)
    np.testing.assert_allclose(eye_centre(back, left), centre, atol=1e-4)
    front = np.flatnonzero(left)[(neutral[left] - centre)[:, 2].argmax()]
    before, after = neutral[front] - centre, back[front] - centre
    turned = np.degrees(np.arctan2(after[0], after[2]) - np.arctan2(before[0], before[2]))
    assert turned == pytest.approx(20, abs=0.1)  # towards the subject's left


def test_regions_are_symmetric_and_apart(ict: BenchmarkHead) -> None:
    masks = region_masks(ict)
    assert tuple(masks) == REGIONS
    for mask in masks.values():
        side = ict.template[mask, 0]
        assert mask.any()
        assert abs((side > 0).sum() - (side < 0).sum()) < 0.03 * mask.sum()
    for one, other in (("eyes", "nose"), ("eyes", "mouth"), ("nose", "mouth"), ("ears", "face")):
        assert not (masks[one] & masks[other]).any(), (one, other)
    cheeks = cheek_mask(ict.template, ict.marks, masks)
    assert 0.1 < cheeks.sum() / masks["face"].sum() < 0.5
    assert not (cheeks & ~masks["face"]).any() and not (cheeks & (masks["nose"] | masks["mouth"])).any()
    assert abs((ict.template[cheeks, 0] > 0).sum() - (ict.template[cheeks, 0] < 0).sum()) < 0.03 * cheeks.sum()
    lips = lip_mask(ict)
    assert not (lips & ~masks["mouth"]).any()
    marks = ict.landmark_vertices
    assert masks["mouth"][marks[48:68]].all()
    assert masks["eyes"][marks[36:48]].all()
    assert masks["nose"][marks[28:36]].all()
    assert np.abs(ict.template[masks["ears"], 0]).min() > 0.06


def test_landmarks_are_the_archives_vertices(ict: BenchmarkHead) -> None:
    triangle, weights = (ict.landmarks68.triangle, ict.landmarks68.barycentric)
    positions = np.einsum("nk,nkc->nc", weights, ict.template[ict.triangles[triangle]])
    np.testing.assert_array_equal(positions, ict.marks)
    assert (positions[36:42, 0] < 0).all()  # iBUG counts the subject's right eye first


def test_an_archive_that_is_not_there_or_not_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_ict_head(tmp_path / "nothing.npz")
    assert caught.value.code == "ict_missing"
    (tmp_path / "junk.npz").write_bytes(b"junk")
    with pytest.raises(UserError) as caught:
        load_ict_head(tmp_path / "junk.npz")
    assert caught.value.code == "bad_file"
