"""The same skin from frame to frame: keypoints followed through the pictures of one view, and the take fitted to them.

Seeds/003 §3.2 trains a network by two consistencies: skin laid out in the atlas looks the same in consecutive frames
(eq. 6), and as the take's texture (eq. 8). Here the same two are observations in the fit. What pictures say of the
displacement of a keypoint is solved over time (``chain``); its mean stays where the fit has it, as pictures tell where
frames differ, not what is right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backend.errors import Cancelled
from backend.fitting import FitOptions, FitResult, Fixed, View, fit_take
from backend.fitting.posed import world_vertices
from backend.head_model.dense_points import outside
from backend.head_model.model import HeadModel, SurfacePoints, surface_positions
from backend.observations import PointSet, PointSetId
from backend.skin_matching.chain import Chains, solve
from backend.skin_matching.choose_keypoints import choose_keypoints, side_for
from backend.skin_matching.follow import FollowedSkin, follow
from backend.skin_matching.keypoints import Keypoints
from backend.skin_matching.lay_out import TakeLayout
from backend.skin_matching.refine_views import ViewPictures
from backend.skin_matching.turning import turn_shape

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Bools = NDArray[np.bool_]

SKIN = PointSetId("skin", "skin matching")

FEWEST = 30
"""Keypoints that a frame must show matched for its own to be used: a few would bend a face, not move it."""
FLOOR = 0.25
"""Texels, σ of a matched keypoint at best."""
NEIGHBOURS = 8
ODD = 4.0
"""Deviations (1.48 · median) by which a keypoint may be displaced differently from its neighbours."""
ODD_FLOOR = 0.75
"""Texels that are never odd."""
WORSE = 4.0
"""% of the inter-ocular distance by which the aligner's points may miss more afterwards."""
DISTRUST = 3.0
"""Times the aligner's σ where there is matched skin: its errors are the same in many frames, those of skin are not."""
TRUSTED = ("left_eyeball", "right_eyeball")
"""Regions of whose points skin tells nothing. With the lids among them turning heads keep more of the aligner's bias:
six quick dev sequences, SSME of the face 2.34 instead of 2.25 px where they turn."""
ROUGH = 1e-2
"""``FitOptions.tolerance`` of a fit that another follows."""
MATCHING = 1.0
"""What matching a round costs, in fits, about."""
STRIP = 64
"""Frames posed at once."""


@dataclass(frozen=True)
class TimeMatching:
    """How skin is matched over time; what is not the default is for ablations.

    Six quick sequences of dev (``flowface evaluate --split dev --quick``, MediaPipe's points), SSME of the face in px,
    talking and turning heads: not matched 1.40 and 4.16; matched without ``turning`` 0.91 and 2.18; without
    ``settling`` either 0.94 and 2.26, in one of the ``rounds`` 0.95 and 2.61.
    ``turning``, measured without settling after it: SSME of makehuman_dev_00_turns 3.06 without and 2.65 px with it,
    rotations off by 1.07 and 0.76°; of dev_00_turns 1.76 and 1.78 px, 0.59 and 0.58°; focal lengths by 4 % at most.
    """

    consecutive: bool = True
    mean_texture: bool = True
    keypoints: int = 400
    side: int | None = None  # texels; None: as fine as the pictures ask for
    rounds: int = 2
    settling: int = 1  # fits after the last one, each with skin where the one before has it in the mean
    turning: bool = True  # a head that turns is several cameras


@dataclass(frozen=True, eq=False)
class TimeMatchedFit:
    """A fit with the skin matched over T frames. ``fit`` speaks of the aligner's points alone.

    ``keypoints (T,)`` is how many were matched in each frame, ``residual_px (T,)`` by how much they miss the fitted
    head (RMS, NaN where there are none), ``before_px (T,)`` by how much they missed the first fit. ``skin`` are the
    matched keypoints as observations, for fits that come after.
    """

    fit: FitResult
    keypoints: NDArray[np.int64]
    residual_px: F64
    before_px: F64
    rounds: int
    skin: PointSet


def refine_in_time(
    head: HeadModel,
    views: Sequence[View],
    fit: FitResult,
    options: FitOptions,
    pictures: ViewPictures,
    *,
    neutral_prior: F32 | None = None,
    fixed: Fixed | None = None,
    how: TimeMatching | None = None,
    on_progress: Callable[[float], None] = lambda _: None,
    should_cancel: Callable[[], bool] = lambda: False,
) -> TimeMatchedFit | None:
    """Fit a take of one view again with its skin matched from frame to frame.

    None where there are no two frames of one view, too little skin could be matched, or it did not help. ``fit`` is a
    fit of ``views`` with ``options``. Pictures are asked for in ascending order, some of them beforehand, again in
    every round; few are held at once. ``neutral_prior`` and ``fixed`` are those of ``fit_take``; what a turning head
    tells of the shape is believed more than either. ``on_progress`` gets a fraction; ``should_cancel`` is asked often.
    Raises as ``fit_take``, Cancelled included.
    """
    how = how or TimeMatching()
    if len(views) != 1 or views[0].alignment.tells_pose.sum() < 2:
        return None
    view = views[0]
    layout = TakeLayout(head, how.side or side_for(head, fit, view), pictures.lenses[0])
    keypoints = choose_keypoints(layout, fit, view, how.keypoints)
    take = _Take(layout, view, pictures, keypoints, how, options, neutral_prior, fixed, should_cancel)
    hears = _Parts(on_progress, [MATCHING, 1.0] * how.rounds + [1.0] * how.settling)
    now, before, turns = fit, None, False
    for number in range(how.rounds):
        skin, jacobian = take.matched(now, hears.next())
        if not skin.valid.any():
            return None
        if before is None:
            before = skin_residual(take.points(now, skin), skin)
        last = number + 1 == how.rounds
        told, turned = take, turn_shape(head, view, now, skin, options, take.check) if how.turning else None
        if turned is not None:
            now, skin, turns = turned.start, turned.skin, True
            told = replace(take, view=replace(view, camera=turned.camera), neutral_prior=turned.neutral, fixed=None)
        settling = how.settling if last else 0
        for again in range(settling + 1):
            if again:
                skin = settled(skin, jacobian, take.points(now, skin))
            now = told.fitted(now, skin, hears.next(), last=last and again == settling)
    residual = skin_residual(take.points(now, skin), skin)
    if before is None or _worse(now, fit) or not np.nanmean(residual) < np.nanmean(before):
        if not turns:
            return None
        return refine_in_time(  # what the turn told did not help: without
            head,
            views,
            fit,
            options,
            pictures,
            neutral_prior=neutral_prior,
            fixed=fixed,
            how=replace(how, turning=False),
            on_progress=lambda _fraction: on_progress(1.0),  # it moves, lest the job be taken for stuck
            should_cancel=should_cancel,
        )
    return TimeMatchedFit(now, skin.valid.sum(axis=1), residual, before, how.rounds, skin)


class _Parts:
    """Progress of parts that follow one another, as a fraction of all; ``shares`` are what they cost."""

    def __init__(self, on_progress: Callable[[float], None], shares: Sequence[float]) -> None:
        self._on_progress, self._shares, self._number = on_progress, shares, 0

    def next(self) -> Callable[[float], None]:
        """What the next part tells its own fraction."""
        before, own, whole = sum(self._shares[: self._number]), self._shares[self._number], sum(self._shares)
        self._number += 1
        return lambda fraction: self._on_progress((before + own * fraction) / whole)


@dataclass(frozen=True, eq=False)
class _Take:
    """A take of one view and how it is matched; see ``refine_in_time``."""

    layout: TakeLayout
    view: View
    pictures: ViewPictures
    keypoints: Keypoints
    how: TimeMatching
    options: FitOptions
    neutral_prior: F32 | None
    fixed: Fixed | None
    should_cancel: Callable[[], bool]

    def check(self) -> None:
        """Raises Cancelled where that is wanted."""
        if self.should_cancel():
            raise Cancelled

    def matched(self, fit: FitResult, on_progress: Callable[[float], None]) -> tuple[PointSet, F64]:
        """The keypoints as the pictures show them, by the layout of a fit, and ``FollowedSkin.jacobian``."""
        seen = follow(
            self.layout,
            fit,
            self.view.alignment,
            self.pictures,
            self.keypoints.nu * self.layout.side,
            consecutive=self.how.consecutive,
            mean_texture=self.how.mean_texture,
            check=self.check,
            on_progress=on_progress,
        )
        return _point_set(seen, solve(seen.said, anchored=self.how.mean_texture), self.keypoints), seen.jacobian

    def fitted(
        self, start: FitResult, skin: PointSet, on_progress: Callable[[float], None], *, last: bool
    ) -> FitResult:
        """The take fitted to the skin as well, from an earlier fit; roughly unless it is the ``last`` one."""
        tolerance = self.options.tolerance if last else max(self.options.tolerance, ROUGH)
        fit = fit_take(
            self.layout.head,
            [with_skin(self.layout.head, self.view, skin)],
            replace(self.options, tolerance=tolerance),
            neutral_prior=self.neutral_prior,
            initial=start,
            fixed=self.fixed,
            on_progress=lambda fraction, _words: on_progress(fraction),
            should_cancel=self.should_cancel,
        )
        return fit.without_points(SKIN.made_by)

    def points(self, fit: FitResult, skin: PointSet) -> F64:
        """(T,P,2) pixels where a fit has the keypoints."""
        camera, head = fit.cameras[0], self.layout.head
        surface = skin.surface_points(head.landmarks)
        found = np.empty((len(fit.head_rotation), len(surface), 2))
        for start in range(0, len(found), STRIP):
            part = slice(start, start + STRIP)
            world = surface_positions(surface, head.triangles, world_vertices(head, fit, part))
            there = world @ camera.world_to_camera[:, :3].T + camera.world_to_camera[:, 3]
            found[part] = there[..., :2] / there[..., 2:] * camera.focal_px + np.array(camera.principal_point)
        return found


def settled(skin: PointSet, jacobian: F64, points: F64) -> PointSet:
    """Matched skin moved on the surface, every keypoint in all frames alike, to where a fit has its ``points (T,P,2)``.

    Pictures tell how skin moves and not what is right: what a fit makes of its mean place is as good.
    """
    valid = skin.valid & (np.abs(np.linalg.det(np.where(skin.valid[..., None, None], jacobian, 0))) > 1e-6)
    off = np.where(valid[..., None], points - skin.mu, 0)
    texels = np.linalg.solve(np.where(valid[..., None, None], jacobian, np.eye(2)), off[..., None])[..., 0]
    weight = (valid / np.square(skin.sigma))[..., None]
    constant = (weight * texels).sum(axis=0) / np.maximum(weight.sum(axis=0), 1e-9)
    moved = skin.mu + np.einsum("tpij,pj->tpi", jacobian, constant)
    return replace(skin, mu=np.where(skin.valid[..., None], moved, 0).astype(np.float32))


def with_skin(head: HeadModel, view: View, skin: PointSet) -> View:
    """A view as fits should be told of it: with its matched skin, and in the frames where there is some with less trust
    in the points of skin that its aligner found. Pins and irises keep theirs."""
    matched = skin.valid.any(axis=1)
    sets = tuple(
        s
        if s.points is not None
        else replace(s, sigma=s.sigma * _distrust(head, s.surface_points(head.landmarks), matched))
        for s in view.alignment.point_sets
    )
    return replace(view, alignment=replace(view.alignment, point_sets=sets).with_point_set(skin))


def _distrust(head: HeadModel, points: SurfacePoints, matched: Bools) -> F32:
    """(T,N) what to multiply the σ of an aligner's points by."""
    followed = outside(head)
    for name in TRUSTED:
        if name in head.regions:
            followed &= ~head.regions[name]
    on_skin = followed[head.triangles[points.triangle]].all(axis=1)
    return np.where(matched[:, None] & on_skin, np.float32(DISTRUST), np.float32(1))


def skin_residual(points: F64, skin: PointSet) -> F64:
    """(T,) RMS of pixels by which matched skin misses ``points (T,P,2)``; NaN where a frame shows none."""
    squared = np.where(skin.valid, np.square(points - skin.mu).sum(axis=2), 0)
    count = skin.valid.sum(axis=1)
    return np.where(count > 0, np.sqrt(squared.sum(axis=1) / np.maximum(count, 1)), np.nan)


def _point_set(seen: FollowedSkin, chains: Chains, keypoints: Keypoints) -> PointSet:
    valid = chains.valid & ~_odd(chains.offset, chains.valid, keypoints.nu)
    valid &= (valid.sum(axis=1) >= FEWEST)[:, None]
    texel = np.sqrt(np.abs(np.linalg.det(seen.jacobian)))
    mu = seen.pixels + np.einsum("tpij,tpj->tpi", seen.jacobian, chains.offset)
    facing = np.maximum(seen.said.facing, 0.1)
    sigma = np.hypot(FLOOR, chains.sigma) * np.maximum(texel, 1e-3) / facing
    return PointSet(
        SKIN,
        np.where(valid[..., None], mu, 0).astype(np.float32),
        np.where(valid, sigma, 1).astype(np.float32),
        valid,
        keypoints.points,
    )


def _odd(offset: F64, valid: Bools, nu: F64) -> Bools:
    """(T,P) keypoints displaced differently from those about them."""
    apart = np.linalg.norm(nu[:, None] - nu[None], axis=2)
    near = np.argsort(apart, axis=1)[:, 1 : NEIGHBOURS + 1]
    odd = np.zeros(valid.shape, bool)
    for t in np.flatnonzero(valid.any(axis=1)):
        about = np.where(valid[t][near][..., None], offset[t][near], np.nan)  # (P,8,2)
        alone = ~valid[t][near].any(axis=1)
        about[alone] = 0
        off = np.linalg.norm(offset[t] - np.nanmedian(about, axis=1), axis=1)
        spread = 1.48 * float(np.median(off[valid[t]]))
        odd[t] = alone | (off > max(ODD_FLOOR, ODD * spread))
    return odd


def _worse(fit: FitResult, first: FitResult) -> bool:
    miss, before = (np.nanmean(f.reprojection_error_percent_iod[0]) for f in (fit, first))
    return bool(miss > before + WORSE)
