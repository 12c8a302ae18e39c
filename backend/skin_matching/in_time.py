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
from backend.fitting import FitOptions, FitResult, View, fit_take
from backend.fitting.posed import world_vertices
from backend.head_model.atlas_texels import sample
from backend.head_model.dense_points import outside, spread_vertices
from backend.head_model.model import HeadModel, SurfacePoints, surface_positions
from backend.observations import PointSet, PointSetId
from backend.skin_matching.chain import Chains, solve
from backend.skin_matching.follow import FACING, FollowedSkin, follow, spread_frames
from backend.skin_matching.keypoints import Keypoints, skin_keypoints
from backend.skin_matching.lay_out import STEP, TakeLayout
from backend.skin_matching.refine_views import ViewPictures
from backend.skin_matching.turning import turn_shape

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Bools = NDArray[np.bool_]

SKIN = PointSetId("skin", "skin matching")

SIDES = (256, 512)
"""Of the atlas, texels."""
COARSE = 2.0
"""Pixels from texel to texel. On benchmark heads (1.3) 512 lowers SSME by 5 % talking, by nothing turning, and costs
twice as much."""
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
SELDOM = 0.15
"""Of the frames: keypoints that fewer show are left out."""
MOST_CHOSEN = 600
"""Keypoints: every frame pays for each in the fit."""
MATCHING = 0.5
"""Of a round's progress: what comes before its fit, about."""


@dataclass(frozen=True)
class TimeMatching:
    """How skin is matched over time; what is not the default is for ablations."""

    consecutive: bool = True
    mean_texture: bool = True
    keypoints: int = 400
    side: int | None = None  # texels; None: as fine as the pictures ask for
    rounds: int = 2
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
    how: TimeMatching | None = None,
    on_progress: Callable[[float], None] = lambda _: None,
    should_cancel: Callable[[], bool] = lambda: False,
) -> TimeMatchedFit | None:
    """Fit a take of one view again with its skin matched from frame to frame.

    None where there are no two frames of one view, too little skin could be matched, or it did not help. ``fit`` is a
    fit of ``views`` with ``options``. Pictures are asked for in ascending order, some of them beforehand, again in
    every round; few are held at once. ``on_progress`` gets a fraction; ``should_cancel`` is asked often. Raises as
    ``fit_take``, Cancelled included.
    """
    how = how or TimeMatching()
    if len(views) != 1 or views[0].alignment.tells_pose.sum() < 2:
        return None
    view = views[0]
    layout = TakeLayout(head, how.side or side_for(head, fit, view), pictures.lenses[0])
    keypoints = choose_keypoints(layout, fit, view, how.keypoints)

    def check() -> None:
        if should_cancel():
            raise Cancelled

    def part(first: float, share: float) -> Callable[[float], None]:
        return lambda fraction: on_progress(first + share * fraction)

    now, before, skin = fit, None, None
    for number in range(how.rounds):
        first, share = number / how.rounds, 1 / how.rounds
        hears = part(first, MATCHING * share)
        skin = _matched(layout, now, view, pictures, keypoints, how, check, hears)
        if not skin.valid.any():
            return None
        if before is None:
            before = skin_residual(fit_points(head, now, keypoints), skin)
        refitting = part(first + MATCHING * share, (1 - MATCHING) * share)
        turned = turn_shape(head, view, now, skin, options, check) if how.turning else None
        if turned is None:
            now = _fitted(head, view, skin, now, options, neutral_prior, refitting, should_cancel)
        else:
            skin, told = turned.skin, replace(view, camera=turned.camera)
            now = _fitted(head, told, skin, turned.start, options, turned.neutral, refitting, should_cancel)
    if skin is None or before is None:
        return None
    bound = keypoints if skin.points is None else replace(keypoints, points=skin.points)
    residual = skin_residual(fit_points(head, now, bound), skin)
    if _worse(now, fit) or not np.nanmean(residual) < np.nanmean(before):
        return None
    return TimeMatchedFit(now, skin.valid.sum(axis=1), residual, before, how.rounds, skin)


def _matched(
    layout: TakeLayout,
    fit: FitResult,
    view: View,
    pictures: ViewPictures,
    keypoints: Keypoints,
    how: TimeMatching,
    check: Callable[[], None],
    on_progress: Callable[[float], None],
) -> PointSet:
    """The keypoints as the pictures show them, by the layout of a fit."""
    seen = follow(
        layout,
        fit,
        view.alignment,
        pictures,
        keypoints.nu * layout.side,
        consecutive=how.consecutive,
        mean_texture=how.mean_texture,
        check=check,
        on_progress=on_progress,
    )
    return _point_set(seen, solve(seen.said, anchored=how.mean_texture), keypoints)


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


def _fitted(
    head: HeadModel,
    view: View,
    skin: PointSet,
    start: FitResult,
    options: FitOptions,
    neutral_prior: F32 | None,
    on_progress: Callable[[float], None],
    should_cancel: Callable[[], bool],
) -> FitResult:
    """The take fitted to the skin as well, from an earlier fit."""
    fit = fit_take(
        head,
        [with_skin(head, view, skin)],
        options,
        neutral_prior=neutral_prior,
        initial=start,
        on_progress=lambda fraction, _words: on_progress(fraction),
        should_cancel=should_cancel,
    )
    return fit.without_points(SKIN.made_by)


def side_for(head: HeadModel, fit: FitResult, view: View) -> int:
    """The coarser of ``SIDES`` unless its texels are larger than ``COARSE`` pixels."""
    frames = spread_frames(view.alignment.tells_pose)
    step = np.median([at.step for at in TakeLayout(head, SIDES[0]).places(fit, frames)])
    return SIDES[0] if step <= COARSE else SIDES[1]


def choose_keypoints(layout: TakeLayout, fit: FitResult, view: View, wanted: int) -> Keypoints:
    """Keypoints of which a frame shows about ``wanted`` in the mean."""
    head = layout.head
    every = skin_keypoints(head)
    frames = spread_frames(view.alignment.tells_pose)
    facing = np.stack([sample(at.facing, every.nu * layout.side / STEP) for at in layout.places(fit, frames)])
    shown = facing > FACING
    often = shown.mean(axis=0) >= SELDOM
    count = round(wanted * often.sum() / max(shown[:, often].sum(axis=1).mean(), 1))
    kept = spread_vertices(head, every.vertex[often], min(count, MOST_CHOSEN))
    at = np.isin(every.vertex, kept)
    points = SurfacePoints(every.points.triangle[at], every.points.barycentric[at])
    return Keypoints(every.vertex[at], points, every.nu[at])


def fit_points(head: HeadModel, fit: FitResult, keypoints: Keypoints, strip: int = 64) -> F64:
    """(T,P,2) pixels where a fit of one view has the keypoints."""
    camera = fit.cameras[0]
    found = np.empty((len(fit.head_rotation), len(keypoints.nu), 2))
    for start in range(0, len(found), strip):
        part = slice(start, start + strip)
        world = surface_positions(keypoints.points, head.triangles, world_vertices(head, fit, part))
        there = world @ camera.world_to_camera[:, :3].T + camera.world_to_camera[:, 3]
        found[part] = there[..., :2] / there[..., 2:] * camera.focal_px + np.array(camera.principal_point)
    return found


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
