"""A head with another nose than the fit's before a camera of another focal length, turning and hardly turning."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.fitting import FitOptions, FitResult, View
from backend.fitting.posed import neutral_vertices
from backend.fitting.types import FittedCamera
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel, surface_positions
from backend.head_model.render import vertex_normals
from backend.head_model.rigid import similarity_between
from backend.observations import PointSet, PointSetId, ViewAlignment
from backend.skin_matching.keypoints import skin_keypoints
from backend.skin_matching.turning import turn_shape

F64 = NDArray[np.float64]

FRAMES, SIDE, FOCAL, GUESSED, NEAR = 24, 480, 800.0, 1000.0, 0.5
OPTIONS = FitOptions(deform_region="nose", device="cpu")
EYE = np.hstack([np.eye(3), np.zeros((3, 1))])
IDS = PointSetId("skin", "skin matching")


def person(head: HeadModel) -> F64:
    """The mean head with a nose that stands out 5 mm further."""
    neutral = head.template.astype(np.float64)
    nose = head.regions["nose"]
    off = np.linalg.norm(neutral - neutral[nose][neutral[nose][:, 2].argmax()], axis=1)
    neutral[:, 2] += 0.005 * np.exp(-((off / 0.02) ** 2)) * nose
    return neutral


def poses(yaw: float) -> tuple[F64, F64]:
    """Rotations and translations of a head that turns from −``yaw`` to ``yaw``, degrees, and nods a third of that."""
    phase = np.linspace(0, 2 * np.pi, FRAMES)
    angles = np.stack([yaw * np.sin(phase), yaw / 3 * np.sin(2 * phase)], axis=1)
    facing = Rotation.from_euler("X", 180, degrees=True)
    turn = (facing * Rotation.from_euler("YX", angles, degrees=True)).as_matrix()
    return turn, np.tile((0.0, 0.0, NEAR), (FRAMES, 1))


def seen(head: HeadModel, yaw: float) -> PointSet:
    """Keypoints of the person, 0.2 px off."""
    keypoints, neutral = skin_keypoints(head, 300), person(head)
    turn, shift = poses(yaw)
    at = surface_positions(keypoints.points, head.triangles, neutral) @ turn.transpose(0, 2, 1) + shift[:, None]
    normal = vertex_normals(neutral, head.triangles)[keypoints.vertex] @ turn.transpose(0, 2, 1)
    facing = -(normal * at).sum(axis=2) / np.linalg.norm(at, axis=2)
    mu = at[..., :2] / at[..., 2:] * FOCAL + SIDE / 2
    mu += 0.2 * np.random.default_rng(7).standard_normal(mu.shape)
    sigma = np.full(facing.shape, 0.2, np.float32)
    return PointSet(IDS, mu.astype(np.float32), sigma, facing > 0.3, keypoints.points)


def guess(head: HeadModel, yaw: float) -> FitResult:
    """The mean head by a longer lens, from as much farther, turned less than it is."""
    turn, shift = poses(0.92 * yaw)
    unknown = np.full(FRAMES, np.nan)
    return FitResult(
        identity=np.zeros(len(head.shape_basis)),
        deformation=np.zeros((head.vertex_count, 3)),
        expression=np.zeros((FRAMES, len(head.expression_names))),
        head_rotation=turn,
        head_translation=shift * GUESSED / FOCAL,
        gaze=np.zeros((FRAMES, 2, 2)),
        cameras=(FittedCamera(GUESSED, (SIDE / 2, SIDE / 2), EYE),),
        points=(),
        tracked=np.ones(FRAMES, bool),
        reprojection_error_px=np.zeros((1, FRAMES, 0), np.float32),
        inter_ocular_px=np.ones((1, FRAMES)),
        energy=(),
        iterations=0,
        expression_sigma=np.zeros((FRAMES, len(head.expression_names))),
        head_rotation_sigma=np.zeros((FRAMES, 3)),
        head_translation_sigma=np.zeros((FRAMES, 3)),
        uncertainty_mm=unknown,
    )


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return load_head("open")


def nose_off(head: HeadModel, neutral: F64) -> float:
    """Millimetres by which the nose's front misses the person's, the rest of the face laid on theirs."""
    true, nose = person(head), head.regions["nose"] & (head.template[:, 2] > head.template[:, 2].max() - 0.02)
    face = head.regions["face"] & ~head.regions["nose"]
    lying = similarity_between(neutral[face], true[face])
    return 1e3 * float(np.linalg.norm(lying.apply(neutral[nose]) - true[nose], axis=1).mean())


def turned_off(fit: FitResult, yaw: float) -> float:
    """Degrees by which rotations are off from a common one."""
    off = Rotation.from_matrix(poses(yaw)[0].transpose(0, 2, 1) @ fit.head_rotation)
    return float(np.rad2deg((off.mean().inv() * off).magnitude()).mean())


def test_a_turning_head_tells_its_nose_its_turns_and_the_focal_length(head: HeadModel) -> None:
    fit, skin = guess(head, 35.0), seen(head, 35.0)
    told = turn_shape(head, View(ViewAlignment.of(skin, image_size=(SIDE, SIDE))), fit, skin, OPTIONS)
    assert told is not None
    before, after = (nose_off(head, neutral_vertices(head, f).astype(np.float64)) for f in (fit, told.start))
    assert before > 2
    assert after < 0.5 * before
    assert abs(told.start.cameras[0].focal_px / FOCAL - 1) < 0.06
    assert turned_off(fit, 35.0) > 1
    assert turned_off(told.start, 35.0) < 0.4
    assert told.camera.focal_told is not None
    assert told.turned > np.deg2rad(60)
    np.testing.assert_allclose(told.neutral, neutral_vertices(head, told.start))
    assert np.linalg.eigvalsh(told.covariance).min() > 0


def test_a_head_that_hardly_turns_tells_nothing(head: HeadModel) -> None:
    skin = seen(head, 6.0)
    view = View(ViewAlignment.of(skin, image_size=(SIDE, SIDE)))
    assert turn_shape(head, view, guess(head, 6.0), skin, OPTIONS) is None
