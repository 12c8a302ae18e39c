"""Turns of bones over time in numbers: gaze, shares of a turn, and what they are in a bone's own axes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

GAZE_AXES = np.diag([-1.0, -1.0, 1.0])
"""Of an eye that looks ahead: right, out of the face, up, as columns over the character's left, back, up."""


def gaze_turns(angles: F64) -> F64:
    """Rotations (T,3,3), in ``GAZE_AXES``, of an eye from yaw and pitch (T,2)."""
    yaw, pitch = angles.T
    zero, one = np.zeros(len(yaw)), np.ones(len(yaw))
    up = np.stack([one, zero, zero, zero, np.cos(pitch), -np.sin(pitch), zero, np.sin(pitch), np.cos(pitch)], 1)
    aside = np.stack([np.cos(yaw), -np.sin(yaw), zero, np.sin(yaw), np.cos(yaw), zero, zero, zero, one], 1)
    return np.asarray(aside.reshape(-1, 3, 3) @ up.reshape(-1, 3, 3))


def in_axes(turns: F64, axes: F64) -> F64:
    """Rotations (T,3,3) in other axes (3,3), whose columns are told in those of the rotations."""
    return np.asarray(axes.T @ turns @ axes)


def vectors(turns: F64) -> F64:
    """Rotation vectors (T,3) of rotations (T,3,3) below 180°."""
    cross = np.stack(
        [turns[:, 2, 1] - turns[:, 1, 2], turns[:, 0, 2] - turns[:, 2, 0], turns[:, 1, 0] - turns[:, 0, 1]], axis=1
    )
    sine = np.linalg.norm(cross, axis=1) / 2.0
    angle = np.arctan2(sine, (np.trace(turns, axis1=1, axis2=2) - 1.0) / 2.0)
    return cross * np.where(sine > 1e-12, angle / np.maximum(2.0 * sine, 1e-24), 0.5)[:, None]
