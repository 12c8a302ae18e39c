"""From a joint fit to a better one: key frames matched view by view, their cameras adjusted, the take fitted again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.cameras.distortion import Lens
from backend.errors import Cancelled
from backend.fitting import FitOptions, FitResult, FittedCamera, KnownCamera, View, fit_take
from backend.fitting.posed import world_vertices
from backend.fitting.prepare import views_at
from backend.fitting.problem import focal_form, found_frames
from backend.head_model.model import HeadModel, surface_positions
from backend.head_model.posed import PosedHead
from backend.observations import PointSet, PointSetId
from backend.skin_matching.bundle_adjustment import OWN, Bundle, Priors, Sightings, adjust, focal_sigma, residuals
from backend.skin_matching.keypoints import Keypoints, skin_keypoints
from backend.skin_matching.match import Matches, match, shared
from backend.skin_matching.unwrap import Unwrapped, face_texels, pixels_per_texel, unwrap

F64 = NDArray[np.float64]
Frames = NDArray[np.int64]

SKIN = PointSetId("skin", "skin matching")

KEY_FRAMES = 4
"""Frames whose pictures are matched: what they tell, cameras and shape, is the same in all."""
ROUNDS = 3
"""Each unwraps with the last one's fit. Six rendered rigs of dev: cameras are 0.18° off after one, 0.074 after two and
0.071 after three, the face 0.77 mm after two and three. The third is for a camera that is found anew (``TURNS``)."""
FEW = 300
"""Keypoints that go into the fit of a whole take: every frame pays for a point that only the key frames show."""
MATCHING = 0.7
"""Of the progress: what comes before the last fit, about."""
TURNS = (0, -48, -36, -24, -12, 12, 24, 36, 48)
"""Degrees by which cameras of which nothing was matched are tried elsewhere. Matching made up for all that the aligner
was off on rendered rigs of dev, 8.5 at most."""
FEWEST = 30
"""Keypoints that a view must share with others, lest a few wrong ones place its camera. On rendered rigs of dev
every view that shows the face shares 210 and more, already in the first round."""
SIDES = (256, 512, 1024)
"""Of the atlas, texels: the coarsest whose texels are no larger than a pixel."""
TELLING = 3
"""Matched views that tell unknown cameras by the skin alone. What two see fits a flatter or a deeper face as well,
turned by another angle (the bas relief): on a rendered clip 0.08 px of residual hid 7°, although focals were known."""
POORLY_CONSTRAINED = 0.08
"""σ of every camera's log focal above which views do not tell them either, as of cameras in nearly one place.

On rendered rigs of dev three views 25° apart leave 0.012 and less, 9° apart 0.014 and 4° apart 0.019, whose cameras the
matches bring from 0.41° off to 0.05°.
"""
WORSE = 4.0
"""% of the inter-ocular distance by which the aligner's points may miss more afterwards. Cameras in their places bare
an aligner's bias on turned faces, on rendered rigs of dev by 0.2 to 1.0."""

Picture = Callable[[int, int], NDArray[np.uint8] | None]
"""The RGB picture (H,W,3) of a view at a frame of the take; None where there is none."""


@dataclass(frozen=True, eq=False)
class ViewPictures:
    """The views' pictures, as their cameras made them, and each view's lens (None: an ideal pinhole)."""

    picture: Picture
    lenses: Sequence[Lens | None]


@dataclass(frozen=True, eq=False)
class MatchedFit:
    """A fit with the skin matched. ``fit`` speaks of the aligner's points alone; ``keypoints (C,)`` is how many were
    matched in each view over the key frames, ``residual_px`` by how much they miss the adjusted points (median).
    ``well_constrained``: the skin alone constrains the cameras; else the head's shape does, together with it."""

    fit: FitResult
    frames: Frames
    keypoints: NDArray[np.int64]
    residual_px: float
    well_constrained: bool


def refine(
    head: HeadModel,
    views: Sequence[View],
    fit: FitResult,
    options: FitOptions,
    pictures: ViewPictures,
    *,
    neutral_prior: NDArray[np.float32] | None = None,
    on_progress: Callable[[float], None] = lambda _: None,
    should_cancel: Callable[[], bool] = lambda: False,
) -> MatchedFit | None:
    """Fit again with the skin matched between the views; None where too little of it could be, or it did not help.

    ``fit`` is the joint fit of ``views`` with ``options``. What is known of cameras stays; the others are pinned where
    the matched skin has them. ``on_progress`` gets a fraction; ``should_cancel`` is asked often. Raises as
    ``fit_take``, Cancelled included.
    """
    frames = _key_frames(found_frames(views))
    if not len(frames):
        return None
    take = _Take(head, views, options, pictures, frames, neutral_prior, skin_keypoints(head))

    def check() -> None:
        if should_cancel():
            raise Cancelled

    now, which = fit, frames
    found: list[Matches] = []
    for number in range(ROUNDS):
        on_progress(MATCHING * number / ROUNDS)
        now = take.turned(now, which, found, check)
        found = take.match(now, which, check)
        if not found:
            return None
        cameras = take.adjusted(now, which, found, check)
        if number + 1 == ROUNDS or not cameras.well_constrained:  # others would wander from round to round
            break
        now, which = take.fitted(cameras.known, found, should_cancel, whole=False), np.arange(len(frames))
    final = take.fitted(
        cameras.known,
        found,
        should_cancel,
        lambda fraction, _: on_progress(MATCHING + (1 - MATCHING) * fraction),
        whole=True,
    )
    if _miss(final) > _miss(fit) + WORSE:
        return None
    keypoints = np.sum([m.valid.sum(axis=1) for m in found], axis=0)
    return MatchedFit(final, frames, keypoints, cameras.residual_px, cameras.well_constrained)


def _key_frames(found: NDArray[np.bool_]) -> Frames:
    """Some of the frames that most views show the face in, evenly; none where no two views ever do together.

    ``found (C,T)``.
    """
    together = found.sum(axis=0)
    if together.max() < 2:
        return np.zeros(0, np.int64)
    best = np.flatnonzero(together == together.max())
    return best[np.unique(np.linspace(0, len(best) - 1, min(KEY_FRAMES, len(best))).round().astype(int))]


def _miss(fit: FitResult) -> float:
    """By how much the median view's points miss, % of the inter-ocular distance."""
    error = fit.reprojection_error_percent_iod
    return float(np.median([np.nanmean(view) for view in error if np.isfinite(view).any()]))


@dataclass(frozen=True, eq=False)
class _Adjusted:
    """The cameras as known now, by how many pixels the keypoints miss (median), and whether that pins them."""

    known: list[KnownCamera]
    residual_px: float
    well_constrained: bool


@dataclass(frozen=True, eq=False)
class _Take:
    """A take and its key frames; see ``refine``."""

    head: HeadModel
    views: Sequence[View]
    options: FitOptions
    pictures: ViewPictures
    frames: Frames
    neutral_prior: NDArray[np.float32] | None
    keypoints: Keypoints
    grey: dict[tuple[int, int], NDArray[np.uint8] | None] = field(default_factory=dict)  # by view and frame

    def match(self, fit: FitResult, which: Frames, check: Callable[[], None]) -> list[Matches]:
        """The matches of each key frame's pictures, nothing where they are too few.

        ``fit``'s frames ``which`` are the key frames.
        """
        side = self._side(fit, int(which[0]))
        found = []
        for frame, t in zip(self.frames, which, strict=True):
            unwrapped = [self._unwrapped(fit, view, int(frame), int(t), side) for view in range(len(self.views))]
            found.append(match(unwrapped, self.keypoints.nu * side, check))
        enough = np.sum([m.valid.sum(axis=1) for m in found], axis=0) >= FEWEST
        if enough.sum() < 2:
            return []
        kept = [m.valid & enough[:, None] for m in found]
        return [replace(m, valid=k & (k.sum(axis=0) >= 2)) for m, k in zip(found, kept, strict=True)]

    def turned(self, fit: FitResult, which: Frames, found: Sequence[Matches], check: Callable[[], None]) -> FitResult:
        """The fit with each camera of which nothing was matched turned about the head to where its picture shows most
        of what the others show. Aligners know profiles badly, and a camera may be posed tens of degrees off by them.
        """
        cameras = list(fit.cameras)
        if not found:
            return fit
        side = self._side(fit, int(which[0]))
        for lost in np.flatnonzero(~np.any([m.valid.any(axis=1) for m in found], axis=0)):
            at = next((k for k, t in enumerate(self.frames) if self.views[lost].alignment.tells_pose[t]), None)
            if at is None or self.views[lost].camera.world_to_camera is not None:
                continue
            frame, t = int(self.frames[at]), int(which[at])
            matched = np.flatnonzero(found[at].valid.any(axis=1))
            others = [shown for view in matched if (shown := self._unwrapped(fit, int(view), frame, t, side))]
            tried = [_about(fit, t, cameras[lost], np.deg2rad(angle)) for angle in TURNS]
            scores = []
            for camera in tried:
                check()
                seen = self._unwrapped(_with_camera(fit, int(lost), camera), int(lost), frame, t, side)
                scores.append(0 if seen is None else shared(seen, others, self.keypoints.nu * side))
            cameras[lost] = tried[int(np.argmax(scores))]
        return replace(fit, cameras=tuple(cameras))

    def adjusted(self, fit: FitResult, which: Frames, found: Sequence[Matches], check: Callable[[], None]) -> _Adjusted:
        """The cameras that the matches speak for, in the world of the views."""
        begun, sightings, seen = self._bundle(fit, which, found)
        calibrated = np.array([view.camera.world_to_camera is not None for view in self.views])
        free = np.zeros((len(self.views), OWN), bool)
        free[:, :-1] = (seen & ~calibrated)[:, None]
        free[:, -1] = seen & [view.camera.focal_px is None for view in self.views]
        form, usual = focal_form(self._at_key_frames(), self.options, found_frames(self.views)[:, self.frames])
        priors = Priors(begun.points, form, usual, free)
        bundle = adjust(begun, sightings, priors, check) if free.any() else begun
        constrained = seen.sum() >= TELLING and focal_sigma(bundle, sightings, priors)[seen].min() < POORLY_CONSTRAINED
        well_constrained = bool(constrained) or not free.any()
        extrinsics = bundle.world_to_camera
        if not calibrated.any():
            extrinsics = _in_gauge(extrinsics, fit.cameras[0].world_to_camera)
        cameras = [view.camera for view in self.views]
        if not calibrated.any():
            cameras[0] = replace(cameras[0], world_to_camera=extrinsics[0])
        for j in np.flatnonzero(seen) if well_constrained else ():
            known = self.views[j].camera
            cameras[j] = replace(
                cameras[j],
                focal_px=known.focal_px or float(np.exp(bundle.log_focal[j])),
                world_to_camera=known.world_to_camera
                if calibrated[j] and self.options.metric_cameras
                else extrinsics[j],
            )
        residual = float(np.median(np.linalg.norm(residuals(bundle, sightings), axis=1)))
        return _Adjusted(cameras, residual, well_constrained)

    def _bundle(
        self, fit: FitResult, which: Frames, found: Sequence[Matches]
    ) -> tuple[Bundle, Sightings, NDArray[np.bool_]]:
        """The adjustment's start, what was seen, and which views (C,) saw any of it.

        Every key frame's keypoints are points of their own.
        """
        posed = world_vertices(self.head, fit, which, np.float64)
        start = np.concatenate(
            [surface_positions(self.keypoints.points, self.head.triangles, world) for world in posed]
        )
        valid = np.concatenate([m.valid for m in found], axis=1)
        used = np.flatnonzero(valid.any(axis=0))
        camera, point = np.nonzero(valid[:, used])
        sightings = Sightings(
            camera,
            point,
            np.concatenate([m.position for m in found], axis=1)[:, used][camera, point],
            np.concatenate([m.sigma for m in found], axis=1)[:, used][camera, point],
            np.array([c.principal_point for c in fit.cameras]),
        )
        extrinsics = np.stack([c.world_to_camera for c in fit.cameras])
        begun = Bundle.of(extrinsics, np.array([c.focal_px for c in fit.cameras]), start[used])
        return begun, sightings, valid.any(axis=1)

    def fitted(
        self,
        cameras: Sequence[KnownCamera],
        found: Sequence[Matches],
        should_cancel: Callable[[], bool],
        on_progress: Callable[[float, str], None] | None = None,
        *,
        whole: bool,
    ) -> FitResult:
        """The fit with these cameras and the matched keypoints too, of the key frames or of the ``whole`` take."""
        views = self.views if whole else self._at_key_frames()
        at = self.frames if whole else np.arange(len(self.frames))
        keypoints = self.keypoints
        if views[0].alignment.frame_count > len(self.frames):
            keypoints = skin_keypoints(self.head, FEW)
        told = [
            View(view.alignment.with_point_set(self._keypoints_seen(view, found, j, at, keypoints)), camera)
            for j, (view, camera) in enumerate(zip(views, cameras, strict=True))
        ]
        placed = any(view.camera.world_to_camera is not None for view in self.views)
        options = replace(
            self.options,
            metric_cameras=self.options.metric_cameras and placed,  # else the head's own size tells the scale anew
            key_frames=tuple(at.tolist()),
        )
        fit = fit_take(
            self.head,
            told,
            options,
            neutral_prior=self.neutral_prior,
            on_progress=on_progress,
            should_cancel=should_cancel,
        )
        return fit.without_points(SKIN.made_by)

    def _side(self, fit: FitResult, t: int) -> int:
        texels = face_texels(self.head, SIDES[0])
        steps = []
        for view in range(len(self.views)):
            face = self._posed_head(fit, view, t)
            steps.append(pixels_per_texel(texels, face.project(texels.on_surface(self.head, face.vertices))))
        wanted = float(np.median(steps)) * SIDES[0]
        return next((side for side in SIDES if side >= wanted), SIDES[-1])

    def _unwrapped(self, fit: FitResult, view: int, frame: int, t: int, side: int) -> Unwrapped | None:
        if not self.views[view].alignment.tells_pose[frame]:
            return None
        if (view, frame) not in self.grey:
            picture = self.pictures.picture(view, frame)
            self.grey[view, frame] = None if picture is None else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        grey = self.grey[view, frame]
        return None if grey is None else unwrap(self.head, side, grey, self._posed_head(fit, view, t))

    def _posed_head(self, fit: FitResult, view: int, t: int) -> PosedHead:
        camera = fit.cameras[view]
        world = world_vertices(self.head, fit, np.array([t]), np.float64)[0]
        there = world @ camera.world_to_camera[:, :3].T + camera.world_to_camera[:, 3]
        lens = self.pictures.lenses[view]
        return PosedHead(there, camera.focal_px, camera.principal_point, lens)

    def _at_key_frames(self) -> list[View]:
        """The key frames as a take of their own, too far apart in time to be smooth."""
        few = views_at(self.views, self.frames)
        return [replace(view, alignment=view.alignment.far_apart()) for view in few]

    def _keypoints_seen(
        self, view: View, found: Sequence[Matches], j: int, at: Frames, keypoints: Keypoints
    ) -> PointSet:
        """The keypoints as a view shows them in its frames ``at``."""
        chosen = np.flatnonzero(np.isin(self.keypoints.vertex, keypoints.vertex))
        seen = PointSet.unseen(SKIN, view.alignment.frame_count, len(keypoints.nu), keypoints.points)
        for t, matches in zip(at, found, strict=True):
            seen.mu[t], seen.sigma[t] = matches.position[j, chosen], matches.sigma[j, chosen]
            seen.valid[t] = matches.valid[j, chosen]
        return seen


def _with_camera(fit: FitResult, view: int, camera: FittedCamera) -> FitResult:
    return replace(fit, cameras=tuple(camera if j == view else other for j, other in enumerate(fit.cameras)))


def _about(fit: FitResult, t: int, camera: FittedCamera, angle: float) -> FittedCamera:
    """A camera turned about the head's vertical axis at frame ``t``, radians; where it sees the head's middle stays."""
    turn = Rotation.from_rotvec(angle * fit.head_rotation[t, :, 1]).as_matrix()
    middle = fit.head_translation[t]
    rotation = camera.world_to_camera[:, :3] @ turn
    shift = camera.world_to_camera[:, 3] + (camera.world_to_camera[:, :3] - rotation) @ middle
    return replace(camera, world_to_camera=np.concatenate([rotation, shift[:, None]], axis=1))


def _in_gauge(extrinsics: F64, first: F64) -> F64:
    """Cameras (C,3,4) in the world in which the first one is ``first (3,4)``."""
    turn = extrinsics[0, :, :3].T @ first[:, :3]
    shift = extrinsics[0, :, :3].T @ (first[:, 3] - extrinsics[0, :, 3])
    moved = extrinsics.copy()
    moved[:, :, :3] = extrinsics[:, :, :3] @ turn
    moved[:, :, 3] += extrinsics[:, :, :3] @ shift
    moved[0] = first  # to the last bit
    return moved
