"""Joints and skinning weights for a head that brings none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.head_model.model import JOINT_NAMES, HeadModel
from backend.head_model.registration.correspondence import Correspondence
from backend.head_model.registration.face_points import sphere_centre
from backend.head_model.registration.parts import EYEBALLS, Parts
from backend.head_model.registration.types import SourceHead

F64 = NDArray[np.float64]


def joint_regressor(source: SourceHead, parts: Parts, open_head: HeadModel, match: Correspondence) -> F64:
    """Weights (5,V), rows summing to 1, that give the joints.

    The open head's root, neck and jaw carried over as combinations of nearby skin, the eyes at the centres of the
    eyeballs, or where the open head's eyes come to lie.
    """
    template = np.asarray(source.template, np.float64)
    joints = match.warp(open_head.joints(open_head.template).astype(np.float64))
    regressor = np.zeros((len(JOINT_NAMES), len(template)))
    skin = np.flatnonzero(parts["outer"])
    for joint, name in enumerate(JOINT_NAMES):
        ball = dict(zip(("left_eye", "right_eye"), EYEBALLS, strict=True)).get(name)
        if ball is not None and parts[ball].any():
            rows = np.flatnonzero(parts[ball])
            regressor[joint, rows] = point_weights(template[rows], sphere_centre(template[rows]))
        else:
            near = skin[np.argsort(np.linalg.norm(template[skin] - joints[joint], axis=1))[: max(60, len(skin) // 20)]]
            regressor[joint, near] = point_weights(template[near], joints[joint])
    return regressor


def point_weights(points: F64, target: F64) -> F64:
    """The smallest weights (n,) that sum to 1 and give ``target (3,)`` as a combination of ``points (n,3)``.

    Exact under every affine change of the points.
    """
    centre = points.mean(axis=0)
    scale = max(float(np.abs(points - centre).max()), 1e-9)
    system = np.concatenate([((points - centre) / scale).T, np.ones((1, len(points)))])
    return np.asarray(np.linalg.pinv(system) @ np.append((target - centre) / scale, 1.0))


def skinning_weights(parts: Parts, open_head: HeadModel, match: Correspondence) -> F64:
    """Weights (V,5), rows summing to 1: the open head's, eyeballs with their joints, what lies below with the root."""
    weights = np.maximum(match.carried(open_head.skinning_weights, open_head), 0)
    below = np.where(parts["outer"], 1 - match.weight, 0)[:, None]
    low = (match.foot.position[:, 1] < np.median(match.bent[:, 1]))[:, None]
    weights = np.where(low, (1 - below) * weights + below * np.eye(5)[0], weights)
    for name, joint in zip(EYEBALLS, ("left_eye", "right_eye"), strict=True):
        weights[parts[name]] = np.eye(5)[JOINT_NAMES.index(joint)]
    loose = ~parts["left_eyeball"] & ~parts["right_eyeball"]
    weights[:, 3:] *= ~loose[:, None]
    weights[weights.sum(axis=1) < 1e-6] = np.eye(5)[1]
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
