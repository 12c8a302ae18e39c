"""Photographs of one person solved: every still at a moment of its own, before a camera of its own (seeds/001 eq. 12).

All stills share the person; expression, pose and camera are each still's. A head that stands still before moving
cameras and one that moves before standing cameras are the same pictures: the fit has the latter, all cameras in one
place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import Cancelled
from backend.fitting import FitOptions, FitResult, View, fit_take
from backend.fitting.learned_neutral import learned_neutral
from backend.head_model.model import HeadModel
from backend.progress import ShouldCancel, never
from backend.skin_matching.keypoints import skin_keypoints
from backend.skin_matching.refine_views import SKIN, TELLING, MatchedFit, ViewPictures
from backend.skin_matching.stills import head_to_camera, match_stills
from backend.solving.solve import Step

F64 = NDArray[np.float64]

SIDES_APART = np.deg2rad(20.0)
"""Between the lines of sight of the stills that are farthest apart: from there on they tell the depth of a face."""
UPRIGHT = np.diag((1.0, -1.0, -1.0))
"""The rotation of a head that stands upright and looks at a camera with OpenCV's axes."""
ROUNDS = 3
"""Each lays the pictures out by the last one's fit, as for rigs."""
REPEATED_BIAS = 0.0
"""Stills are to the priors what a rig's views are, of which one frame counts once, and no frames of a take."""


@dataclass(frozen=True, eq=False)
class SolvedPhotographs:
    """``fit`` has a frame and a camera for each still, which sees the head in its own frame alone; ``matched`` is the
    skin between them, None where it was not asked for or too little was alike. ``apart`` radians between the lines of
    sight that are farthest apart."""

    fit: FitResult
    matched: MatchedFit | None
    apart: float

    @property
    def apart_degrees(self) -> float:
        return float(np.rad2deg(self.apart))

    @property
    def from_one_side(self) -> bool:
        """True where the stills do not tell the depth of the face."""
        return self.apart < SIDES_APART


def moments_apart(stills: Sequence[View]) -> list[View]:
    """The stills, one frame each, as views of one take: frame k is the k-th still's alone, and all cameras stand in
    one place, as nobody knows how the head moved between them."""
    count = len(stills)
    views = []
    for index, still in enumerate(stills):
        alone = np.where(np.arange(count) == index, 0, -1)
        camera = replace(still.camera, world_to_camera=np.eye(3, 4))
        views.append(View(still.alignment.at(alone).far_apart(), camera))
    return views


def solve_photographs(
    head: HeadModel,
    stills: Sequence[View],
    options: FitOptions | None = None,
    *,
    pictures: ViewPictures | None = None,
    rounds: int = ROUNDS,
    on_partial: Callable[[FitResult], None] | None = None,
    on_progress: Callable[[Step, float], None] | None = None,
    should_cancel: ShouldCancel = never,
) -> SolvedPhotographs:
    """Fit a person to stills, C views of one frame each, and match their skin where there are ``pictures``.

    Stills from several sides tell the shape: there ``options.deform_region`` counts. From one side, what the points of
    many people told is held against them (``learned_neutral``), and skin that three and more stills share tells their
    lenses alone: it shifts with the distance. Cameras' places do not count.
    The skin is matched ``rounds`` times, each time as the last fit lays the pictures out.
    ``on_partial`` gets the fit before the skin is matched, ``on_progress`` the fraction of each step.

    Raises:
        UserError, Cancelled: as ``fit_take`` does.
    """
    weights = (options or FitOptions()).weights
    options = replace(
        options or FitOptions(), personal_actions=False, weights=replace(weights, repeated_bias=REPEATED_BIAS)
    )

    def hears(step: Step, fraction: float) -> None:
        if on_progress is not None:
            on_progress(step, fraction)

    prior, told = _told_neutral(head, stills, replace(options, deform_region=None))
    fit = fit_take(
        head,
        moments_apart(stills),
        told,
        neutral_prior=prior,
        on_progress=lambda fraction, _words: hears(Step.FITTING, fraction),
        should_cancel=should_cancel,
    )
    apart = angle_apart(fit)
    sides = len(stills) > 1 and apart >= SIDES_APART
    if not sides and (pictures is None or len(stills) < TELLING):
        return SolvedPhotographs(fit, None, apart)
    if on_partial is not None:
        on_partial(fit)
    matched = None
    if pictures is not None:
        how = (options, None) if sides else (told, prior)
        matched = _matched_often(head, stills, fit, *how, pictures, rounds, hears, should_cancel, sides=sides)
    if matched is not None:
        return SolvedPhotographs(matched.fit, matched, angle_apart(matched.fit))
    if not sides:
        return SolvedPhotographs(fit, None, apart)
    fit = fit_take(head, moments_apart(stills), options, initial=fit, should_cancel=should_cancel)
    return SolvedPhotographs(fit, None, angle_apart(fit))


def _matched_often(
    head: HeadModel,
    stills: Sequence[View],
    fit: FitResult,
    options: FitOptions,
    neutral_prior: NDArray[np.float32] | None,
    pictures: ViewPictures,
    rounds: int,
    hears: Callable[[Step, float], None],
    should_cancel: ShouldCancel,
    *,
    sides: bool,
) -> MatchedFit | None:
    """The skin matched ``rounds`` times, from ``fit`` on; None where too little is alike from the first.

    Of stills that are not from several ``sides`` it counts only where it tells their lenses.
    """

    def check() -> None:
        if should_cancel():
            raise Cancelled

    matched: MatchedFit | None = None
    for number in range(rounds):
        hears(Step.MATCHING, number / rounds)
        last = fit if matched is None else matched.fit
        again = _matched_again(head, stills, last, options, neutral_prior, pictures, check, should_cancel)
        if again is None or not (sides or again.well_constrained):
            break
        matched = again
    return matched


def _matched_again(
    head: HeadModel,
    stills: Sequence[View],
    fit: FitResult,
    options: FitOptions,
    neutral_prior: NDArray[np.float32] | None,
    pictures: ViewPictures,
    check: Callable[[], None],
    should_cancel: ShouldCancel,
) -> MatchedFit | None:
    """The skin matched as ``fit`` lays it out, and the fit with it; None where too little is alike."""
    found = match_stills(head, stills, fit, options, pictures, skin_keypoints(head), check)
    if found is None:
        return None
    seen = []
    for still, skin, focal in zip(stills, found.skin, found.focal_px, strict=True):
        known = float(focal) if found.well_constrained and skin.valid.any() else None
        camera = replace(still.camera, focal_px=still.camera.focal_px or known)
        # from one side the skin tells lenses, and little of the shape that its prior does not know better
        aligned = still.alignment if neutral_prior is not None else still.alignment.with_point_set(skin)
        seen.append(View(aligned, camera))
    again = fit_take(
        head, moments_apart(seen), options, neutral_prior=neutral_prior, should_cancel=should_cancel
    ).without_points(SKIN.made_by)
    one = np.zeros(1, np.int64)  # the only frame that a still has
    return MatchedFit(again, one, found.keypoints, found.residual_px, found.well_constrained)


def angle_apart(fit: FitResult) -> float:
    """Radians between the lines of sight, in head space, of the stills that are farthest apart."""
    cameras = head_to_camera(fit)
    sight = -np.einsum("cij,ci->cj", cameras[:, :, :3], cameras[:, :, 3])
    sight /= np.linalg.norm(sight, axis=1, keepdims=True)
    return float(np.arccos(np.clip((sight @ sight.T).min(), -1, 1)))


def _told_neutral(
    head: HeadModel, stills: Sequence[View], options: FitOptions
) -> tuple[NDArray[np.float32] | None, FitOptions]:
    """What the points of the stills that look towards their cameras tell of the neutral: their mean."""
    weight = options.weights.learned_neutral
    told = [told for s in stills if weight and (told := learned_neutral(head, [s.alignment])) is not None]
    if not told:
        return None, options
    mean = np.mean(told, axis=0, dtype=np.float64).astype(np.float32)
    return mean, replace(options, weights=replace(options.weights, neutral_prior=weight))


def about_the_head(fit: FitResult) -> FitResult:
    """The same pictures with the head standing still, upright, at the world's origin, facing it as a camera there would
    see it, and the cameras where they saw it from; a first frame, which nobody saw, has the head at rest.

    ``fit`` is that of C stills, as ``solve_photographs`` gives it; the result has C + 1 frames.
    """
    count = len(fit.cameras)
    placed = head_to_camera(fit)
    turn = placed[:, :, :3] @ UPRIGHT.T
    extrinsics = np.concatenate([turn, placed[:, :, 3:]], axis=2)
    cameras = tuple(replace(c, world_to_camera=seen) for c, seen in zip(fit.cameras, extrinsics, strict=True))

    def after(values: NDArray[Any], first: float, axis: int = 0) -> NDArray[Any]:
        shape = list(values.shape)
        shape[axis] = 1
        return np.concatenate([np.full(shape, first, values.dtype), values], axis=axis)

    # an unseen frame's inter-ocular distance divides errors that are unknown anyway
    return replace(
        fit,
        expression=after(fit.expression, 0.0),
        head_rotation=np.repeat(UPRIGHT[None], count + 1, axis=0),
        head_translation=np.zeros((count + 1, 3)),
        gaze=after(fit.gaze, 0.0),
        cameras=cameras,
        tracked=after(fit.tracked, False),
        reprojection_error_px=after(fit.reprojection_error_px, np.nan, 1),
        inter_ocular_px=after(fit.inter_ocular_px, 1.0, 1),
        expression_sigma=after(fit.expression_sigma, np.nan),
        head_rotation_sigma=after(fit.head_rotation_sigma, np.nan),
        head_translation_sigma=after(fit.head_translation_sigma, np.nan),
        uncertainty_mm=after(fit.uncertainty_mm, np.nan),
    )
