"""The same skin in stills of different moments: a head that stands still, and as many cameras as there are stills.

What a still's expression moves is taken back by what the fit says of it, and the skin that moves much is left out where
cameras are placed; the fit that follows sees all of it, with an expression of its own for each still.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.fitting import FitOptions, FitResult, View
from backend.fitting.posed import neutral_vertices, world_vertices
from backend.fitting.problem import focal_form
from backend.head_model.model import HeadModel, posed_vertices, surface_positions
from backend.head_model.posed import PosedHead
from backend.observations import PointSet
from backend.skin_matching.bundle_adjustment import OWN, Bundle, Priors, Sightings, adjust, focal_sigma, residuals
from backend.skin_matching.keypoints import Keypoints
from backend.skin_matching.match import Matches, match
from backend.skin_matching.refine_views import FEWEST, POORLY_CONSTRAINED, SIDES, SKIN, TELLING, ViewPictures
from backend.skin_matching.unwrap import Unwrapped, face_texels, pixels_per_texel, unwrap

F64 = NDArray[np.float64]
Check = Callable[[], None]

# Ten rendered photographs of an ICT-FaceKit person of dev, all lenses different: with 0.0015 and 0.1 focal lengths are
# off by 2.3 % (6 at most) and poses by 0.52°, with what rigs and turning heads take, 0.004 and 0.005, by 6.1 % (28) and
# 0.62°; the neutral is 0.93 mm off with either. On the made person of the tests, before four lenses, 0.004 and 0.005
# leave 21 %, 0.02 for the latter 19, 0.1 12, and 0.0015 with it 10 %.
RIGID = 0.0015
"""Metres by which a still's expression may move skin that tells where its camera stood: what is moved is told less
exactly than what stands still."""
POINT_SIGMA = 0.1
"""Metres by which the first fit may misplace skin: it only holds the gauge. With a lens of its own for each still, the
first fit's depth is as unsure as they are, and a prior on each of hundreds of points would outvote the pictures."""


@dataclass(frozen=True, eq=False)
class StillsSkin:
    """Skin matched between C stills: ``skin`` the keypoints (of one frame) in each, ``keypoints (C,)`` how many;
    ``focal_px (C,)``, ``head_to_camera (C,3,4)`` metres as the keypoints tell them and ``residual_px`` by how much they
    miss (median). ``well_constrained``: they tell the focal lengths, too."""

    skin: tuple[PointSet, ...]
    keypoints: NDArray[np.int64]
    focal_px: F64
    head_to_camera: F64
    residual_px: float
    well_constrained: bool


def match_stills(
    head: HeadModel,
    stills: Sequence[View],
    fit: FitResult,
    options: FitOptions,
    pictures: ViewPictures,
    keypoints: Keypoints,
    check: Check = lambda: None,
) -> StillsSkin | None:
    """The skin that ``stills`` (C views of one frame each) show alike; None where two at most share enough of it.

    ``fit`` has a frame for each still, which its camera alone sees. ``check`` is called often and may raise.
    """
    seen = _Stills(head, fit, pictures)
    side = seen.side()
    unwrapped = [seen.unwrapped(index, side) for index in range(len(stills))]
    matches = match(unwrapped, keypoints.nu * side, check)
    enough = matches.valid.sum(axis=1) >= FEWEST
    valid = matches.valid & enough[:, None]
    valid &= valid.sum(axis=0) >= 2
    if (valid.sum(axis=1) >= FEWEST).sum() < 2:
        return None
    there, moved = seen.keypoints(keypoints)
    rigid = valid & (np.linalg.norm(moved, axis=2) < RIGID)
    rigid &= rigid.sum(axis=0) >= 2
    posed = rigid.sum(axis=1) >= FEWEST
    bundle, constrained, residual = _adjusted(
        stills, fit, options, matches, rigid & posed[:, None], there, moved, check
    )
    return StillsSkin(
        tuple(_point_set(matches, valid, index, keypoints) for index in range(len(stills))),
        np.asarray(valid.sum(axis=1)),
        np.exp(bundle.log_focal),
        bundle.world_to_camera,
        residual,
        constrained,
    )


def head_to_camera(fit: FitResult) -> F64:
    """(C,3,4) [R | t] from head space to each still's camera at its own frame."""
    world = np.stack([camera.world_to_camera for camera in fit.cameras])
    turn = world[:, :, :3] @ fit.head_rotation
    shift = np.einsum("cij,cj->ci", world[:, :, :3], fit.head_translation) + world[:, :, 3]
    return np.concatenate([turn, shift[:, :, None]], axis=2)


@dataclass(frozen=True, eq=False)
class _Stills:
    """Stills with the head that was fitted to them."""

    head: HeadModel
    fit: FitResult
    pictures: ViewPictures

    def side(self) -> int:
        """Of the atlas, texels: the coarsest of ``SIDES`` whose texels are mostly no larger than a pixel."""
        texels = face_texels(self.head, SIDES[0])
        faces = [self._posed(index) for index in range(len(self.fit.cameras))]
        steps = [pixels_per_texel(texels, f.project(texels.on_surface(self.head, f.vertices))) for f in faces]
        wanted = float(np.median(steps)) * SIDES[0]
        return next((side for side in SIDES if side >= wanted), SIDES[-1])

    def unwrapped(self, index: int, side: int) -> Unwrapped | None:
        picture = self.pictures.picture(index, 0)
        if picture is None:
            return None
        return unwrap(self.head, side, cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), self._posed(index))

    def keypoints(self, keypoints: Keypoints) -> tuple[F64, F64]:
        """(P,3) the keypoints on the neutral head and (C,P,3) by how much each still's expression moves them, metres
        in head space."""
        neutral = neutral_vertices(self.head, self.fit)
        posed = posed_vertices(self.head, neutral, self.fit.expression, self.fit.gaze)
        there = surface_positions(keypoints.points, self.head.triangles, neutral)
        moved = surface_positions(keypoints.points, self.head.triangles, posed) - there
        return there.astype(np.float64), moved.astype(np.float64)

    def _posed(self, index: int) -> PosedHead:
        camera = self.fit.cameras[index]
        world = world_vertices(self.head, self.fit, np.array([index]), np.float64)[0]
        there = world @ camera.world_to_camera[:, :3].T + camera.world_to_camera[:, 3]
        return PosedHead(there, camera.focal_px, camera.principal_point, self.pictures.lenses[index])


def _adjusted(
    stills: Sequence[View],
    fit: FitResult,
    options: FitOptions,
    matches: Matches,
    valid: NDArray[np.bool_],
    there: F64,
    moved: F64,
    check: Check,
) -> tuple[Bundle, bool, float]:
    """The cameras as the keypoints tell them, whether those tell focal lengths, and by how many pixels they miss."""
    used = np.flatnonzero(valid.any(axis=0))
    camera, point = np.nonzero(valid[:, used])
    at = camera, used[point]
    sightings = Sightings(
        camera,
        point,
        matches.position[at],
        matches.sigma[at],
        np.array([c.principal_point for c in fit.cameras]),
        moved[at],
    )
    begun = Bundle.of(head_to_camera(fit), np.array([c.focal_px for c in fit.cameras]), there[used])
    seen = valid.any(axis=1)
    free = np.repeat(seen[:, None], OWN, axis=1)
    free[:, -1] &= [view.camera.focal_px is None for view in stills]
    form, usual = focal_form(stills, options, np.ones((len(stills), 1), bool))
    priors = Priors(begun.points, form, usual, free, point_sigma=POINT_SIGMA)
    bundle = adjust(begun, sightings, priors, check) if seen.any() else begun
    if not seen.any():
        return bundle, False, float("nan")
    sigma = focal_sigma(bundle, sightings, priors)[seen & free[:, -1]]
    constrained = seen.sum() >= TELLING and (not len(sigma) or bool(sigma.min() < POORLY_CONSTRAINED))
    residual = float(np.median(np.linalg.norm(residuals(bundle, sightings), axis=1)))
    return bundle, bool(constrained), residual


def _point_set(matches: Matches, valid: NDArray[np.bool_], index: int, keypoints: Keypoints) -> PointSet:
    return PointSet(
        SKIN,
        matches.position[index][None].astype(np.float32),
        matches.sigma[index][None].astype(np.float32),
        valid[index][None],
        keypoints.points,
    )
