"""A face laid over its points in a picture: expression and pose together, then the eyes, each near what was expected.

Least squares with a Gaussian prior, under a full perspective camera. Pixels are those of an ideal one: of a lens, focal
length and principal point alone are looked at. Pure numerics.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.appearance.person import Eyes, FacePoints
from backend.appearance.pose import jacobian_of, project, solve_pose
from backend.cameras.distortion import Lens
from backend.head_model.model import gaze_rotation

F64 = NDArray[np.float64]

STEPS = 2
"""Gauss–Newton steps of expression and pose, from about the pose that suits the expression expected."""
POSE_STEPS, EYE_STEPS = 2, 3
"""Of the pose before that, and of the eyes after it."""
PASSES = 3
"""Times that expressions which leave their bounds are put on them and the others solved again."""
LARGEST_TURN = np.pi / 4
"""Radians of gaze either way; no eye turns further."""


@dataclass(frozen=True, eq=False)
class Laid:
    """``expression (K_ex,)`` within bounds; ``rotation (3,3)``, ``translation (3,)`` head to camera, metres."""

    expression: F64
    rotation: F64
    translation: F64


def lay_face(
    points: FacePoints, bounds: F64, camera: Lens, pixels: F64, noise: F64, expected: F64, spread: float
) -> Laid:
    """The face whose points (K,3) lie over ``pixels (K,2)`` known to ``noise (K,)`` pixels, and whose expression is
    ``expected (K_ex,)`` with a deviation of ``spread``; ``bounds (K_ex,2)``."""
    count = len(expected)
    expression = np.clip(expected, bounds[:, 0], bounds[:, 1])
    rotation, translation = solve_pose(
        points.at(expression), pixels, camera.focal_px, np.array(camera.principal_point), POSE_STEPS
    )
    root = np.repeat(1 / noise, 2)
    for _ in range(STEPS):
        turned = points.at(expression) @ rotation.T
        placed = turned + translation
        by_pose = jacobian_of(turned, placed, camera.focal_px)
        by_place = by_pose[:, 3:].reshape(-1, 2, 3)
        by_expression = ((by_place @ rotation) @ points.columns).reshape(-1, count)
        jacobian = root[:, None] * np.concatenate([by_expression, by_pose], axis=1)
        form, pull = jacobian.T @ jacobian, jacobian.T @ (root * (pixels - _seen(placed, camera)).ravel())
        form[np.arange(count), np.arange(count)] += 1 / spread**2
        pull[:count] += (expected - expression) / spread**2
        step = _within(form, pull, bounds[:, 0] - expression, bounds[:, 1] - expression)
        expression = np.clip(expression + step[:count], bounds[:, 0], bounds[:, 1])
        rotation = Rotation.from_rotvec(step[count : count + 3]).as_matrix() @ rotation
        translation = translation + step[count + 3 :]
    return Laid(expression, rotation, translation)


def turn_eyes(eyes: Eyes, laid: Laid, camera: Lens, pixels: F64, noise: F64, expected: F64, spread: float) -> F64:
    """Gaze (2,2) = (left, right) × (yaw, pitch), radians, of eyes whose irises' centres are seen at ``pixels (2,2)``
    known to ``noise (2,)`` pixels, ``expected (2,2)`` with a deviation of ``spread`` radians."""
    gaze, zero = np.array(expected, np.float64), np.zeros(2)
    for _ in range(EYE_STEPS):
        turn = gaze_rotation(gaze)
        arm = np.einsum("eij,ej->ei", turn, eyes.arm)
        turned = (eyes.joint + arm) @ laid.rotation.T
        placed = turned + laid.translation
        by_place = jacobian_of(turned, placed, camera.focal_px)[:, 3:].reshape(2, 2, 3) @ laid.rotation
        # R_y(yaw) R_x(−pitch): yaw turns about the head's y, pitch about −x as yaw has turned it
        (x, y, z), sine, cosine = arm.T, np.sin(gaze[:, 0]), np.cos(gaze[:, 0])
        by_angle = np.stack([z, -sine * y, zero, sine * x + cosine * z, -x, -cosine * y], axis=1).reshape(2, 3, 2)
        jacobian = by_place @ by_angle / noise[:, None, None]
        off = (pixels - _seen(placed, camera)) / noise[:, None]
        form = jacobian.swapaxes(1, 2) @ jacobian + np.eye(2) / spread**2
        pull = np.einsum("eij,ei->ej", jacobian, off) + (expected - gaze) / spread**2
        gaze = np.clip(gaze + np.linalg.solve(form, pull[..., None])[..., 0], -LARGEST_TURN, LARGEST_TURN)
    return gaze


def _seen(placed: F64, camera: Lens) -> F64:
    return project(placed, camera.focal_px, np.array(camera.principal_point))


def _within(form: F64, pull: F64, lower: F64, upper: F64) -> F64:
    """The step (D,) that solves form · step = pull, its first unknowns kept within ``lower`` and ``upper (K,)``."""
    count, free, step = len(lower), np.ones(len(pull), bool), np.zeros(len(pull))
    for _ in range(PASSES):
        index = np.flatnonzero(free)
        left = pull[index] - form[np.ix_(index, ~free)] @ step[~free]
        step[index] = np.linalg.solve(form[np.ix_(index, index)], left)
        out = free[:count] & ((step[:count] < lower) | (step[:count] > upper))
        if not out.any():
            break
        step[:count][out] = np.clip(step[:count][out], lower[out], upper[out])
        free[:count][out] = False
    return step
