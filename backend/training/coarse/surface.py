"""The open head as the coarse losses see it: coefficients to vertices, normals and places in the crop, in torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from backend.head_model.action_weights import LIP_PAIRS
from backend.head_model.lids import LID_PAIRS
from backend.head_model.model import JOINT_NAMES, HeadModel

EYES = ("left_eye", "right_eye")
EDGE = 0.15
"""|cos| of the angle between normal and line of sight below which a vertex counts as the silhouette's: within 9° of it.

The open head's face has 207 of them from the front, 344 from the side, and 123 to 364 in between and from above.
"""


@dataclass(frozen=True, eq=False)
class Coefficients:
    """The open head's in B pictures, seen by weak perspective in a crop.

    ``identity (B,K_id)`` the first components, ``expression (B,K_ex)``, ``gaze (B,2,2)`` (left, right) × (yaw, pitch)
    radians, ``rotation (B,3,3)`` from head space to the crop's camera (x right, y down, z forward), which looks
    at the crop's middle with its roll; ``scale (B,)`` and ``shift (B,2)``: a head point p lies at scale · (R p)_xy +
    shift, in half sides of the crop from its middle.
    """

    identity: Tensor
    expression: Tensor
    gaze: Tensor
    rotation: Tensor
    scale: Tensor
    shift: Tensor

    def with_identity(self, identity: Tensor) -> Coefficients:
        """The same with another identity (eq. 9)."""
        return Coefficients(identity, self.expression, self.gaze, self.rotation, self.scale, self.shift)


class CoarseSurface(nn.Module):
    """The open head's skin of the face and its eyeballs, W vertices in all, and MediaPipe's 478 points on them."""

    template: Tensor
    identity: Tensor
    expression: Tensor
    triangles: Tensor
    corners: Tensor
    barycentric: Tensor
    joint_regressor: Tensor
    eyeballs: Tensor
    face: Tensor

    def __init__(self, head: HeadModel, identity: int) -> None:
        super().__init__()
        marks = head.landmarks["mediapipe478"]
        corners = head.triangles[marks.triangle]
        skin = head.regions["face"] & head.regions["skin"]
        balls = [head.regions[f"{side}_eyeball"] for side in ("left", "right")]
        used = skin | balls[0] | balls[1]
        used[corners] = True
        kept = np.flatnonzero(used)
        number = np.cumsum(used) - 1
        self.vertices: NDArray[np.intp] = kept
        flat = used[head.triangles].all(axis=1)
        joints = [JOINT_NAMES.index(name) for name in EYES]
        modes = head.shape_basis[:identity]
        neutral = np.concatenate([head.template[None], modes])
        arrays = {
            "template": head.template[kept],
            "identity": modes[:, kept].reshape(identity, -1),
            "expression": head.expression_basis[:, kept].reshape(len(head.expression_basis), -1),
            "triangles": number[head.triangles[flat]],
            "corners": number[corners],
            "barycentric": marks.barycentric,
            # the joints of the mean and what each identity component adds (1+K,2,3)
            "joint_regressor": np.einsum("jv,kvc->kjc", head.joint_regressor[joints], neutral),
            "eyeballs": np.stack([ball[kept] for ball in balls]),
            "face": skin[kept],
        }
        for name, array in arrays.items():
            kind = np.int64 if array.dtype.kind in "iu" else array.dtype if array.dtype == bool else np.float32
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(array, kind)))

    def neutral(self, identity: Tensor) -> Tensor:
        """(B,W,3) metres, head space, of (B,K_id)."""
        return self.template + (identity @ self.identity).view(len(identity), -1, 3)

    def posed(self, coefficients: Coefficients) -> Tensor:
        """(B,W,3) metres, head space, with expression; the eyes turned about their joints."""
        own = coefficients
        shape = self.neutral(own.identity) + (own.expression @ self.expression).view(len(own.expression), -1, 3)
        one = own.identity.new_ones(len(own.identity), 1)
        joints = torch.einsum("bk,kjc->bjc", torch.cat([one, own.identity], 1), self.joint_regressor)
        turn = eye_rotation(own.gaze)
        for side in (0, 1):
            away = shape - joints[:, None, side]
            turned = away @ turn[:, side].mT + joints[:, None, side]
            shape = torch.where(self.eyeballs[side][None, :, None], turned, shape)
        return shape

    def landmarks(self, vertices: Tensor) -> Tensor:
        """MediaPipe's points (B,478,3) of vertices (B,W,3) in any space."""
        return (vertices[:, self.corners] * self.barycentric[..., None]).sum(2)

    def normals(self, vertices: Tensor) -> Tensor:
        """Unit normals (B,W,3), area-weighted, outward as the triangles are counter-clockwise seen from outside."""
        return vertex_normals(vertices, self.triangles)


def vertex_normals(vertices: Tensor, triangles: Tensor) -> Tensor:
    """Unit normals (B,W,3) of vertices (B,W,3) and ``triangles (F,3)``, which are counter-clockwise from outside."""
    a, b, c = (vertices[:, triangles[:, k]] for k in range(3))
    facing = torch.linalg.cross(b - a, c - a)
    summed = torch.zeros_like(vertices)
    for k in range(3):
        summed = summed.index_add(1, triangles[:, k], facing)
    return functional.normalize(summed, dim=-1, eps=1e-12)


def eye_rotation(gaze: Tensor) -> Tensor:
    """(…,3,3) of angles (…,2) = (yaw, pitch): R = R_y(yaw) R_x(−pitch), as ``backend.head_model.model`` has it."""
    (cy, cp), (sy, sp) = gaze.cos().unbind(-1), gaze.sin().unbind(-1)
    zero = torch.zeros_like(cy)
    rows = [cy, -sy * sp, sy * cp, zero, cp, sp, -sy, -cy * sp, cy * cp]
    return torch.stack(rows, -1).reshape(*gaze.shape[:-1], 3, 3)


def in_crop(vertices: Tensor, coefficients: Coefficients) -> Tensor:
    """Head-space points (B,W,3) in the crop: x and y in half sides from its middle, z of the same unit, forward."""
    seen = vertices @ coefficients.rotation.mT * coefficients.scale[:, None, None]
    return seen + functional.pad(coefficients.shift, (0, 1))[:, None]


def silhouette(normals: Tensor, edge: float = EDGE) -> Tensor:
    """(B,W) bool: vertices whose normals (B,W,3), in the camera's axes, stand across the line of sight (supplement §4).

    By weak perspective the line of sight is z everywhere.
    """
    return normals[..., 2].abs() < edge


def special_pairs() -> NDArray[np.intp]:
    """(Q,2) of MediaPipe's points that face each other across the lips' and the lids' gaps (eq. 2)."""
    return np.array([*LIP_PAIRS, *(pair for eye in LID_PAIRS for pair in eye)], np.intp)
