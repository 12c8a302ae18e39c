"""Fit a head model, its performance and the cameras to what an aligner saw of a take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.errors import Cancelled
from backend.fitting.every_few import minimise_every_few, minimise_every_few_first
from backend.fitting.point_basis import PointBasis, shape_columns
from backend.fitting.prepare import Take, choose_device, prepare, views_at
from backend.fitting.problem import points_term
from backend.fitting.side_by_side import one_core_each
from backend.fitting.solver.coarse_to_fine import minimise_coarse_to_fine
from backend.fitting.solver.levenberg_marquardt import Minimum, Stage
from backend.fitting.state import State
from backend.fitting.types import FitOptions, FitResult, FittedCamera, Fixed, Solution, View
from backend.fitting.uncertainty import FitUncertainty, take_uncertainty, unknown_uncertainty
from backend.fitting.windows import WHOLE, minimise_in_windows, minimise_key_frames
from backend.head_model.model import HeadModel
from backend.head_model.personal import no_corrections, with_corrections
from backend.memory import at_once

__all__ = ["choose_device", "fit_take"]

Progress = Callable[[float, str], None]


def _hold_ends(state: State, found: NDArray[np.bool_], fixed: Fixed) -> State:
    """Before the first and after the last seen frame nothing is known: hold what was seen last, of what may move."""
    index = np.flatnonzero(found)
    held = torch.as_tensor(np.clip(np.arange(len(found)), index[0], index[-1]), device=state.expression.device)
    return State(
        identity=state.identity,
        cameras=state.cameras,
        expression=state.expression if fixed.expression else state.expression[held],
        rotation=state.rotation if fixed.pose else state.rotation[held],
        translation=state.translation if fixed.pose else state.translation[held],
        gaze=state.gaze if fixed.gaze else state.gaze[held],
    )


def _inter_ocular_px(basis: PointBasis, state: State) -> Tensor:
    """(C,T) the fitted outer eye corners' distance in the neutral, seen frontally at the head's depth, in pixels.

    Unlike the distance in the image it does not shrink when the head turns away.
    """
    neutral = torch.cat([state.identity.new_ones(1), state.identity, torch.zeros_like(basis.lower)])
    corners = basis.outer_canthi @ neutral
    middle = state.rotation @ corners.mean(0) + state.translation
    cameras = state.cameras
    depth = middle @ cameras.rotation[:, 2].T + cameras.translation[:, 2]  # (T,C)
    return (corners[0] - corners[1]).norm() * cameras.log_focal.exp()[:, None] / depth.T


@one_core_each()
def fit_take(
    head: HeadModel,
    views: Sequence[View],
    options: FitOptions | None = None,
    *,
    neutral_prior: NDArray[np.float32] | None = None,
    initial: Solution | None = None,
    fixed: Fixed | None = None,
    draft: bool = False,
    on_progress: Progress | None = None,
    should_cancel: Callable[[], bool] | None = None,
) -> FitResult:
    """Fit what a take shares (identity, δ_d, cameras) and every frame's expression, head pose and gaze, all at once.

    ``neutral_prior (V,3)`` metres, head space: this person's neutral as something else predicts it (E_MICA). Frames
    without a face inside the take are bridged by the temporal term; at its ends they hold the nearest seen frame.
    ``initial`` is where the fit starts from instead of a first guess (an earlier fit, or a track's values), and what
    ``fixed`` names stays there; its ``action_corrections`` stay as they are in any case. A ``draft`` solves only what
    such a start needs: every few frames, of a long take what all frames share, and no uncertainty (NaN); it starts from
    nothing. ``on_progress(fraction, words)`` is called in every iteration. Takes of more than ``windows.WHOLE`` frames
    are solved in windows, which bounds memory.

    Raises:
        UserError: ``no_face`` where no frame shows enough points, ``views_apart`` and ``rig_scale`` where cameras
            cannot be posed, ``deform_region`` for a region that the head lacks.
        Cancelled: within one iteration of ``should_cancel`` saying so.
        ValueError: views with different frames or points; an ``initial`` of others; ``fixed`` without ``initial``.
    """
    options = options or FitOptions()
    if initial is None and fixed is not None:
        raise ValueError("only what has a value can be held fixed: give an initial solution")
    fixed = fixed or Fixed()
    corrections = no_corrections() if initial is None else initial.action_corrections
    take = prepare(with_corrections(head, corrections), views, options, neutral_prior, initial)

    def tell(fraction: float, words: str) -> None:
        if should_cancel is not None and should_cancel():
            raise Cancelled
        if on_progress is not None:
            on_progress(fraction, words)

    fixed = replace(fixed, expression=fixed.expression or options.neutral)
    everything = Stage(fixed, options.max_iterations, options.tolerance)
    draft = draft and initial is None
    best = _draft(take, everything, tell) if draft else None
    best = best or _minimum(take, everything, initial is None, tell)
    if draft:
        spread = unknown_uncertainty(best.state)
    else:
        # a shape that frames at rest told stays as it is, and yet is no surer than another
        solved = replace(fixed, identity=fixed.identity and not options.neutral_frames)
        spread = take_uncertainty(take, best.state, replace(everything, fixed=solved))
    known = take.found if fixed.frames is None else take.found | fixed.frames
    return _result(take, _hold_ends(best.state, known, fixed), best, spread, corrections)


def _minimum(take: Take, stage: Stage, from_nothing: bool, tell: Progress) -> Minimum:
    on_iteration = _told(tell)
    if len(take.found) > at_once(WHOLE):
        return minimise_in_windows(take, stage, on_progress=tell)
    if from_nothing:
        return minimise_every_few_first(take, stage, on_iteration=on_iteration)
    return minimise_coarse_to_fine(take.problem(), take.start, stage, on_iteration=on_iteration)


def _draft(take: Take, stage: Stage, tell: Progress) -> Minimum | None:
    """Where the fit of a whole take may start; None where a few frames tell too little of it."""
    if len(take.found) > at_once(WHOLE):
        return minimise_key_frames(take, stage, _told(tell))
    return minimise_every_few(take, stage, on_iteration=_told(tell))


def _told(tell: Progress) -> Callable[[int, float], None]:
    def on_iteration(iteration: int, energy: float) -> None:
        # Nobody knows how many iterations it takes; ten are usual, and each brings half of what is left.
        tell(1 - 0.5 ** ((iteration - 1) / 3), f"iteration {iteration}, energy {energy:.4g}")

    return on_iteration


def _result(
    take: Take, state: State, best: Minimum, spread: FitUncertainty, corrections: NDArray[np.float32]
) -> FitResult:
    head, views, options, origin = take.head, take.views, take.options, take.origin
    basis = take.basis
    errors, inter_ocular = reprojection_errors(take, state)
    components = basis.identity_count - basis.deform_count
    shape = state.identity.cpu().numpy()
    identity = np.zeros(len(head.shape_basis))
    identity[:components] = shape[:components]
    deformation = np.zeros((head.vertex_count, 3))
    if basis.deform_count:
        columns = shape_columns(head, options.identity_components, options.deform_region, options.weights)
        deformation = np.einsum("k,kvc->vc", shape[components:], columns[components:])
    cameras = []
    for j, centre in enumerate(state.cameras.principal_point.tolist()):
        turn = state.cameras.rotation[j].cpu().numpy()
        shift = state.cameras.translation[j].cpu().numpy() - turn @ origin
        focal = views[j].camera.focal_px or float(state.cameras.log_focal[j].exp())
        cameras.append(FittedCamera(focal, (centre[0], centre[1]), np.concatenate([turn, shift[:, None]], axis=1)))
    return FitResult(
        identity=identity,
        deformation=deformation,
        expression=state.expression.cpu().numpy(),
        head_rotation=state.rotation.cpu().numpy(),
        head_translation=state.translation.cpu().numpy() + origin,
        gaze=state.gaze.reshape(-1, 2, 2).cpu().numpy(),
        cameras=tuple(cameras),
        action_corrections=corrections,
        points=take.points.sets,
        tracked=take.found,
        reprojection_error_px=errors,
        inter_ocular_px=inter_ocular,
        energy=best.energy,
        iterations=best.iterations,
        expression_sigma=_where_known(spread.expression, take.found),
        head_rotation_sigma=_where_known(spread.rotation, take.found),
        head_translation_sigma=_where_known(spread.translation, take.found),
        uncertainty_mm=_where_known(spread.vertex_mm, take.found),
    )


def _where_known(values: Tensor, found: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(T,…) with NaN before the first and after the last seen frame."""
    index = np.flatnonzero(found)
    known = np.array(values.cpu().numpy())
    known[: index[0]] = known[index[-1] + 1 :] = np.nan
    return known


def reprojection_errors(
    take: Take, state: State, frames: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """(C,T,N) by how many pixels points miss what was seen, NaN where not valid; (C,T) the inter-ocular distance.

    ``state`` is of all frames of the take, or of some ``frames``.
    """
    views = take.views if frames is None else views_at(take.views, frames)
    errors = np.stack([np.where(take.points.valid(v), np.float32(0), np.float32(np.nan)) for v in views])
    data = points_term(take.points, views, take.options.weights.robust_scale, take.unknowns, state.translation.device)
    for part in data.chunks():
        for j in range(len(views)):
            residual = data.residuals(take.basis, state, j, part)
            errors[j, part] += residual.norm(dim=-1).cpu().numpy().astype(np.float32)
    return errors, _inter_ocular_px(take.basis, state).cpu().numpy()
