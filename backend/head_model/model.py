"""The HeadModel contract: any head in FLAME form, as plain arrays (DESIGN §3)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocol.face_actions import ARKIT_ACTIONS

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int32]
BoolArray = NDArray[np.bool_]

JOINT_NAMES = ("root", "neck", "jaw", "left_eye", "right_eye")
"""Every head has these joints, in this order; left and right are the subject's."""


@dataclass(frozen=True, eq=False)
class SurfacePoints:
    """N points on a head's surface: a triangle each and barycentric weights in it.

    ``triangle (N,)`` int32 indexes ``HeadModel.triangles``; ``barycentric (N,3)`` float32 sums to 1 per row (a row may
    leave [0, 1] slightly where a landmark floats off the surface, as the iris centres do).
    """

    triangle: IntArray
    barycentric: FloatArray

    def __len__(self) -> int:
        return len(self.triangle)


@dataclass(frozen=True, eq=False)
class HeadModel:
    """A head whose vertices are linear in identity and expression, and whose eyes turn about their joints.

    Head space: metres, +x the subject's left, +y up, +z out of the face. V vertices, F triangles, U atlas vertices,
    J = 5 joints (``JOINT_NAMES``).
    """

    id: str
    template: FloatArray  # (V,3) m
    shape_basis: FloatArray  # (K_id,V,3) m per standard deviation: identity coefficients have a unit normal prior
    expression_basis: FloatArray  # (K_ex,V,3) m per unit of expression coefficient
    expression_names: tuple[str, ...]  # K_ex; ARKit names where the head has ARKit actions
    expression_bounds: FloatArray  # (K_ex,2) lower and upper bound; ±inf where a coefficient is free
    triangles: IntArray  # (F,3) counter-clockwise seen from outside
    uv: FloatArray  # (V,2) canonical atlas coordinate of each vertex in [0,1], v upwards
    uv_vertices: FloatArray  # (U,2) atlas vertices; more than V where seams split a vertex
    uv_triangles: IntArray  # (F,3) indices into uv_vertices
    joint_regressor: FloatArray  # (J,V) joint = regressor @ neutral vertices
    skinning_weights: FloatArray  # (V,J), rows sum to 1
    parents: IntArray  # (J,) parent joint, -1 for the root
    regions: Mapping[str, BoolArray]  # name -> (V,); at least face, mouth, nose, eyes, ears, skin, left_eyeball, …
    landmarks: Mapping[str, SurfacePoints]  # at least "mediapipe478" and "ibug68"
    vertex_weight: FloatArray  # (V,) λ of seeds/000 D.3: 1 on face and ears, 0.005 elsewhere
    licence: str
    provenance: Mapping[str, str] = field(default_factory=dict)  # what it was made from, with versions
    # ARKit actions where the expressions are not those themselves; read them through ``actions_of``
    action_names: tuple[str, ...] = ()
    action_basis: FloatArray = field(default_factory=lambda: np.zeros((0, 0, 3), np.float32))  # (A,V,3) m at strength 1
    # (Q,2) triangles that are the two halves of one quad of the source; what is in no pair is a triangle there too
    quads: IntArray = field(default_factory=lambda: np.zeros((0, 2), np.int32))

    @property
    def vertex_count(self) -> int:
        return len(self.template)

    @property
    def hash(self) -> str:
        """First 16 hex digits of a SHA-256 over everything that changes what a coefficient means."""
        digest = hashlib.sha256(self.id.encode())
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name == "quads":
                continue  # the same surface, whichever way it is told
            # a head without actions of its own keeps the hash that tracks made before there were any refer to
            if isinstance(value, np.ndarray) and (value.size or item.name != "action_basis"):
                digest.update(item.name.encode())
                digest.update(np.ascontiguousarray(value).tobytes())
        return digest.hexdigest()[:16]

    def neutral(self, identity: NDArray[np.floating[Any]]) -> FloatArray:
        """Neutral vertices (V,3) in metres for identity coefficients (k,), k ≤ K_id (missing ones are 0)."""
        k = len(identity)
        return self.template + np.einsum("k,kvc->vc", np.asarray(identity, np.float32), self.shape_basis[:k])

    def joints(self, neutral: NDArray[np.floating[Any]]) -> FloatArray:
        """Joint positions (J,3) in head space, metres, of a neutral head (V,3)."""
        return (self.joint_regressor @ np.asarray(neutral, np.float32)).astype(np.float32)


def actions_of(head: HeadModel) -> tuple[tuple[str, ...], FloatArray]:
    """The ARKit actions of a head: their names (A) and offsets (A,V,3), metres at strength 1.

    Those in ``action_basis`` where it has them; else those of its expressions that bear ARKit names, in the order of
    ``ARKIT_ACTIONS``. Names are among ``ARKIT_ACTIONS``; a head may lack some.
    """
    if head.action_names:
        return head.action_names, head.action_basis
    rows = [head.expression_names.index(name) for name in ARKIT_ACTIONS if name in head.expression_names]
    return tuple(head.expression_names[row] for row in rows), head.expression_basis[rows]


def gaze_rotation(gaze: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Rotation matrices (…,3,3) of gaze angles (…,2) = (yaw, pitch) in radians, in head space.

    Yaw is positive towards the subject's left, pitch upwards; both zero look along +z: R = R_y(yaw) R_x(−pitch).
    """
    angles = np.asarray(gaze, np.float64)
    cy, sy = np.cos(angles[..., 0]), np.sin(angles[..., 0])
    cp, sp = np.cos(angles[..., 1]), np.sin(angles[..., 1])
    zero = np.zeros_like(cy)
    rows = [cy, -sy * sp, sy * cp, zero, cp, sp, -sy, -cy * sp, cy * cp]
    return np.stack(rows, axis=-1).reshape(*angles.shape[:-1], 3, 3)


def posed_vertices(
    head: HeadModel,
    neutral: NDArray[np.floating[Any]],
    expression: NDArray[np.floating[Any]],
    gaze: NDArray[np.floating[Any]],
) -> FloatArray:
    """Vertices (T,V,3) in head space, metres, of a person over T frames.

    ``neutral (V,3)``, ``expression (T,K_ex)``, ``gaze (T,2,2)`` = (left, right) × (yaw, pitch). The expression offsets
    are added first, then each eye turns rigidly about its joint, weighted by ``skinning_weights``.
    """
    offsets = np.einsum("tk,kvc->tvc", np.asarray(expression, np.float32), head.expression_basis)
    vertices = np.asarray(neutral, np.float32)[None] + offsets
    joints = head.joints(neutral)
    for side, name in enumerate(("left_eye", "right_eye")):
        joint = JOINT_NAMES.index(name)
        index = np.flatnonzero(head.skinning_weights[:, joint] > 1e-4)
        weight = head.skinning_weights[index, joint][None, :, None]
        rotation = gaze_rotation(np.asarray(gaze)[:, side]).astype(np.float32)
        centred = vertices[:, index] - joints[joint]
        turned = np.einsum("tij,tvj->tvi", rotation, centred)
        vertices[:, index] += weight * (turned - centred)
    return vertices


def surface_positions(
    points: SurfacePoints, triangles: IntArray, vertices: NDArray[np.floating[Any]]
) -> NDArray[np.floating[Any]]:
    """Positions (…,N,3) of surface points on vertices (…,V,3)."""
    corners = vertices[..., triangles[points.triangle], :]
    return np.einsum("nk,...nkc->...nc", points.barycentric, corners)
