"""Archives in the exact form of GNM's ``gnm_head.npz``: the 23 arrays that its own loader demands, by their names.

Written down from https://github.com/google/GNM (gnm/shape/gnm_data_loader.py, gnm_xnp.py and their tests).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

IDENTITIES = (("head", 170), ("eyes", 3), ("teeth", 80))
EXPRESSIONS = (("left_eye_region", 100), ("right_eye_region", 100), ("lower_face_region", 150), ("tongue", 32))
CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
SIDES = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])

BOXES: dict[str, tuple[tuple[str, ...], tuple[float, ...], tuple[float, ...]]] = {
    "head": (("skin", "skin_exterior", "hockey_mask"), (0, 0, 0), (0.08, 0.13, 0.1)),
    "neck": (("skin", "skin_exterior"), (0, -0.2, -0.02), (0.05, 0.06, 0.05)),
    "left ear": (("skin", "skin_exterior", "ears"), (0.09, 0, 0), (0.01, 0.03, 0.02)),
    "right ear": (("skin", "skin_exterior", "ears"), (-0.09, 0, 0), (0.01, 0.03, 0.02)),
    "bag": (("skin", "mouth_sock"), (0, -0.05, 0.05), (0.02, 0.01, 0.02)),
    "left socket": (("skin", "eye_sockets"), (0.03, 0.03, 0.07), (0.013, 0.013, 0.013)),
    "left shell": (("left_eye", "eyes", "eye_exteriors"), (0.03, 0.03, 0.08), (0.012, 0.012, 0.012)),
    "left iris": (("left_eye", "eyes", "eye_interiors", "pupils"), (0.03, 0.03, 0.08), (0.01, 0.01, 0.01)),
    "right shell": (("right_eye", "eyes", "eye_exteriors"), (-0.03, 0.03, 0.08), (0.012, 0.012, 0.012)),
    "right iris": (("right_eye", "eyes", "eye_interiors", "pupils"), (-0.03, 0.03, 0.08), (0.01, 0.01, 0.01)),
    "upper teeth": (("upper_teeth_and_gums", "teeth"), (0, -0.04, 0.06), (0.02, 0.004, 0.01)),
    "upper gums": (("upper_teeth_and_gums", "gums"), (0, -0.035, 0.06), (0.02, 0.004, 0.01)),
    "lower teeth": (("lower_teeth_and_gums", "teeth"), (0, -0.06, 0.06), (0.02, 0.004, 0.01)),
    "lower gums": (("lower_teeth_and_gums", "gums"), (0, -0.065, 0.06), (0.02, 0.004, 0.01)),
    "tongue": (("tongue",), (0, -0.05, 0.04), (0.01, 0.004, 0.02)),
}
"""The parts of a head of boxes: GNM's groups, centre and half size in metres."""


def box_rows(name: str) -> slice:
    """The vertices of a box."""
    place = list(BOXES).index(name)
    return slice(8 * place, 8 * place + 8)


def gnm_arrays() -> dict[str, Any]:
    """A GNM head of boxes, of 8 vertices and 6 quads each, with GNM's numbers of coefficients."""
    template = np.concatenate([CUBE * size + centre for _, centre, size in BOXES.values()])
    quads = np.concatenate([SIDES + 8 * k for k in range(len(BOXES))])
    names = sorted({group for groups, _, _ in BOXES.values() for group in groups})
    groups = np.array([np.repeat([name in own for own, _, _ in BOXES.values()], 8) for name in names], np.float32)
    expressions = [*EXPRESSIONS, ("pupils", 1)]
    basis = _random(sum(count for _, count in expressions), len(template), 1)
    basis[:, groups[names.index("eyes")] > 0.5] = 0
    basis[-1] = 0
    basis[-1, groups[names.index("pupils")] > 0.5] = (
        0.001  # it opens the pupils behind the shell and moves nothing else
    )
    return gnm_of(template, quads, groups, names, _random(253, len(template), 2), basis)


def gnm_of(
    template: NDArray[Any],
    quads: NDArray[Any],
    groups: NDArray[Any],
    group_names: list[str],
    identity: NDArray[Any],
    expression: NDArray[Any],
) -> dict[str, Any]:
    """All arrays of the archive for a mesh of quads; what a fit has no use for holds zeros."""
    count = len(template)
    expressions = [*EXPRESSIONS, ("pupils", 1)]
    return {
        "version": "3.0",
        "variant": "head",
        "template_vertex_positions": template.astype(np.float32),
        "template_joint_positions": np.zeros((4, 3), np.float32),
        "vertex_identity_basis": identity.astype(np.float32),
        "joint_identity_basis": np.zeros((len(identity), 4, 3), np.float32),
        "expression_basis": expression.astype(np.float32),
        "identity_names": [f"{name}_{k:03d}" for name, number in IDENTITIES for k in range(number)],
        "joint_names": ["neck", "head", "left_eye", "right_eye"],
        "expression_names": [f"{name}_{k:03d}" for name, number in expressions for k in range(number)],
        "joint_parent_indices": np.array([-1, 0, 1, 1]),
        "skinning_weights": np.zeros((4, count), np.float32),
        "quads": quads.astype(np.int32),
        "triangles": np.concatenate([quads[:, :3], quads[:, [2, 3, 0]]]).astype(np.int32),
        "quad_uvs": np.zeros((len(quads), 4, 2), np.float32),
        "triangle_uvs": np.zeros((2 * len(quads), 3, 2), np.float32),
        "mesh_component_names": [
            *("skin", "left_eye", "right_eye", "upper_teeth_and_gums", "lower_teeth_and_gums", "tongue"),
        ],
        "mirror_indices": np.arange(count),
        "joint_regressor": np.zeros((4, count), np.float32),
        "pose_correctives_regressor": np.zeros((36, 3 * count), np.float32),
        "bone_aligned_template_joint_orientations": np.tile(np.eye(3, dtype=np.float32), (4, 1, 1)),
        "vertex_groups": groups.astype(np.float32),
        "vertex_group_names": group_names,
    }


def _random(rows: int, count: int, seed: int) -> NDArray[np.float64]:
    return 0.002 * np.random.default_rng(seed).normal(size=(rows, count, 3))


def save(path: Path, arrays: dict[str, Any]) -> Path:
    np.savez_compressed(path, **arrays)
    return path
