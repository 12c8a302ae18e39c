"""From what was seen to poses: near the truth, smooth where the face rests, and anew where it was lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from backend.errors import ErrorCode, UserError
from backend.export.blender import take_result
from backend.head_model.model import HeadModel, posed_vertices
from backend.head_model.rigid import similarity_between
from backend.live.calibration import LEAST_PICTURES, Calibration
from backend.live.driver import FaceDriver, Posed
from backend.live.person import Person
from backend.live.takes import stacked, track_of
from backend.synthesis.performance import Performance, demo_performance
from tests.backend.live.made import person_of, seen_in


@pytest.fixture(scope="module")
def poses(head: HeadModel, truth: Performance) -> list[Posed]:
    driver = FaceDriver(person_of(head, truth), filtered=False)
    return [driver.solve(seen, t / truth.frame_rate) for t, seen in enumerate(seen_in(head, truth, 0.3))]


def test_poses_lie_near_the_truth(head: HeadModel, truth: Performance, poses: list[Posed]) -> None:
    turned = Rotation.from_rotvec(truth.head_rotation).inv() * Rotation.from_rotvec([p.rotation for p in poses])
    assert np.degrees(turned.magnitude()).max() < 1.0
    assert np.linalg.norm([p.translation for p in poses] - truth.head_translation, axis=1).max() < 0.01
    expression = np.stack([p.expression for p in poses]).astype(np.float32)
    neutral = head.neutral(truth.identity)
    gaze = np.zeros((len(poses), 2, 2), np.float32)
    off = posed_vertices(head, neutral, expression, gaze) - posed_vertices(head, neutral, truth.expression, gaze)
    face = head.regions["face"]
    moved = posed_vertices(head, neutral, truth.expression, gaze) - neutral
    # what is left of the motion of the face, over all frames
    assert np.linalg.norm(off[:, face]) < 0.35 * np.linalg.norm(moved[:, face])
    assert np.abs([p.gaze for p in poses] - truth.gaze).mean() < np.radians(3)


def test_the_filters_calm_what_shakes(head: HeadModel, truth: Performance) -> None:
    random = np.random.default_rng(1)
    (seen,) = seen_in(head, truth)[:1]
    still = []
    for _ in range(25):
        (points,) = seen.point_sets
        shaken = points.mu + random.normal(scale=1.0, size=points.mu.shape).astype(np.float32)
        still.append(replace(seen, point_sets=(replace(points, mu=shaken),)))
    jitter = {}
    for filtered in (False, True):
        driver = FaceDriver(person_of(head, truth), filtered=filtered)
        told = [driver.solve(one, t / 30) for t, one in enumerate(still)][5:]
        jitter[filtered] = np.stack([np.diff([p.rotation for p in told], axis=0).std(axis=0).mean()])
    assert jitter[True] < 0.6 * jitter[False]


def test_a_face_that_was_lost_is_found_anew_however_it_has_moved(head: HeadModel, truth: Performance) -> None:
    seen = seen_in(head, truth)
    driver = FaceDriver(person_of(head, truth))
    driver.solve(seen[0], 0.0)
    again = driver.solve(seen[20], 30.0)
    turned = Rotation.from_rotvec(truth.head_rotation[20]).inv() * Rotation.from_rotvec(again.rotation)
    assert np.degrees(turned.magnitude()) < 1.0


def test_a_calibration_finds_person_and_lens_and_its_take_is_whole(head: HeadModel) -> None:
    truth = demo_performance(head, frame_count=LEAST_PICTURES + 1, frame_rate=10.0, side=256, focal_px=350.0)
    calibration = Calibration(seconds=3.0)
    fractions = []
    for number, seen in enumerate(seen_in(head, truth, 0.3)):
        calibration.add(seen, number + 1, number / truth.frame_rate)
        fractions.append(calibration.fraction)
    assert fractions[0] < fractions[14] < fractions[-1] == 1.0
    found = calibration.solve(head, (256, 256), "made")
    person = found.person
    assert person.focal_px == pytest.approx(350.0, rel=0.15)
    face = head.regions["face"]
    true = head.neutral(truth.identity)[face]
    # one camera does not tell how large a head is
    own, mean = (
        np.linalg.norm(similarity_between(shape[face], true).apply(shape[face]) - true, axis=1).mean()
        for shape in (person.neutral, head.template)
    )
    assert own < 0.7 * mean
    take = take_result(found.track, head, "made", {})
    assert take.expression.shape == (LEAST_PICTURES + 1, len(head.expression_names))
    assert take.tracked.all()


def test_time_without_a_face_calibrates_nothing(head: HeadModel) -> None:
    calibration = Calibration(seconds=1.0)
    for number in range(60):
        calibration.add(None, number + 1, number / 30)
    assert calibration.fraction == 0.0
    with pytest.raises(UserError) as refused:
        calibration.solve(head, (256, 256), "made")
    assert refused.value.code == ErrorCode.NOT_CALIBRATED


def test_an_earlier_take_before_another_camera_keeps_the_angle_of_view(head: HeadModel, truth: Performance) -> None:
    own = person_of(head, truth)
    pose = (0.0, True, truth.expression[0], truth.head_rotation[0], truth.head_translation[0], truth.gaze[0])
    track = track_of(own, stacked([pose]), "made")
    person = Person.of_track(head, track, (640, 480))
    assert person.focal_px == pytest.approx(350.0 * 640 / 256)
    assert person.principal_point == (320, 240)
    np.testing.assert_array_equal(person.neutral, own.neutral)
    with pytest.raises(UserError) as refused:
        Person.of_track(head, replace(track, head_hash="of another"), (640, 480))
    assert refused.value.code == ErrorCode.HEAD_CHANGED
