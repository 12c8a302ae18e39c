"""Annotators' places of iBUG-68: a made-up population's offset is found, and strangers' photographs fit better."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from backend.alignment.landmarks.point_sigma import load_point_sigma
from backend.evaluation.real_data import read_annotation
from backend.fitting import FitResult
from backend.fitting.types import FittedCamera
from backend.head_model.library import load_head
from backend.head_model.model import surface_positions
from backend.observations import Alignment, FaceBox, PointSet
from backend.point_calibration.annotation import (
    SAME_POINT,
    AnnotatedFit,
    calibrate_ibug68,
    error_percent,
    fit_annotated,
    ibug68_mirror,
    with_ibug68,
)
from backend.point_calibration.embedding import calibrate, fitted_points
from backend.point_calibration.photos import AlignedPortrait, Portrait, align_portraits, halves, portraits

MM = 1000.0
IMAGE = (1350, 1350)


@pytest.fixture(scope="module")
def head():
    return load_head("open")


def posed(head, seed):
    """A fitted portrait of somebody who never was."""
    rng = np.random.default_rng(seed)
    away = np.diag([1.0, -1.0, -1.0])  # OpenCV's axes: the face looks at the camera
    turn = Rotation.from_euler("yxz", rng.normal(0, 3, 3), degrees=True).as_matrix()
    blank = np.zeros((1, 1), np.float32)
    return FitResult(
        identity=rng.normal(size=40) * 0.8,
        deformation=np.zeros_like(head.template, np.float64),
        expression=np.zeros((1, len(head.expression_names))),
        head_rotation=(away @ turn)[None],
        head_translation=np.array([[0.0, 0.0, 1.2]]),
        gaze=np.zeros((1, 2, 2)),
        cameras=(FittedCamera(3000.0, (675.0, 675.0), np.eye(3, 4)),),
        points=(),
        tracked=np.ones(1, bool),
        reprojection_error_px=blank[None],
        inter_ocular_px=np.ones((1, 1)),
        energy=(),
        iterations=0,
        expression_sigma=blank,
        head_rotation_sigma=blank,
        head_translation_sigma=blank,
        uncertainty_mm=np.zeros(1),
    )


def annotated(head, seeds, noise_px=0.0):
    """Fits whose annotation is where ``head`` has its ``ibug68``, people put down with some noise."""
    fits = []
    for seed in seeds:
        fit = posed(head, seed)
        noise = np.random.default_rng([seed, 1]).normal(0, noise_px, (68, 2))
        fits.append(AnnotatedFit(str(seed), fit, fitted_points(head, "ibug68", fit)[0][0] + noise))
    return fits


def places(head):
    return surface_positions(head.landmarks["ibug68"], head.triangles, head.template) * MM


def test_a_populations_offset_is_found_on_both_sides_and_nowhere_else(head):
    shift = np.zeros((68, 3))
    shift[36], shift[48], shift[55], shift[8] = (0.001, 0.0004, 0), (-0.0015, 0, 0), (0.003, 0.001, 0), (0, -0.002, 0)
    mirror = ibug68_mirror()
    shift[mirror[[36, 48, 55]]] = shift[[36, 48, 55]] * [-1, 1, 1]
    true = with_ibug68(head, shift)
    learnt = np.array([8, 36, 45, 48, 54, 55, 59, 51])
    found = with_ibug68(head, calibrate_ibug68(head, annotated(true, range(24), noise_px=2.0), learnt))
    wide_px_in_mm = 1200 / 3000  # a pixel of noise is 0.4 mm on the face, averaged over 24 people
    off = np.linalg.norm(places(found) - places(true), axis=1)
    assert off.max() < wide_px_in_mm
    assert off[[0, 20, 30, 38, 62]].max() == 0
    assert np.allclose(places(found)[mirror[learnt]] * [-1, 1, 1], places(found)[learnt], atol=0.05)


def test_points_that_were_not_asked_for_stay_whatever_was_annotated(head):
    shift = np.tile([0.0, 0.002, 0.0], (68, 1))
    displacement = calibrate_ibug68(head, annotated(with_ibug68(head, shift), range(4)), np.array([27]))
    assert displacement[27, 1] > 0.001
    assert not np.delete(displacement, 27, axis=0).any()


def test_one_careless_annotator_changes_nothing(head):
    fits = annotated(with_ibug68(head, np.zeros((68, 3))), range(9))
    fits[0] = replace(fits[0], points=fits[0].points + 300.0)
    assert np.abs(calibrate_ibug68(head, fits, np.array([36, 45, 51]))).max() * MM < 0.02


@given(st.lists(st.sampled_from(["london1", "london2", "canada1", "canada7", "london33"]), min_size=1))
def test_a_person_is_never_in_both_halves(people):
    part = halves(people)
    for person in set(people):
        assert len({int(k) for p, k in zip(people, part, strict=True) if p == person}) == 1
    counts = [len({p for p, k in zip(people, part, strict=True) if k == half}) for half in (0, 1)]
    assert 0 <= counts[0] - counts[1] <= 1


def test_an_aligners_offset_is_found(head):
    """MediaPipe seen 1.5 mm too far out at the eye corners and too high at the nose's tip, by people of all kinds."""
    mirror = load_point_sigma().mirror
    points = head.landmarks["mediapipe478"]
    shift = np.zeros((478, 3))
    shift[33], shift[263], shift[4] = (-0.0015, 0, 0), (0.0015, 0, 0), (0, 0.0015, 0)
    seen = []
    for seed in range(5):
        fit = posed(head, seed)
        fit = replace(fit, identity=fit.identity * 0.3)
        image, depth = fitted_points(head, "mediapipe478", fit)
        moved = image[0] + (shift @ fit.head_rotation[0].T)[:, :2] / depth[0][:, None] * 3000.0
        low, high = moved.min(axis=0), moved.max(axis=0)
        box = FaceBox(float(low[0]), float(low[1]), *(float(v) for v in high - low), 1.0)
        points_seen = PointSet.of(
            "mediapipe478", moved.astype(np.float32), np.full(478, 2.0, np.float32), np.ones(478, bool)
        )
        alignment = Alignment((points_seen,), box, np.zeros(2, bool))
        seen.append(AlignedPortrait(Portrait(None, f"made{seed}"), alignment, IMAGE))
    found = calibrate(head, seen, mirror)
    assert len(found) == len(points)
    assert np.allclose(found[[33, 263, 4]], shift[[33, 263, 4]], atol=6e-4)
    still = np.setdiff1d(np.arange(468), [33, 263, 4])
    assert np.median(np.linalg.norm(found[still], axis=1)) < 2e-4
    assert np.allclose(found[mirror] * [-1, 1, 1], found)


def test_photographs_of_training_people_fit_better_than_with_mediapipes_points(head, shared_data):
    folder = shared_data / "photos"
    annotation = read_annotation(folder)
    people = [portrait for portrait in portraits(folder, ("london_neutral",)) if not portrait.held_out][:20]
    fits = fit_annotated(head, annotation, align_portraits(people))
    assert len(fits) == len(people)
    strict, learnt = np.array(annotation.strict), np.array([*annotation.strict, *SAME_POINT])
    plain = with_ibug68(head, np.zeros((68, 3)))
    before = error_percent(plain, fits, strict)
    assert error_percent(head, fits, strict) < 0.96 * before, "as it is built in"
    taught = with_ibug68(head, calibrate_ibug68(head, fits[::2], learnt))
    assert error_percent(taught, fits[1::2], learnt) < 0.7 * error_percent(plain, fits[1::2], learnt)
    assert error_percent(taught, fits[1::2], strict) < error_percent(plain, fits[1::2], strict), "people never seen"
