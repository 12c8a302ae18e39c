"""Bundle adjustment: cameras and free points at once, from where the points were seen (Triggs et al. 2000).

The points stand for themselves here, not for a head's surface, so that what a head model cannot be does not bend the
cameras. They are eliminated by a Schur complement; what is left has seven unknowns a camera. The frames of a turning
head are cameras too, about a head that stands still, with one focal length between them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

F64 = NDArray[np.float64]
Index = NDArray[np.intp]

OWN = 7
"""A camera's unknowns: a turn (3) about the points' middle, in its own axes, a shift (3), log focal (1)."""
ROBUST = 2.0  # σ; beyond it a keypoint's pull fades (Cauchy), as in the fit
POINT_SIGMA = 0.005
"""Metres: how far points may be from where the fitted head has them. Far more than they are: it only holds the gauge.
"""
MAX_ITERATIONS = 80
TOLERANCE = 1e-6  # stop when a step lowers the energy by less than this fraction
STUCK = 1e8  # damping


@dataclass(frozen=True, eq=False)
class Sightings:
    """n sightings of P points by C cameras: ``camera (n,)``, ``point (n,)``, ``seen (n,2)`` ideal pixels, ``sigma
    (n,)`` pixels; ``principal_point (C,2)``; ``moved (n,3)`` metres by which a point was elsewhere when it was seen, 0
    for points that stand still."""

    camera: Index
    point: Index
    seen: F64
    sigma: F64
    principal_point: F64
    moved: F64 | float = 0.0


@dataclass(frozen=True, eq=False)
class Bundle:
    """Pinhole cameras x = R·(X − middle) + t and points: ``rotation (C,3,3)``, ``translation (C,3)`` metres,
    ``log_focal (C,)`` of pixels, ``points (P,3)`` metres in the world. ``middle (3,)`` stays where it is."""

    rotation: F64
    translation: F64
    log_focal: F64
    points: F64
    middle: F64

    @classmethod
    def of(cls, world_to_camera: F64, focal_px: F64, points: F64) -> Bundle:
        """From [R | t] (C,3,4), focal lengths (C,) and points (P,3)."""
        middle = points.mean(axis=0)
        turn = world_to_camera[:, :, :3]
        return cls(turn, world_to_camera[:, :, 3] + turn @ middle, np.log(focal_px), points, middle)

    @property
    def world_to_camera(self) -> F64:
        """[R | t] (C,3,4)."""
        shift = self.translation - self.rotation @ self.middle
        return np.concatenate([self.rotation, shift[:, :, None]], axis=2)


@dataclass(frozen=True, eq=False)
class Priors:
    """The prior knowledge of a bundle adjustment, and the unknowns that it solves for.

    ``points (P,3)`` where the fit has them; log focals ½ (x − usual)ᵀ form (x − usual), with ``focal_form (C,C)``,
    ``focal_usual (C,)``; ``free (C,7)`` which unknowns of the cameras are solved for. With ``one_focal`` the free log
    focals, which start alike, stay alike. ``point_sigma`` metres is how far a point may be from where the fit has it.
    """

    points: F64
    focal_form: F64
    focal_usual: F64
    free: NDArray[np.bool_]
    one_focal: bool = False
    point_sigma: float = POINT_SIGMA

    @property
    def unknowns(self) -> F64:
        """(7C,n) by how much each of the n unknowns that are solved for moves each camera's own."""
        columns = np.eye(self.free.size)[:, np.flatnonzero(self.free.ravel())]
        focal = np.flatnonzero(self.free.ravel()) % OWN == OWN - 1
        if not self.one_focal or not focal.any():
            return columns
        return np.concatenate([columns[:, ~focal], columns[:, focal].sum(axis=1, keepdims=True)], axis=1)


def residuals(bundle: Bundle, sightings: Sightings) -> F64:
    """Projected minus seen positions (n,2), pixels."""
    camera = _in_camera(bundle, sightings)
    focal = np.exp(bundle.log_focal)[sightings.camera, None]
    return camera[:, :2] / camera[:, 2:] * focal + sightings.principal_point[sightings.camera] - sightings.seen


def jacobians(bundle: Bundle, sightings: Sightings) -> tuple[F64, F64]:
    """Derivatives of ``residuals`` by the own unknowns of the camera that saw it (n,2,7) and by the point (n,2,3)."""
    at = _in_camera(bundle, sightings)
    focal = np.exp(bundle.log_focal)[sightings.camera]
    by_position = np.zeros((len(at), 2, 3))
    by_position[:, (0, 1), (0, 1)] = (focal / at[:, 2])[:, None]
    by_position[:, :, 2] = -at[:, :2] * (focal / at[:, 2] ** 2)[:, None]
    x, y, z = (at - bundle.translation[sightings.camera]).T
    turned = np.zeros((len(at), 3, 3))
    turned[:, 0, 1], turned[:, 0, 2], turned[:, 1, 2] = z, -y, x
    turned -= turned.transpose(0, 2, 1)
    by_focal = at[:, :2] / at[:, 2:] * focal[:, None]
    by_camera = np.concatenate([by_position @ turned, by_position, by_focal[:, :, None]], axis=2)
    return by_camera, by_position @ bundle.rotation[sightings.camera]


def energy(bundle: Bundle, sightings: Sightings, priors: Priors) -> float:
    """Σ ½c² log(1 + |r|²/(σc)²) of the sightings, and the priors."""
    squared = np.square(residuals(bundle, sightings)).sum(axis=1) / sightings.sigma**2
    off = bundle.log_focal - priors.focal_usual
    moved = np.square(bundle.points - priors.points).sum() / priors.point_sigma**2
    robust = ROBUST**2 * np.log1p(squared / ROBUST**2).sum()
    return float(0.5 * (robust + moved + off @ priors.focal_form @ off))


def adjust(start: Bundle, sightings: Sightings, priors: Priors, check: Callable[[], None] = lambda: None) -> Bundle:
    """The bundle of least energy, by Levenberg and Marquardt's method; ``check`` is called every step and may raise."""
    bundle, best, damping = start, energy(start, sightings, priors), 1e-3
    for _ in range(MAX_ITERATIONS):
        equations = _Equations.of(bundle, sightings, priors)
        gain = 0.0
        while damping < STUCK:
            check()
            tried = equations.step(bundle, damping)
            now = energy(tried, sightings, priors)
            if now < best:
                gain, bundle, best, damping = best - now, tried, now, max(damping / 10, 1e-9)
                break
            damping *= 10
        if gain <= TOLERANCE * best:
            break
    return bundle


def focal_sigma(bundle: Bundle, sightings: Sightings, priors: Priors) -> F64:
    """(C,) standard deviation of the log focals that the sightings alone leave; 0 where they are not solved for.

    Two cameras, or several in nearly one place, see the same pictures of a flatter face from further away: the bas
    relief (Koenderink and van Doorn 1991).
    """
    silent = replace(priors, focal_form=np.zeros_like(priors.focal_form))
    covariance, _, _ = _Equations.of(bundle, sightings, silent).covariance()
    return np.sqrt(np.maximum(np.diag(covariance), 0)).reshape(-1, OWN)[:, -1]


def point_covariance(bundle: Bundle, sightings: Sightings, priors: Priors) -> F64:
    """(P,3,3) m² how well sightings and priors tell each point, the cameras' own uncertainty included."""
    covariance, eliminated, inverse = _Equations.of(bundle, sightings, priors).covariance()
    return np.asarray(inverse + eliminated.transpose(0, 2, 1) @ covariance @ eliminated)


@dataclass(frozen=True, eq=False)
class _Equations:
    """Gauss and Newton's: cameras (7C,7C), points (P,3,3), between both (P,7C,3), gradients (7C,) and (P,3)."""

    cameras: F64
    points: F64
    between: F64
    camera_gradient: F64
    point_gradient: F64
    unknowns: F64

    @classmethod
    def of(cls, bundle: Bundle, sightings: Sightings, priors: Priors) -> _Equations:
        residual = residuals(bundle, sightings)
        by_camera, by_point = jacobians(bundle, sightings)
        camera, point = sightings.camera, sightings.point
        count, points = len(bundle.log_focal), len(bundle.points)
        precision = sightings.sigma**-2
        weight = precision / (1 + np.square(residual).sum(axis=1) * precision / ROBUST**2)
        pulled = weight[:, None, None] * by_camera
        own, own_gradient = np.zeros((count, OWN, OWN)), np.zeros((count, OWN))
        np.add.at(own, camera, np.einsum("nia,nib->nab", pulled, by_camera))
        np.add.at(own_gradient, camera, np.einsum("nia,ni->na", pulled, residual))
        form, gradient = np.zeros((points, 3, 3)), (bundle.points - priors.points) / priors.point_sigma**2
        np.add.at(form, point, np.einsum("n,nia,nib->nab", weight, by_point, by_point))
        np.add.at(gradient, point, np.einsum("n,nia,ni->na", weight, by_point, residual))
        form += np.eye(3) / priors.point_sigma**2
        cameras = np.zeros((count, OWN, count, OWN))
        each = np.arange(count)
        cameras[each, :, each, :] = own
        cameras[:, -1, :, -1] += priors.focal_form
        own_gradient[:, -1] += priors.focal_form @ (bundle.log_focal - priors.focal_usual)
        between = np.zeros((points, count, OWN, 3))
        between[point, camera] = np.einsum("nia,nib->nab", pulled, by_point)
        return cls(
            cameras.reshape(count * OWN, count * OWN),
            form,
            between.reshape(points, count * OWN, 3),
            own_gradient.ravel(),
            gradient,
            priors.unknowns,
        )

    def reduced(self, damping: float = 0.0) -> tuple[F64, F64, F64]:
        """With the points eliminated, what is left for the cameras (7C,7C); (P,7C,3) and (P,3,3) to get them back."""
        inverse = np.linalg.inv(self.points * (1 + damping * np.eye(3)))
        eliminated = self.between @ inverse
        schur = self.cameras + damping * np.diag(np.diag(self.cameras))
        return schur - np.tensordot(eliminated, self.between, axes=((0, 2), (0, 2))), eliminated, inverse

    def covariance(self) -> tuple[F64, F64, F64]:
        """The cameras' unknowns' (7C,7C), 0 where not solved for; (P,7C,3) and (P,3,3) as ``reduced`` gives them."""
        schur, eliminated, inverse = self.reduced()
        own = self.unknowns
        if not own.shape[1]:
            return np.zeros_like(schur), eliminated, inverse
        return own @ np.linalg.pinv(own.T @ schur @ own, hermitian=True) @ own.T, eliminated, inverse

    def step(self, bundle: Bundle, damping: float) -> Bundle:
        """The bundle after one damped step."""
        schur, eliminated, inverse = self.reduced(damping)
        right = self.camera_gradient - np.einsum("pac,pc->a", eliminated, self.point_gradient)
        own, moved = self.unknowns, np.zeros(len(right))
        if own.shape[1]:
            moved = -own @ np.linalg.solve(own.T @ schur @ own, own.T @ right)
        pulled = self.point_gradient + np.einsum("pac,a->pc", self.between, moved)
        step = moved.reshape(-1, OWN)
        return Bundle(
            Rotation.from_rotvec(step[:, :3]).as_matrix() @ bundle.rotation,
            bundle.translation + step[:, 3:6],
            bundle.log_focal + step[:, 6],
            bundle.points - np.einsum("pij,pj->pi", inverse, pulled),
            bundle.middle,
        )


def _in_camera(bundle: Bundle, sightings: Sightings) -> F64:
    """The points (n,3) in the space of the cameras that saw them."""
    off = bundle.points[sightings.point] + sightings.moved - bundle.middle
    turned = np.einsum("nij,nj->ni", bundle.rotation[sightings.camera], off)
    return np.asarray(turned + bundle.translation[sightings.camera])
