"""The energy of one picture with the person known: the fit's own terms (``backend.fitting.problem``) for one frame.

What couples frames in a fit, accelerations of what comes before and after, is here a pull to the last picture's answer.
Plain numpy, since of one frame torch's bookkeeping would take longer than the arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.fitting.types import EnergyWeights
from backend.live.frame_basis import GAZE, POSE, FrameBasis

F64 = NDArray[np.float64]
NEAREST = 1e-3
"""Metres of depth below which nothing is projected, as in ``fitting.geometry.project``."""


@dataclass(frozen=True, eq=False)
class FrameState:
    """A face in one picture: ``expression (K,)``; head to camera space ``rotation (3,3)``, ``translation (3,)``;
    ``gaze (4,)`` = (left, right) × (yaw, pitch), radians."""

    expression: F64
    rotation: F64
    translation: F64
    gaze: F64

    def moved(self, step: F64, basis: FrameBasis) -> FrameState:
        """After a step (K+10,) = (φ, δ, τ, gaze): R ← R exp(δ), t ← t + R τ, φ clamped to its bounds."""
        count = basis.count
        turn = Rotation.from_rotvec(step[count : count + 3]).as_matrix()
        return FrameState(
            expression=np.clip(self.expression + step[:count], basis.lower, basis.upper),
            rotation=self.rotation @ turn,
            translation=self.translation + self.rotation @ step[count + 3 : count + POSE],
            gaze=self.gaze + step[count + POSE :],
        )


@dataclass(frozen=True, eq=False)
class Told:
    """What one picture tells: N points, P pairs, Q points of the outline; precisions are 1/σ², 0 where nothing is told.

    ``mu (N,2)``, ``precision (N,)``; ``difference (P,2)``, ``pair_precision (P,)``; ``position``, ``normal (Q,2)``,
    ``outline_precision (Q,)``, all in pixels; ``closure``, ``closure_weight (2,)`` of the lids; ``target``,
    ``target_precision (K,)`` of the actions and ``sparse_weight (K,)`` of their pull to 0; ``eyes (2,)`` 1 for an eye
    that is seen.
    """

    mu: F64
    precision: F64
    difference: F64
    pair_precision: F64
    position: F64
    normal: F64
    outline_precision: F64
    closure: F64
    closure_weight: F64
    target: F64
    target_precision: F64
    sparse_weight: F64
    eyes: F64


@dataclass(frozen=True, eq=False)
class Before:
    """The last picture's answer, and how strongly this one's is pulled to it: 1/σ² of expressions and gaze angles."""

    state: FrameState
    expression_precision: float
    gaze_precision: float


@dataclass(frozen=True)
class Lens:
    """A pinhole camera, pixels."""

    focal_px: float
    principal_point: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Quadratic:
    """The energy about a state: ``energy``, ``gradient (D,)``, Gauss–Newton ``form (D,D)``, D = K + 10."""

    energy: float
    gradient: F64
    form: F64

    @property
    def diagonal(self) -> F64:
        """(D,) of ``form``, to be added to."""
        return np.einsum("ii->i", self.form)


@dataclass(frozen=True, eq=False)
class FrameEnergy:
    """The energy of one picture, to be asked at any state."""

    basis: FrameBasis
    weights: EnergyWeights
    lens: Lens
    told: Told
    before: Before | None = None

    def with_before(self, before: Before | None) -> FrameEnergy:
        """The same, pulled to another picture's answer."""
        return replace(self, before=before)

    def at(self, state: FrameState, points: Projected | None = None) -> float:
        """The energy alone; ``points`` is what ``project`` gave of the state."""
        points = points or self.project(state)
        residual = points.image - self.told.mu
        image = points.image[self.basis.skin_index]
        pairs = image[self.basis.first] - image[self.basis.second] - self.told.difference
        across = ((image[self.basis.outline] - self.told.position) * self.told.normal).sum(-1)
        energy = _cauchy((residual**2).sum(-1) * self.told.precision, self.weights.robust_scale)
        energy += _cauchy((pairs**2).sum(-1) * self.told.pair_precision, self.weights.robust_scale)
        energy += _cauchy(across**2 * self.told.outline_precision, self.weights.robust_scale)
        return energy + self._priors(state, None)

    def about(self, state: FrameState, points: Projected | None = None) -> Quadratic:
        """Energy, gradient and Gauss–Newton form; robust kernels by iteratively reweighted least squares."""
        basis, told = self.basis, self.told
        points = points or self.project(state)
        jacobian = self.jacobian(state, points)
        skin, image = jacobian[basis.skin_index], points.image[basis.skin_index]
        residual = points.image - told.mu
        pairs = image[basis.first] - image[basis.second] - told.difference
        across = ((image[basis.outline] - told.position) * told.normal).sum(-1)
        energy, rows, pulls = 0.0, [], []
        for off, by, precision in (
            (residual, jacobian, told.precision),
            (pairs, skin[basis.first] - skin[basis.second], told.pair_precision),
            (across[:, None], (told.normal[:, None] @ skin[basis.outline]), told.outline_precision),
        ):
            squared = (off**2).sum(-1) * precision
            energy += _cauchy(squared, self.weights.robust_scale)
            root = np.sqrt(precision / (1 + squared / self.weights.robust_scale**2))
            rows.append((by * root[:, None, None]).reshape(-1, by.shape[-1]))
            pulls.append((off * root[:, None]).ravel())
        stacked, pull = np.concatenate(rows), np.concatenate(pulls)
        # Single precision bends the path to the minimum at most; the gradient, which fixes it, is double.
        single = stacked.astype(np.float32)
        quadratic = Quadratic(0.0, pull @ stacked, (single.T @ single).astype(np.float64))
        return replace(quadratic, energy=energy + self._priors(state, quadratic))

    def jacobian(self, state: FrameState, points: Projected | None = None) -> F64:
        """(N,2,D) of the points in the picture by the unknowns."""
        basis, points = self.basis, points or self.project(state)
        count = basis.count
        by_point = points.by_camera @ state.rotation  # (N,2,3) by the point in head space
        jacobian = np.zeros((basis.points, 2, count + POSE + GAZE))
        skin, eye = by_point[basis.skin_index], by_point[basis.eye_index]
        jacobian[basis.skin_index, :, :count] = skin @ basis.skin_columns
        turned = points.eye_rotation[basis.eye_side] @ basis.eye_columns
        jacobian[basis.eye_index, :, :count] = eye @ turned
        x, y, z = points.head.T
        first = count
        jacobian[:, :, first] = by_point[..., 2] * y[:, None] - by_point[..., 1] * z[:, None]
        jacobian[:, :, first + 1] = by_point[..., 0] * z[:, None] - by_point[..., 2] * x[:, None]
        jacobian[:, :, first + 2] = by_point[..., 1] * x[:, None] - by_point[..., 0] * y[:, None]
        jacobian[:, :, first + 3 : first + POSE] = by_point
        for place, side, own in zip(basis.eye_index, basis.eye_side, eye @ points.eye_turned, strict=True):
            at = count + POSE + 2 * side
            jacobian[place, :, at : at + 2] = own
        return jacobian

    def project(self, state: FrameState) -> Projected:
        """The points in the picture, and what their derivatives need."""
        basis = self.basis
        head = np.empty((basis.points, 3))
        head[basis.skin_index] = basis.skin + basis.skin_columns @ state.expression
        rotation, turned = _gaze(state.gaze.reshape(2, 2))
        joint = basis.eye_joint[basis.eye_side]
        arm = basis.eye + basis.eye_columns @ state.expression - joint
        own = rotation[basis.eye_side]
        head[basis.eye_index] = joint + (own @ arm[..., None])[..., 0]
        eye_turned = np.einsum("ngab,nb->nag", turned[basis.eye_side], arm)
        camera = head @ state.rotation.T + state.translation
        depth = np.maximum(camera[:, 2], NEAREST)
        scale = self.lens.focal_px / depth
        image = camera[:, :2] * scale[:, None] + self.lens.principal_point
        by_camera = np.zeros((len(head), 2, 3))
        by_camera[:, 0, 0] = by_camera[:, 1, 1] = scale
        by_camera[:, :, 2] = camera[:, :2] * (-scale / depth)[:, None]
        return Projected(head, image, by_camera, rotation, eye_turned)

    def _priors(self, state: FrameState, into: Quadratic | None) -> float:
        """What looks at no pixel: priors, lids, the actions that are told, and the last picture's answer.

        Gradient and form are added to ``into``.
        """
        basis, told, count = self.basis, self.told, self.basis.count
        phi = state.expression
        values = np.concatenate([phi, state.gaze])
        form = basis.prior + told.eyes[0] * basis.eye_prior[0] + told.eyes[1] * basis.eye_prior[1]
        pull = form @ values
        pulled = self.weights.opposed_actions * (basis.opposed @ phi)
        energy = 0.5 * float(values @ pull + phi @ pulled)
        if into is not None:
            _add_blocks(into, form, count)
            into.gradient[:count] += pull[:count] + pulled
            into.gradient[count + POSE :] += pull[count:]
            into.form[:count, :count] += self.weights.opposed_actions * basis.opposed_convex
        if basis.closure is not None:
            off = basis.closure @ phi - told.closure
            energy += 0.5 * float(told.closure_weight @ off**2)
            if into is not None:
                into.gradient[:count] += (told.closure_weight * off) @ basis.closure
                into.form[:count, :count] += (basis.closure.T * told.closure_weight) @ basis.closure
        return energy + self._seal(phi, into) + self._told_actions(phi, into) + self._pulled_back(state, into)

    def _seal(self, phi: F64, into: Quadratic | None) -> float:
        """½ w max(0, mouthClose − jawOpen)²."""
        if self.basis.sealed is None:
            return 0.0
        close, jaw = self.basis.sealed
        excess, weight = max(float(phi[close] - phi[jaw]), 0.0), self.weights.lip_seal
        if into is not None and excess > 0:
            into.gradient[[close, jaw]] += (weight * excess, -weight * excess)
            into.form[[close, jaw], [close, jaw]] += weight
            into.form[[close, jaw], [jaw, close]] -= weight
        return 0.5 * weight * excess**2

    def _told_actions(self, phi: F64, into: Quadratic | None) -> float:
        """The witness's pull, and the pull to 0 of what it does not tell."""
        told, scale, knee = self.told, self.weights.witness_robust_scale, self.weights.sparse_knee
        off = phi - told.target
        squared = off**2 * told.target_precision
        if into is not None:
            weight = told.target_precision / (1 + squared / scale**2)
            into.gradient[: len(phi)] += weight * off + told.sparse_weight / (1 + phi / knee)
            into.diagonal[: len(phi)] += weight
        return _cauchy(squared, scale) + float(told.sparse_weight @ (knee * np.log1p(phi / knee)))

    def _pulled_back(self, state: FrameState, into: Quadratic | None) -> float:
        if self.before is None:
            return 0.0
        count, before = self.basis.count, self.before
        off, looked = state.expression - before.state.expression, state.gaze - before.state.gaze
        if into is not None:
            into.diagonal[:count] += before.expression_precision
            into.diagonal[count + POSE :] += before.gaze_precision
            into.gradient[:count] += before.expression_precision * off
            into.gradient[count + POSE :] += before.gaze_precision * looked
        return 0.5 * float(before.expression_precision * off @ off + before.gaze_precision * looked @ looked)


def _add_blocks(into: Quadratic, form: F64, count: int) -> None:
    """Add a form on (φ, gaze) to one on (φ, pose, gaze)."""
    last = count + POSE
    into.form[:count, :count] += form[:count, :count]
    into.form[:count, last:] += form[:count, count:]
    into.form[last:, :count] += form[count:, :count]
    into.form[last:, last:] += form[count:, count:]


@dataclass(frozen=True, eq=False)
class Projected:
    """N points ``head (N,3)`` in head space and ``image (N,2)``; ``by_camera (N,2,3)`` the picture's derivative by the
    point in camera space; ``eye_rotation (2,3,3)``, and ``eye_turned (Ne,3,2)`` the eyes' points by yaw and pitch."""

    head: F64
    image: F64
    by_camera: F64
    eye_rotation: F64
    eye_turned: F64


def _cauchy(squared: F64, scale: float) -> float:
    """Σ ½ c² log(1 + r²/c²) of squared residuals in σ²."""
    return 0.5 * scale**2 * float(np.log1p(squared / scale**2).sum())


def _gaze(gaze: F64) -> tuple[F64, F64]:
    """(2,3,3) R_y(yaw) R_x(−pitch) of gaze (2,2), and (2,2,3,3) its derivatives to yaw and pitch."""
    (cy, cp), (sy, sp) = np.cos(gaze).T, np.sin(gaze).T
    zero = np.zeros(2)
    rotation = np.stack([cy, -sy * sp, sy * cp, zero, cp, sp, -sy, -cy * sp, cy * cp], -1)
    by_yaw = np.stack([-sy, -cy * sp, cy * cp, zero, zero, zero, -cy, sy * sp, -sy * cp], -1)
    by_pitch = np.stack([zero, -sy * cp, -sy * sp, zero, -sp, cp, zero, -cy * cp, -cy * sp], -1)
    return rotation.reshape(2, 3, 3), np.stack([by_yaw, by_pitch], 1).reshape(2, 2, 3, 3)
