"""A turning head is several cameras: free points of its rigid skin tell its shape, its poses and the focal length.

Frames of one view are cameras of a head that stands still. The points that the take's expressions hardly move are
adjusted together with the frames' poses and one focal length (``bundle_adjustment``), for themselves: what the head
model cannot be, and where an aligner's points lie on turned faces, do not bend them. Then the model's neutral is laid
through the points, and each followed keypoint is bound to the place of the surface where it turned out to be. One view
does not tell the head's size: that stays the fit's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backend.fitting import FitOptions, FitResult, KnownCamera, View
from backend.fitting.point_basis import shape_columns
from backend.fitting.posed import neutral_vertices
from backend.fitting.types import ToldFocal
from backend.head_model.dense_points import outside
from backend.head_model.model import HeadModel, SurfacePoints, posed_vertices, surface_positions
from backend.head_model.personal import with_corrections
from backend.head_model.render import vertex_normals
from backend.head_model.rigid import Similarity, similarity_between
from backend.head_model.surface import MeshSurface
from backend.observations import PointSet
from backend.skin_matching.bundle_adjustment import (
    OWN,
    Bundle,
    Priors,
    Sightings,
    adjust,
    focal_sigma,
    point_covariance,
    residuals,
)

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Bools = NDArray[np.bool_]
Index = NDArray[np.intp]
Check = Callable[[], None]

RIGID = 0.004
"""Metres by which a take's expressions may move a keypoint in nine of ten frames for it to count as rigid. Of three
quick dev sequences' followed skin, more points tell the focal length better: 8 % off; with 0.002 12 and 0.001 14."""
OFTEN = 0.9
FEWEST_POINTS = 40
FEWEST_IN_FRAME = 20
FEWEST_FRAMES = 8
MOST_FRAMES = 60
"""Frames that are adjusted together, evenly spread over how far the head turned; the others are posed one by one."""
TURNED = np.deg2rad(25.0)
"""The least angle between two frames' lines of sight that counts as turning."""
ALIKE = 4.0
"""Times σ: followed skin errs alike in frame after frame and from point to neighbour. Exact tracks leave focal lengths
off by one or two hundredths, followed ones by a tenth, where σ as it is says a hundredth."""
FOCAL_SIGMA = 0.07
"""σ of log focal above which a turn does not tell shape and perspective apart (the bas relief). Where the first fit had
37 % of the focal length missing and 9° of rotation, points said 0.083, and a focal length that was 21 % off."""
POINT_SIGMA = 0.005
"""Metres by which the first fit may misplace followed skin; 0.01 makes SSME 1.93 of 1.78 and 2.63 of 2.65 px."""
FOCAL_PRIOR = 0.3  # σ of log focal about the fit's
MISSED = 1.5
"""σ by which sightings may miss the adjusted points (median): beyond, it was not one rigid thing that was followed."""
ODD = 0.003  # metres by which points differ from the model's surface without being odd
MODEL_SIGMA = 0.001  # metres by which identities leave people's faces
FAR = 0.01  # metres from the surface at which a point is none of it
STRIP = 512  # frames compared with all others at once
ROUNDS = 5  # of laying the surface through the points


@dataclass(frozen=True, eq=False)
class TurnedHead:
    """What a turning head told, for a fit of the same view.

    ``start`` has the new shape, poses and focal length; ``skin`` the keypoints bound to where they turned out to be;
    ``camera`` the focal length with its σ; ``neutral (V,3)`` metres, head space, to be held as a prior. ``points
    (P,3)`` metres in head space of the rigid ones among the keypoints, ``rigid (P,)`` which those are, with
    ``covariance (P,3,3)``; ``turned`` radians between the frames farthest apart.
    """

    start: FitResult
    skin: PointSet
    camera: KnownCamera
    neutral: F32
    points: F64
    covariance: F64
    rigid: Index
    turned: float


def turn_shape(
    head: HeadModel,
    view: View,
    fit: FitResult,
    skin: PointSet,
    options: FitOptions,
    check: Check = lambda: None,
) -> TurnedHead | None:
    """What the followed ``skin`` of a turning head tells; None where it does not turn enough to tell.

    ``fit`` is a fit of ``view`` alone, ``skin`` free points over its T frames. ``check`` is called often and may raise.
    """
    if skin.points is None:
        raise ValueError("followed skin needs its places on the head's surface")
    cameras = _cameras(fit)
    seen = skin.valid & fit.tracked[:, None]
    if _apart(cameras, seen.any(axis=1)) < TURNED:
        return None
    moved = _moved(head, fit, skin.points)
    neutral = neutral_vertices(head, fit).astype(np.float64)
    there = surface_positions(skin.points, head.triangles, neutral)
    still = np.quantile(np.linalg.norm(moved, axis=2), OFTEN, axis=0) < RIGID
    frames, rigid = _used(seen & still, cameras)
    if len(frames) < FEWEST_FRAMES or len(rigid) < FEWEST_POINTS or _apart(cameras[frames]) < TURNED:
        return None
    at_frames = _Seen(skin, fit, cameras, frames, seen)
    sightings = at_frames.sightings(rigid)
    begun = at_frames.bundle(there[rigid])
    free = np.ones((len(frames), OWN), bool)
    free[:, -1] = view.camera.focal_px is None
    form = np.eye(len(frames)) / (len(frames) * FOCAL_PRIOR**2)
    priors = Priors(begun.points, form, begun.log_focal, free, one_focal=True, point_sigma=POINT_SIGMA)
    adjusted = adjust(begun, sightings, priors, check)
    sigma = float(focal_sigma(adjusted, sightings, priors)[0])
    missed = np.linalg.norm(residuals(adjusted, sightings), axis=1) / (sightings.sigma / ALIKE)
    if sigma > FOCAL_SIGMA or np.median(missed) > MISSED:
        return None
    covariance = point_covariance(adjusted, sightings, priors)
    shaped = _Shaped.through(head, fit, options, adjusted, covariance, there[rigid])
    focal = float(np.exp(adjusted.log_focal[0]))
    posed = _posed(fit, skin, seen, shaped, rigid, focal, frames, check)
    start = replace(posed, identity=shaped.identity, deformation=shaped.deformation)
    at_frames = _Seen(skin, start, _cameras(start), frames, seen)
    bound, kept = _bound(head, skin, at_frames, shaped, rigid, moved[frames], there, check)
    told = view.camera if view.camera.focal_px else replace(view.camera, focal_told=ToldFocal(focal, max(sigma, 0.01)))
    return TurnedHead(
        start,
        replace(skin, points=bound, valid=skin.valid & kept),
        told,
        neutral_vertices(head, start),
        shaped.bundle.points,
        covariance * shaped.scale**2,
        rigid,
        _apart(_cameras(start)[frames]),
    )


@dataclass(frozen=True, eq=False)
class _Seen:
    """Keypoints over some ``frames (C,)`` of a view, which ``cameras (T,3,4)`` see the head in."""

    skin: PointSet
    fit: FitResult
    cameras: F64
    frames: Index
    seen: Bools

    def bundle(self, points: F64) -> Bundle:
        focal = np.full(len(self.frames), self.fit.cameras[0].focal_px)
        return Bundle.of(self.cameras[self.frames], focal, points)

    def sightings(self, which: Index, moved: F64 | None = None) -> Sightings:
        """Of the keypoints ``which (P,)``; ``moved (C,P,3)`` by expressions."""
        camera, point = np.nonzero(self.seen[np.ix_(self.frames, which)])
        at = self.frames[camera], which[point]
        return Sightings(
            camera,
            point,
            self.skin.mu[at].astype(np.float64),
            ALIKE * self.skin.sigma[at].astype(np.float64),
            np.tile(np.array(self.fit.cameras[0].principal_point), (len(self.frames), 1)),
            0.0 if moved is None else moved[camera, which[point]],
        )


@dataclass(frozen=True, eq=False)
class _Shaped:
    """The head's neutral laid through adjusted points: the ``bundle`` in its space, ``scale`` times as large."""

    identity: F64
    deformation: F64
    neutral: F64
    bundle: Bundle
    scale: float

    @classmethod
    def through(
        cls, head: HeadModel, fit: FitResult, options: FitOptions, bundle: Bundle, covariance: F64, there: F64
    ) -> _Shaped:
        """``there (P,3)`` are the points on the fitted neutral."""
        columns = shape_columns(head, options.identity_components, options.deform_region, options.weights)
        count = min(options.identity_components, len(head.shape_basis))
        begun = np.zeros(len(columns))
        begun[:count] = fit.identity[:count]
        weight = np.full(len(columns), options.weights.identity)
        weight[count:] = options.weights.deform
        told, scale = begun, 1.0
        for _ in range(ROUNDS):
            neutral = head.template + np.tensordot(told, columns, 1)
            motion = _lying(bundle.points, there)
            bundle, scale = _in_space_of(bundle, motion), scale * motion.scale
            found = _skin(head, neutral).closest(bundle.points)
            normal = found.of(vertex_normals(neutral, head.triangles), head.triangles)
            normal /= np.linalg.norm(normal, axis=1, keepdims=True)
            corners = columns[:, head.triangles[found.triangle]]
            by_shape = np.einsum("kpic,pi,pc->pk", corners, found.barycentric, normal, optimize=True)
            off = np.einsum("pc,pc->p", bundle.points - found.position, normal)
            variance = np.einsum("pc,pcd,pd->p", normal, covariance, normal) + MODEL_SIGMA**2
            pull = by_shape.T / (variance * (1 + (off / ODD) ** 2))
            form = pull @ by_shape + np.diag(weight)
            told = told + np.linalg.solve(form, pull @ off - weight * (told - begun))
            neutral = head.template + np.tensordot(told, columns, 1)
            there = _at(neutral, head, found.triangle, found.barycentric)
        identity = np.zeros(len(head.shape_basis))
        identity[:count] = told[:count]
        return cls(identity, np.tensordot(told[count:], columns[count:], 1), neutral, bundle, scale)


def _moved(head: HeadModel, fit: FitResult, points: SurfacePoints) -> F64:
    """(T,P,3) metres by which expressions move surface points in head space."""
    person = with_corrections(head, fit.action_corrections)
    neutral = neutral_vertices(head, fit)
    rest = surface_positions(points, head.triangles, neutral)
    moved = np.empty((len(fit.expression), len(points), 3))
    for start in range(0, len(moved), 64):
        part = slice(start, start + 64)
        posed = posed_vertices(person, neutral, fit.expression[part], fit.gaze[part])
        moved[part] = surface_positions(points, head.triangles, posed) - rest
    return moved


def _cameras(fit: FitResult) -> F64:
    """(T,3,4) [R | t] from head space to the camera's in every frame."""
    camera = fit.cameras[0].world_to_camera
    shift = fit.head_translation @ camera[:, :3].T + camera[:, 3]
    return np.concatenate([camera[:, :3] @ fit.head_rotation, shift[:, :, None]], axis=2)


def _sight(cameras: F64) -> F64:
    """(T,3) unit vectors from the head's origin to the camera, in head space."""
    towards = -np.einsum("tij,ti->tj", cameras[:, :, :3], cameras[:, :, 3])
    return np.asarray(towards / np.linalg.norm(towards, axis=1, keepdims=True))


def _apart(cameras: F64, where: Bools | slice = slice(None)) -> float:
    """Radians between the lines of sight that are farthest apart."""
    sight = _sight(cameras[where])
    strips = (sight[start : start + STRIP] @ sight.T for start in range(0, len(sight), STRIP))
    return float(np.arccos(np.clip(min((float(strip.min()) for strip in strips), default=1.0), -1, 1)))


def _used(seen: Bools, cameras: F64) -> tuple[Index, Index]:
    """The frames (C,) and keypoints (P,) to be adjusted, of what is seen (T,P) of rigid ones."""
    frames = np.flatnonzero(seen.sum(axis=1) >= FEWEST_IN_FRAME)
    if len(frames) > MOST_FRAMES:
        sight = _sight(cameras[frames])
        step = np.arccos(np.clip((sight[1:] * sight[:-1]).sum(axis=1), -1, 1))
        way = np.concatenate([[0.0], np.cumsum(step + 1e-4)])
        frames = frames[np.unique(np.searchsorted(way, np.linspace(0, way[-1], MOST_FRAMES)).clip(0, len(way) - 1))]
    return frames, np.flatnonzero(seen[frames].sum(axis=0) >= max(4, len(frames) // 10))


def _lying(points: F64, there: F64) -> Similarity:
    """The motion that brings most points (P,3) to where the surface has them."""
    weight = np.ones(len(points))
    for _ in range(20):
        motion = similarity_between(points, there, weight)
        weight = 1 / (1 + np.square(motion.apply(points) - there).sum(axis=1) / ODD**2)
    return motion


def _in_space_of(bundle: Bundle, motion: Similarity) -> Bundle:
    """The same pictures, of points that were moved, and may be larger: the cameras are as much farther away."""
    cameras = bundle.world_to_camera
    turn = cameras[:, :, :3] @ motion.rotation.T
    shift = motion.scale * cameras[:, :, 3] - turn @ motion.translation
    moved = np.concatenate([turn, shift[:, :, None]], axis=2)
    return Bundle.of(moved, np.exp(bundle.log_focal), motion.apply(bundle.points))


def _skin(head: HeadModel, vertices: F64) -> MeshSurface:
    inside = outside(head)
    if "skin" in head.regions:
        inside &= head.regions["skin"]
    return MeshSurface(vertices, head.triangles, inside[head.triangles].all(axis=1))


def _at(vertices: F64, head: HeadModel, triangle: Index, barycentric: F64) -> F64:
    return np.asarray(np.einsum("pi,pic->pc", barycentric, vertices[head.triangles[triangle]]))


def _posed(
    fit: FitResult,
    skin: PointSet,
    seen: Bools,
    shaped: _Shaped,
    rigid: Index,
    focal: float,
    frames: Index,
    check: Check,
) -> FitResult:
    """The fit with every frame's pose as the points tell it; frames that show few of them move as those about them."""
    cameras = _moved_along(_cameras(fit), shaped.bundle.world_to_camera, frames)
    fit = replace(fit, cameras=(replace(fit.cameras[0], focal_px=focal),))
    others = np.setdiff1d(np.flatnonzero(seen[:, rigid].sum(axis=1) >= FEWEST_IN_FRAME), frames)
    for start in range(0, len(others), MOST_FRAMES):
        part = others[start : start + MOST_FRAMES]
        some = _Seen(skin, fit, cameras, part, seen)
        free = np.ones((len(part), OWN), bool)
        free[:, -1] = False
        begun = some.bundle(shaped.bundle.points)
        priors = Priors(begun.points, np.zeros((len(part), len(part))), begun.log_focal, free, point_sigma=1e-5)
        cameras[part] = adjust(begun, some.sightings(rigid), priors, check).world_to_camera
    world = fit.cameras[0].world_to_camera
    turn = world[:, :3].T
    return replace(
        fit,
        head_rotation=turn @ cameras[:, :, :3],
        head_translation=(cameras[:, :, 3] - world[:, 3]) @ turn.T,
    )


def _moved_along(cameras: F64, adjusted: F64, frames: Index) -> F64:
    """(T,3,4) the adjusted cameras, and the others moved as the nearest adjusted one was, in head space."""
    nearest = np.abs(np.arange(len(cameras))[:, None] - frames).argmin(axis=1)
    turn = np.einsum("cji,cjk->cik", cameras[frames][:, :, :3], adjusted[:, :, :3])
    farther = np.linalg.norm(adjusted[:, :, 3], axis=1) / np.linalg.norm(cameras[frames][:, :, 3], axis=1)
    moved = cameras.copy()
    moved[:, :, :3] = cameras[:, :, :3] @ turn[nearest]
    moved[:, :, 3] *= farther[nearest, None]
    moved[frames] = adjusted
    return moved


def _bound(
    head: HeadModel,
    skin: PointSet,
    at_frames: _Seen,
    shaped: _Shaped,
    rigid: Index,
    moved: F64,
    there: F64,
    check: Check,
) -> tuple[SurfacePoints, Bools]:
    """The keypoints at their places on the new surface, and which have one (P,).

    Those that expressions move are adjusted by themselves, taken back by what the fit says of its expressions.
    """
    places = there.copy()
    places[rigid] = shaped.bundle.points
    others = np.setdiff1d(np.flatnonzero(at_frames.seen[at_frames.frames].any(axis=0)), rigid)
    if len(others) and skin.points is not None:
        on_new = surface_positions(skin.points, head.triangles, shaped.neutral)
        begun = at_frames.bundle(on_new[others])
        count = len(at_frames.frames)
        still = np.zeros((count, OWN), bool)
        priors = Priors(begun.points, np.zeros((count, count)), begun.log_focal, still, point_sigma=FAR)
        places[others] = adjust(begun, at_frames.sightings(others, moved), priors, check).points
    used = np.union1d(rigid, others)
    found = _skin(head, shaped.neutral).closest(places[used])
    triangle, barycentric = np.array(skin.points.triangle), np.array(skin.points.barycentric)  # type: ignore[union-attr]
    triangle[used], barycentric[used] = found.triangle, found.barycentric
    kept = np.zeros(len(there), bool)
    kept[used] = found.distance < FAR
    return SurfacePoints(triangle, barycentric), kept
