"""From options and observations to a complete energy: every weight, prior and unknown of a take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.fitting.action_priors import action_priors
from backend.fitting.action_witness import Witness
from backend.fitting.cameras import CameraUnknowns
from backend.fitting.normal_equations import NormalEquations
from backend.fitting.observed_lids import lid_closure_term
from backend.fitting.observed_outline import outline_term
from backend.fitting.observed_pairs import pairs_term
from backend.fitting.observed_points import ObservedPoints
from backend.fitting.point_basis import PointBasis, shape_columns
from backend.fitting.state import GAZE_UNKNOWNS, POSE_UNKNOWNS, State
from backend.fitting.terms.glide import Glide
from backend.fitting.terms.neutral import NeutralFrames
from backend.fitting.terms.points import PointsTerm
from backend.fitting.terms.priors import FocalPrior, FramePrior, LipSeal, PrincipalPrior, ShapePrior
from backend.fitting.terms.temporal import TemporalTerm
from backend.fitting.terms.types import Term
from backend.fitting.types import EnergyWeights, FitOptions, View
from backend.head_model.model import HeadModel
from backend.observations import ViewAlignment
from backend.observations.jaw_outline import load_jaw_outline
from backend.observations.point_pairs import load_pair_table

F64 = NDArray[np.float64]

# Of the mean interval: recorders whose queue empties write pictures at times that nobody took them at, a millisecond
# apart; believed, they would tie their frames to each other. A camera that doubles its rate for a part is above it.
LEAST_INTERVAL = 0.4
FREE_AT_REST = ("eyeLook", "eyeBlink")
"""How the names of actions begin that a face at rest may show."""


def found_frames(views: Sequence[View]) -> NDArray[np.bool_]:
    """(C,T) in which frames each view shows enough points to tell a pose."""
    return np.stack([view.alignment.tells_pose for view in views])


def _tensor(array: object, like: Tensor) -> Tensor:
    return torch.as_tensor(np.asarray(array), dtype=torch.float64, device=like.device)


def points_term(
    points: ObservedPoints, views: Sequence[View], robust_scale: float, unknowns: CameraUnknowns, device: torch.device
) -> PointsTerm:
    """E_A of what all views observed, as tensors on ``device``."""
    mu, precision = points.stacked(views)
    return PointsTerm(
        mu=torch.as_tensor(mu, device=device),
        precision=torch.as_tensor(precision, device=device),
        robust_scale=robust_scale,
        unknowns=unknowns,
    )


def principal_point(view: View) -> tuple[float, float]:
    """Where a view's optical axis is known, or has to be supposed, to meet its picture: pixels."""
    width, height = view.alignment.image_size
    return view.camera.principal_point or (width / 2, height / 2)


def camera_unknowns(views: Sequence[View], options: FitOptions, origin: F64, like: Tensor) -> CameraUnknowns:
    """The camera parameters to solve for: all that are not known, but for one view that is the world's gauge."""
    known = [view.camera.world_to_camera is not None for view in views]
    gauge = 0 if not any(known) else None
    scaled = not options.metric_cameras and sum(known) > 1
    return CameraUnknowns(
        extrinsics=tuple(not k and j != gauge for j, k in enumerate(known)),
        focal=tuple(view.camera.focal_px is None for view in views),
        scaled=tuple(k and scaled for k in known),
        origin=_tensor(origin, like),
        principal=tuple(options.solve_principal_point and v.camera.principal_point is None for v in views),
        side=tuple(float(max(view.alignment.image_size)) for view in views),
    )


def build_problem(
    head: HeadModel,
    basis: PointBasis,
    points: ObservedPoints,
    views: Sequence[View],
    options: FitOptions,
    unknowns: CameraUnknowns,
    neutral_prior: NDArray[np.floating[Any]] | None,
    witness: Witness | None = None,
) -> Problem:
    """The whole energy of a take (seeds/001 eq. 12). ``neutral_prior (V,3)`` metres is E_MICA's neutral, or None.

    ``witness`` is what pictures tell of the head's actions in these frames.
    """
    weights = options.weights
    like = basis.prior
    found = found_frames(views)
    repeats = max(1.0, weights.repeated_bias * int(found.any(0).sum()))
    data = points_term(points, views, weights.robust_scale, unknowns, like.device)
    seen, eyes = torch.as_tensor(found.any(0), device=like.device), _eyes_seen(basis, data)
    terms: list[Term] = [
        data,
        _temporal_term(basis, points.count, views, weights, seen, eyes),
        _shape_prior(head, basis, options, repeats, neutral_prior),
        # An eye that no frame shows has nothing but its prior; one behind closed lids was seen before and after.
        FramePrior(seen.to(like.dtype), ((eyes | ~eyes.any(0)) & seen[:, None]).to(like.dtype)),
        _focal_prior(views, options, unknowns, found, like),
    ]
    pairs = pairs_term(basis, points, views, load_pair_table(), weights, unknowns)
    outline = outline_term(basis, points, views, load_jaw_outline(), weights.robust_scale, unknowns)
    terms += action_priors(head, weights, found.any(0), witness, like.device)
    if any(unknowns.principal):
        terms.append(_principal_prior(views, options, unknowns, found, like))
    if basis.sealed is not None:
        terms.append(LipSeal(*basis.sealed, weights.lip_seal * seen))
    lids = lid_closure_term(views, basis, weights.closed_lids)
    terms += [term for term in (pairs, outline, lids) if term is not None]
    if options.neutral_frames:
        terms.append(neutral_frames_term(head, views, options, like))
    return Problem(basis, tuple(terms), unknowns)


def _eyes_seen(basis: PointBasis, data: PointsTerm) -> Tensor:
    """(T,2) bool: frames in which some view shows a point of the left and right eyeball."""
    shown = (data.precision > 0).any(dim=0)[:, basis.eye_index]
    return torch.stack([shown[:, basis.eye_side == side].any(dim=1) for side in (0, 1)], dim=1)


def _temporal_term(
    basis: PointBasis, points: int, views: Sequence[View], weights: EnergyWeights, seen: Tensor, eyes: Tensor
) -> TemporalTerm:
    """E_temp; velocities in gaps are as sure as accelerations that bring them about in ``weights.glide`` seconds."""
    rate = views[0].alignment.frame_rate
    vertices, gaze, expression = (
        count * (rate**2 / sigma) ** 2
        for count, sigma in (
            (points, weights.acceleration),
            (max(len(basis.eye_index), 1), weights.gaze_acceleration),
            (1, weights.expression_acceleration),
        )
    )
    own = slice(1 + basis.identity_count, basis.size)
    form = vertices * torch.einsum("aakl->kl", basis.face_gram)[own, own]
    form = form + expression * torch.eye(len(form), dtype=form.dtype, device=form.device)
    moved = (rate * weights.glide) ** 2
    intervals = _tensor(frame_intervals(views[0].alignment), form)
    gliding = Glide.between(form / moved, gaze / moved, intervals, seen, eyes)
    return TemporalTerm(intervals, vertices, gaze, expression, gliding)


def frame_intervals(alignment: ViewAlignment) -> F64:
    """(T-1,) times between frames in units of their mean, ``1 / frame_rate``; ``LEAST_INTERVAL`` where less is told."""
    return np.maximum(np.diff(alignment.times) * alignment.frame_rate, LEAST_INTERVAL)


def neutral_frames_term(head: HeadModel, views: Sequence[View], options: FitOptions, like: Tensor) -> NeutralFrames:
    """The term of ``FitOptions.neutral_frames``; what the eyes and their lids do is not held."""
    at_rest = np.isin(views[0].alignment.numbers, options.neutral_frames)
    held = np.array([not name.startswith(FREE_AT_REST) for name in head.expression_names], np.float64)
    return NeutralFrames(_tensor(options.weights.neutral_frames * at_rest, like), _tensor(held, like))


def _shape_prior(
    head: HeadModel,
    basis: PointBasis,
    options: FitOptions,
    repeats: float,
    neutral_prior: NDArray[np.floating[Any]] | None,
) -> ShapePrior:
    weights = options.weights
    like = basis.prior
    diagonal = np.full(basis.identity_count, weights.identity * repeats)
    if basis.deform_count:
        diagonal[-basis.deform_count :] = weights.deform * repeats
    form, pull, constant = np.diag(diagonal), np.zeros(basis.identity_count), 0.0
    if neutral_prior is not None:
        shape = shape_columns(head, options.identity_components, options.deform_region, weights)
        face = head.vertex_weight.astype(np.float64)
        used = face > 0.5  # face and ears; what lies behind is not what such predictions are good at
        weight = weights.neutral_prior * repeats / (used.sum() * weights.neutral_prior_sigma**2)
        flat = shape[:, used].reshape(len(shape), -1)
        miss = (head.template[used] - neutral_prior[used]).astype(np.float64).ravel()
        form = form + weight * flat @ flat.T
        pull, constant = weight * flat @ miss, 0.5 * weight * float(miss @ miss)
    return ShapePrior(_tensor(form, like), _tensor(pull, like), _tensor(constant, like))


def focal_form(views: Sequence[View], options: FitOptions, found: NDArray[np.bool_]) -> tuple[F64, F64]:
    """The prior ½ (x − usual)ᵀ form (x − usual) of log focals x: ``form (C,C)``, ``usual (C,)``.

    Each camera near the usual focal length, or nearer to what its pictures say of it, and cameras of one picture size
    near each other, unless their lenses are known to differ (``KnownCamera.lens``). The cameras of a take are mostly of
    one kind and set alike; all that are count once against the usual focal. ``found (C,T)`` are the frames that each
    view shows the face in.
    """
    weights = options.weights
    repeats = np.maximum(1.0, weights.repeated_bias * found.sum(1))
    sizes = [view.alignment.image_size for view in views]
    lenses = [(view.camera.lens, size) for view, size in zip(views, sizes, strict=True)]
    alike = np.array([[a == b for b in lenses] for a in lenses], np.float64)
    many = alike.sum(1)
    form = np.diag(weights.focal_weight * repeats / weights.focal_log_sigma**2 / many)
    tie = weights.focal_weight * repeats.mean() / weights.focal_alike_log_sigma**2
    form += tie * (np.eye(len(views)) - alike / many)
    usual = np.array([math.log(options.usual_focal * max(size)) for size in sizes])
    for j, told in enumerate(view.camera.focal_told for view in views):
        if told is not None:
            sharper = told.log_sigma**-2 - weights.focal_log_sigma**-2 / many[j]
            form[j, j] += weights.focal_weight * repeats[j] * sharper
            usual[j] = math.log(told.focal_px)
    return form, usual


def _focal_prior(
    views: Sequence[View], options: FitOptions, unknowns: CameraUnknowns, found: NDArray[np.bool_], like: Tensor
) -> FocalPrior:
    form, usual = focal_form(views, options, found)
    solved = [j for j in range(len(views)) if unknowns.focal[j]]
    return FocalPrior(
        form=_tensor(form, like),
        usual=_tensor(usual, like),
        solved=torch.tensor(solved, dtype=torch.long, device=like.device),
        index=torch.tensor([unknowns.focal_index(j) for j in solved], dtype=torch.long, device=like.device),
    )


def _principal_prior(
    views: Sequence[View], options: FitOptions, unknowns: CameraUnknowns, found: NDArray[np.bool_], like: Tensor
) -> PrincipalPrior:
    weights = options.weights
    solved = [j for j in range(len(views)) if unknowns.principal[j]]
    repeats = np.maximum(1.0, weights.repeated_bias * found.sum(1))[solved]
    side = np.array(unknowns.side)[solved]
    return PrincipalPrior(
        centre=_tensor([principal_point(views[j]) for j in solved], like),
        side=_tensor(side, like),
        weight=_tensor(weights.focal_weight * repeats / weights.principal_sigma**2, like),
        solved=torch.tensor(solved, dtype=torch.long, device=like.device),
        index=torch.tensor([unknowns.principal_index(j) for j in solved], dtype=torch.long, device=like.device),
    )


T = TypeVar("T", bound=Term)


@dataclass(frozen=True, eq=False)
class Problem:
    """A complete energy over T frames (seeds/001 eq. 12 with DESIGN §6's additions) and the cameras' unknowns."""

    basis: PointBasis
    terms: tuple[Term, ...]
    unknowns: CameraUnknowns

    def term(self, kind: type[T]) -> T:
        """The term of this kind; raises ``LookupError`` where there is none."""
        for term in self.terms:
            if isinstance(term, kind):
                return term
        raise LookupError(f"the problem has no {kind.__name__}")

    def with_term(self, replacement: Term) -> Problem:
        """The same with ``replacement`` in the place of the term of its kind."""
        kind = type(replacement)
        return replace(self, terms=tuple(replacement if isinstance(t, kind) else t for t in self.terms))

    def without(self, kind: type[Any]) -> Problem:
        """The same without the terms of this kind."""
        return replace(self, terms=tuple(term for term in self.terms if not isinstance(term, kind)))

    def energy_tensor(self, state: State) -> Tensor:
        """The energy of ``state`` as a scalar that autograd can differentiate; dimensionless."""
        total = state.translation.new_zeros(())
        for term in self.terms:
            total = total + term.energy(self.basis, state)
        return total

    def energy(self, state: State) -> float:
        """The energy of ``state``; dimensionless."""
        return float(self.energy_tensor(state))

    def equations(self, state: State) -> NormalEquations:
        """Blocks of zeros for all unknowns of ``state``'s frames."""
        size = self.basis.expression_count + POSE_UNKNOWNS + GAZE_UNKNOWNS
        shared = self.basis.identity_count + self.unknowns.count
        return NormalEquations.zeros(state.frame_count, shared, size, state.expression)

    def linearise(self, state: State) -> NormalEquations:
        """Gauss–Newton blocks of the whole energy at ``state``."""
        equations = self.equations(state)
        for term in self.terms:
            term.add(equations, self.basis, state)
        return equations
