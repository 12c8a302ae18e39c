"""The part of a head model that a fit looks at: its basis at the observed points, and Gram matrices of the face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.fitting.deformation import deformation_modes
from backend.fitting.types import EnergyWeights
from backend.head_model.dense_points import joined_points
from backend.head_model.gaze import FULL_LOOK_ANGLE, LOOK_ACTIONS
from backend.head_model.lids import lid_closure
from backend.head_model.model import JOINT_NAMES, HeadModel, SurfacePoints

F64 = NDArray[np.float64]

# How many times the face's usual acceleration these regions reach: a blink closes the lids in 2–3 frames at 25 fps
# (about 100 ms), 5 to 10 times the acceleration of a nod; lips in speech about double. Held to the same smoothness,
# blinks came out half closed and a frame early.
QUICKNESS = {"mouth": 2.0, "lids": 4.0}

EYES = ("left_eye", "right_eye")


@dataclass(frozen=True, eq=False)
class PointBasis:
    """Basis functions of N observed points and Gram matrices of the face's V vertices.

    The columns of every basis are (1, β…, φ…): 1 + K_id + K_ex = K, the last ``deform_count`` of the K_id being δ_d's.
    ``skin (Ns,3,K)`` for points that only deform, ``eye (Ne,3,K)`` for points that also turn about ``eye_joint
    (2,3,K)``. ``face_gram (3,3,K,K)`` = Σ_i λ_i B_ia B_ib and ``face_sum (3,K)`` = Σ_i λ_i B_ia, with Σλ_i = 1, over
    the head's vertices weighted by ``vertex_weight``.
    """

    identity_count: int
    deform_count: int
    expression_count: int
    skin_index: Tensor  # (Ns,) into the observed points
    skin: Tensor
    skin_single: Tensor  # ``skin`` in the precision of the Hessian's products
    eye_index: Tensor  # (Ne,)
    eye_side: Tensor  # (Ne,) 0 left, 1 right
    eye: Tensor
    eye_joint: Tensor
    face_gram: Tensor
    face_sum: Tensor
    lower: Tensor  # (K_ex,)
    upper: Tensor  # (K_ex,)
    prior: Tensor  # (K_ex+4,K_ex+4) quadratic form on (φ, gaze): priors that couple no frames
    eye_prior: Tensor  # (2,K_ex+4,K_ex+4) those of the (left, right) eye by itself
    sealed: tuple[int, int] | None  # (mouthClose, jawOpen) among the expressions, where the head has both
    closure: Tensor | None  # (2,K_ex) how far an expression closes the (left, right) lids; 1 is a full blink
    outer_canthi: Tensor  # (2,3,K) the outer eye corners, for the inter-ocular distance

    @property
    def size(self) -> int:
        """K = 1 + K_id + K_ex."""
        return 1 + self.identity_count + self.expression_count


def _columns(head: HeadModel, shape_basis: F64) -> F64:
    """All vertices' basis (V,3,K)."""
    shape = np.moveaxis(shape_basis, 0, -1)
    expression = np.moveaxis(head.expression_basis, 0, -1)
    return np.concatenate([head.template[..., None], shape, expression], axis=-1).astype(np.float64)


def shape_columns(head: HeadModel, identity_count: int, region: str | None, weights: EnergyWeights) -> F64:
    """(K_id,V,3): identity components and, where ``region`` is given, δ_d's modes after them."""
    shape = head.shape_basis[:identity_count].astype(np.float64)
    if region is None:
        return shape
    return np.concatenate([shape, deformation_modes(head, region, weights.deform_sigma, weights.deform_length)])


def _at_points(columns: F64, head: HeadModel, points: SurfacePoints) -> F64:
    corners = columns[head.triangles[points.triangle]]  # (N,3,3,K)
    return np.einsum("nc,ncak->nak", points.barycentric.astype(np.float64), corners)


def _prior(head: HeadModel, weights: EnergyWeights) -> F64:
    """Quadratic form on (φ, gaze): size, left/right symmetry, both eyes look at one thing."""
    names = list(head.expression_names)
    count = len(names)
    form = np.zeros((count + 4, count + 4))
    form[np.arange(count), np.arange(count)] = weights.expression
    for i, name in enumerate(names):
        partner = name[:-4] + "Right"
        if name.endswith("Left") and "Look" not in name and partner in names:
            form += _squared(weights.symmetry, {i: 1.0, names.index(partner): -1.0}, len(form))
    for axis in (0, 1):
        form += _squared(weights.vergence, {count + axis: 1.0, count + 2 + axis: -1.0}, len(form))
    return form


def _eye_prior(head: HeadModel, weights: EnergyWeights) -> F64:
    """Quadratic forms on (φ, gaze) of each eye: its lids follow it, and it looks ahead."""
    names = list(head.expression_names)
    count = len(names)
    forms = np.zeros((2, count + 4, count + 4))
    for side, (form, actions) in enumerate(zip(forms, LOOK_ACTIONS, strict=True)):
        yaw, pitch = count + 2 * side, count + 2 * side + 1
        form[[yaw, pitch], [yaw, pitch]] += weights.gaze
        if all(a in names for a in actions):
            plus_yaw, minus_yaw, up, down = (names.index(a) for a in actions)
            for plus, minus, angle in ((plus_yaw, minus_yaw, yaw), (up, down, pitch)):
                form += _squared(weights.gaze_lids, {plus: 1.0, minus: -1.0, angle: -1.0 / FULL_LOOK_ANGLE}, len(form))
    return forms


def _squared(weight: float, entries: Mapping[int, float], size: int) -> F64:
    """The form of ½ weight·(Σ entries·x)²."""
    row = np.zeros(size)
    row[list(entries)] = list(entries.values())
    return np.asarray(weight * np.outer(row, row))


def _sealed(head: HeadModel) -> tuple[int, int] | None:
    names = head.expression_names
    if "mouthClose" in names and "jawOpen" in names:
        return names.index("mouthClose"), names.index("jawOpen")
    return None


@lru_cache(maxsize=4)  # stills and single frames are fitted one after the other with the same head
def build_point_basis(
    head: HeadModel,
    point_sets: tuple[SurfacePoints, ...],
    weights: EnergyWeights,
    identity_count: int,
    deform_region: str | None,
    device: torch.device,
    hessian_dtype: torch.dtype = torch.float32,
) -> PointBasis:
    """Gather what a fit of ``head`` to its surface points ``point_sets``, set after set, needs, float64 on ``device``.

    ``deform_region`` names the region in which δ_d is solved for. ``hessian_dtype`` is the precision of the
    largest products of the normal equations: single is twice as fast and only bends the path to the minimum, which the
    double-precision gradient fixes.
    """
    shape = shape_columns(head, identity_count, deform_region, weights)
    deform_count = len(shape) - min(identity_count, len(head.shape_basis))
    identity_count = len(shape)
    columns = _columns(head, shape)
    eye_joints = [JOINT_NAMES.index(name) for name in EYES]
    joint = _joints(head, columns, eye_joints, identity_count)
    vertex_weight = _motion_weight(head, eye_joints)
    used = vertex_weight > 1e-3 * vertex_weight.max()
    weighted = columns[used] * vertex_weight[used, None, None]
    gram = np.einsum("vak,vbl->abkl", weighted, columns[used], optimize=True)
    ibug = _at_points(columns, head, head.landmarks["ibug68"])

    def tensor(array: NDArray[np.floating[Any]]) -> Tensor:
        return torch.as_tensor(np.ascontiguousarray(array), dtype=torch.float64, device=device)

    parts: dict[str, Any] = _points_parts(columns, head, joined_points(*point_sets), hessian_dtype, device)
    return PointBasis(
        identity_count=identity_count,
        deform_count=deform_count,
        expression_count=len(head.expression_names),
        **parts,
        eye_joint=tensor(joint),
        face_gram=tensor(gram),
        face_sum=tensor(weighted.sum(axis=0)),
        lower=tensor(head.expression_bounds[:, 0]),
        upper=tensor(head.expression_bounds[:, 1]),
        prior=tensor(_prior(head, weights)),
        eye_prior=tensor(_eye_prior(head, weights)),
        sealed=_sealed(head),
        closure=None if (closure := lid_closure(head)) is None else tensor(closure),
        outer_canthi=tensor(ibug[[36, 45]]),
    )


def with_points(basis: PointBasis, head: HeadModel, points: SurfacePoints) -> PointBasis:
    """The same unknowns' basis at other points (N), of the same head or one that differs in its expressions alone.

    Raises ``ValueError`` where δ_d is among the unknowns.
    """
    if basis.deform_count:
        raise ValueError("a basis with deformation modes cannot be moved to other points")
    columns = _columns(head, head.shape_basis[: basis.identity_count].astype(np.float64))
    parts: dict[str, Any] = _points_parts(columns, head, points, basis.skin_single.dtype, basis.skin.device)
    return replace(basis, **parts)


def _points_parts(
    columns: F64, head: HeadModel, points: SurfacePoints, hessian_dtype: torch.dtype, device: torch.device
) -> dict[str, Tensor]:
    """The fields of ``PointBasis`` that depend on the observed points."""
    basis = _at_points(columns, head, points)
    eye_joints = [JOINT_NAMES.index(name) for name in EYES]
    weight = np.einsum(
        "nc,ncj->nj", points.barycentric, head.skinning_weights[head.triangles[points.triangle]][..., eye_joints]
    )
    on_eye = weight.max(axis=1) > 0.5
    skin, eye = (torch.as_tensor(np.ascontiguousarray(basis[own]), device=device) for own in (~on_eye, on_eye))
    skin_index, eye_index, side = (
        torch.as_tensor(array, dtype=torch.long, device=device)
        for array in (np.flatnonzero(~on_eye), np.flatnonzero(on_eye), weight[on_eye].argmax(axis=1))
    )
    return {
        "skin_index": skin_index,
        "skin": skin,
        "skin_single": skin.to(hessian_dtype),
        "eye_index": eye_index,
        "eye_side": side,
        "eye": eye,
    }


def _joints(head: HeadModel, columns: F64, joints: list[int], identity_count: int) -> F64:
    """(J,3,K) of some joints. They come from the neutral head: their expression columns stay zero."""
    joint = np.einsum("jv,vak->jak", head.joint_regressor[joints].astype(np.float64), columns)
    joint[..., 1 + identity_count :] = 0.0
    return np.asarray(joint)


def _motion_weight(head: HeadModel, eye_joints: list[int]) -> F64:
    """(V,) what a vertex's motion counts, in all 1. Eyeballs turn and would need Gram matrices of their own: 0."""
    turning = head.skinning_weights[:, eye_joints].max(axis=1) > 1e-4
    weight = np.where(turning, 0.0, head.vertex_weight.astype(np.float64))
    for region, factor in QUICKNESS.items():
        if region in head.regions:
            weight[head.regions[region]] /= factor**2
    return np.asarray(weight / weight.sum())
