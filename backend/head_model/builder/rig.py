"""Joints and skinning weights of the open head, from MakeHuman's rig."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from backend.head_model.builder import eyes
from backend.head_model.builder.mesh import HeadMesh
from backend.head_model.builder.source import Source
from backend.head_model.model import JOINT_NAMES

JOINT_CUBES = {"root": "joint-neck", "neck": "joint-head", "jaw": "joint-mouth"}
"""Heads of MakeHuman's bones neck01, head and jaw: the base of the neck, the top of the neck, the hinge of the jaw."""

PARENTS = (-1, 0, 1, 1, 1)
JAW_BONES = ("jaw", "special04", "oris01", "oris02", "oris06", "oris07", "tongue")
NECK_BONES = ("neck", "spine", "clavicle", "shoulder")
BAND_METRES = 0.02
BAND_SLOPE = (-0.36, 0.0, 0.0)
"""The base of the neck is tilted like the neck cut, which runs close below it."""


def joint_cubes(source: Source, shapes: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Positions or offsets (…,3,3) of root, neck and jaw for shapes (…,N,3) of the base mesh."""
    centres = [shapes[..., np.unique(source.groups[cube]), :].mean(axis=-2) for cube in JOINT_CUBES.values()]
    return np.stack(centres, axis=-2).astype(np.float64)


def joint_regressor(
    heads: NDArray[np.floating[Any]], cubes: NDArray[np.floating[Any]], mesh: HeadMesh
) -> NDArray[np.float64]:
    """Weights (5,V), rows summing to 1, that give the joints.

    Root, neck and jaw by non-negative least squares over heads (n,V,3) with their joints (n,3,3); the eyes exactly at
    the eyeballs' centres.
    """
    regressor = np.zeros((len(JOINT_NAMES), len(mesh.mirror)))
    skin = np.flatnonzero(mesh.parts["skin"])
    centre = heads.mean(axis=0)
    for joint in range(len(JOINT_CUBES)):
        # all around the joint, since a point inside the head is no mix of vertices on one side of it
        offset = centre[skin] - cubes[:, joint].mean(axis=0)
        band = np.abs(offset[:, 1] - BAND_SLOPE[joint] * offset[:, 2]) < BAND_METRES
        index = np.unique(np.concatenate([skin[band], mesh.mirror[skin[band]]]))
        columns = heads[:, index].transpose(0, 2, 1).reshape(-1, len(index)).astype(np.float64)
        target = cubes[:, joint].reshape(-1)
        sum_weight = 100.0 * np.sqrt(len(target))
        system = np.concatenate([columns, np.full((1, len(index)), sum_weight)])
        weight, _ = nnls(system, np.append(target, sum_weight))
        np.add.at(regressor[joint], index, weight / 2)
        np.add.at(regressor[joint], mesh.mirror[index], weight / 2)
    for part, name in (("left_eyeball", "left_eye"), ("right_eyeball", "right_eye")):
        regressor[JOINT_NAMES.index(name), mesh.parts[part]] = eyes.centre_weights()
    return regressor / regressor.sum(axis=1, keepdims=True)


def skinning_weights(source: Source, mesh: HeadMesh) -> NDArray[np.float64]:
    """Weights (V,5), rows summing to 1: eyeballs turn with their joints, everything else with root, neck and jaw."""
    base = np.zeros((len(source.vertices), len(JOINT_NAMES)))
    for bone, pairs in source.bone_weights.items():
        joint = 2 if bone.startswith(JAW_BONES) else 0 if bone.startswith(NECK_BONES) else 1
        for vertex, weight in pairs:
            base[vertex, joint] += weight
    combined = np.maximum(mesh.combination @ base, 0)
    weights = np.zeros((len(mesh.mirror), len(JOINT_NAMES)))
    weights[: len(combined)] = combined / np.maximum(combined.sum(axis=1, keepdims=True), 1e-9)
    weights = (weights + weights[mesh.mirror]) / 2
    weights[mesh.parts["left_eyeball"]] = np.eye(5)[3]
    weights[mesh.parts["right_eyeball"]] = np.eye(5)[4]
    weights[mesh.parts["lashes"]] = np.eye(5)[1]
    lost = weights.sum(axis=1) < 0.5
    weights[lost] = np.eye(5)[1]
    return weights / weights.sum(axis=1, keepdims=True)


def eye_centre(mesh: HeadMesh, vertices: NDArray[np.floating[Any]], part: str) -> NDArray[np.float64]:
    """Centre (3,) of the eyeball ``part`` of a head (V,3)."""
    return eyes.centre_weights() @ np.asarray(vertices, np.float64)[mesh.parts[part]]
