"""Fit a head model, its performance and the camera to what an aligner saw of a take."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from backend.errors import Cancelled, UserError
from backend.fitting import data_term
from backend.fitting.initial_pose import bridge, initial_poses
from backend.fitting.levenberg_marquardt import Problem, Stage, minimise
from backend.fitting.point_basis import PointBasis, build_point_basis
from backend.fitting.state import State
from backend.fitting.temporal_term import TemporalWeights
from backend.fitting.types import FitOptions, FitResult, Observations
from backend.head_model.model import HeadModel

Progress = Callable[[float, str], None]


def choose_device(name: str) -> torch.device:
    """The torch device called ``name``; "auto" is CUDA when there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def _problem(basis: PointBasis, observations: Observations, options: FitOptions) -> Problem:
    device = basis.prior.device
    weights = options.weights
    width, height = observations.image_size
    precision = np.where(observations.valid, 1.0 / np.square(observations.sigma.astype(np.float64)), 0.0)
    mu = np.where(observations.valid[..., None], observations.mu, 0.0)
    points = mu.shape[1]
    per_second = observations.frame_rate**2  # from per frame² to per second²
    repeats = max(1.0, weights.repeated_bias * int(observations.found.sum()))
    return Problem(
        basis=basis,
        data=data_term.PixelData(
            mu=torch.as_tensor(mu, dtype=torch.float64, device=device),
            precision=torch.as_tensor(precision, dtype=torch.float64, device=device),
            principal_point=torch.tensor(
                options.principal_point or (width / 2, height / 2), dtype=torch.float64, device=device
            ),
            robust_scale=weights.robust_scale,
        ),
        temporal=TemporalWeights(
            vertices=points * (per_second / weights.acceleration) ** 2,
            gaze=max(len(basis.eye_index), 1) * (per_second / weights.gaze_acceleration) ** 2,
        ),
        identity_weight=weights.identity * repeats,
        lip_seal_weight=weights.lip_seal,
        focal_weight=weights.focal_weight * repeats / weights.focal_log_sigma**2,
        log_usual_focal=math.log(options.usual_focal * max(width, height)),
    )


def _start(basis: PointBasis, observations: Observations, problem: Problem, options: FitOptions) -> State:
    found = observations.found
    device = basis.prior.device
    mean = torch.zeros(1, basis.size, dtype=torch.float64, device=device)
    mean[0, 0] = 1.0
    points = np.empty((observations.mu.shape[1], 3))
    points[basis.skin_index.cpu().numpy()] = (basis.skin @ mean[0]).cpu().numpy()
    points[basis.eye_index.cpu().numpy()] = (basis.eye @ mean[0]).cpu().numpy()
    focal = options.focal_px or math.exp(problem.log_usual_focal)
    centre = tuple(problem.data.principal_point.tolist())
    weight = np.where(observations.valid, 1.0 / np.square(observations.sigma), 0.0)[found].astype(np.float64)
    rotation, translation = initial_poses(
        points, observations.mu[found].astype(np.float64), weight, focal, (centre[0], centre[1])
    )
    rotation, translation = bridge(found, rotation, translation)
    frames = len(found)

    def tensor(array: NDArray[np.float64]) -> torch.Tensor:
        return torch.as_tensor(array, dtype=torch.float64, device=device)

    return State(
        identity=tensor(np.zeros(basis.identity_count)),
        log_focal=tensor(np.asarray(math.log(focal))),
        expression=tensor(np.zeros((frames, basis.expression_count))).clamp(basis.lower, basis.upper),
        rotation=tensor(rotation),
        translation=tensor(translation),
        gaze=tensor(np.zeros((frames, 4))),
    )


def _hold_ends(state: State, found: NDArray[np.bool_]) -> State:
    """Before the first and after the last seen frame nothing is known: hold what was seen last."""
    index = np.flatnonzero(found)
    held = torch.as_tensor(np.clip(np.arange(len(found)), index[0], index[-1]), device=state.expression.device)
    return State(
        identity=state.identity,
        log_focal=state.log_focal,
        expression=state.expression[held],
        rotation=state.rotation[held],
        translation=state.translation[held],
        gaze=state.gaze[held],
    )


def _inter_ocular_px(basis: PointBasis, state: State) -> torch.Tensor:
    """(T,) the fitted outer eye corners' distance in the neutral, seen frontally at the head's depth, in pixels.

    Unlike the distance in the image it does not shrink when the head turns away.
    """
    neutral = torch.cat([torch.ones_like(state.identity[:1]), state.identity, torch.zeros_like(basis.lower)])
    corners = basis.outer_canthi @ neutral
    middle = state.rotation @ corners.mean(0) + state.translation
    return (corners[0] - corners[1]).norm() * state.log_focal.exp() / middle[:, 2]


def fit_take(
    head: HeadModel,
    observations: Observations,
    options: FitOptions | None = None,
    *,
    on_progress: Progress | None = None,
    should_cancel: Callable[[], bool] | None = None,
) -> FitResult:
    """Fit shared identity and focal length, and every frame's expression, head pose and gaze, all at once.

    Frames without a face inside the take are bridged by the temporal term; at its ends they hold the nearest seen
    frame. ``on_progress(fraction, words)`` hears every iteration. Raises ``UserError`` "no_face" where no frame shows
    enough points, and ``Cancelled`` within one iteration of ``should_cancel`` saying so.
    """
    options = options or FitOptions()
    if not observations.found.any():
        raise UserError("no_face", "No frame shows a face that could be fitted.", "Choose footage that shows a face.")
    device = choose_device(options.device)
    basis = build_point_basis(head, observations.landmarks, options.weights, options.identity_components, device)
    problem = _problem(basis, observations, options)
    state = _start(basis, observations, problem, options)

    def on_iteration(iteration: int, energy: float) -> None:
        if should_cancel is not None and should_cancel():
            raise Cancelled
        if on_progress is not None:
            # Nobody knows how many iterations it takes; ten are usual, and each brings half of what is left.
            on_progress(1 - 0.5 ** ((iteration - 1) / 3), f"iteration {iteration}, energy {energy:.4g}")

    everything = Stage(
        expression=not options.neutral,
        focal=options.focal_px is None,
        max_iterations=options.max_iterations,
        tolerance=options.tolerance,
    )
    best = minimise(problem, state, everything, on_iteration=on_iteration)
    return _result(head, basis, problem, _hold_ends(best.state, observations.found), observations, best.energy)


def _result(
    head: HeadModel,
    basis: PointBasis,
    problem: Problem,
    state: State,
    observations: Observations,
    energy: tuple[float, ...],
) -> FitResult:
    error = data_term.residuals(basis, state, problem.data).norm(dim=-1).cpu().numpy()
    identity = np.zeros(len(head.shape_basis))
    identity[: basis.identity_count] = state.identity.cpu().numpy()
    centre = problem.data.principal_point.tolist()
    return FitResult(
        identity=identity,
        expression=state.expression.cpu().numpy(),
        head_rotation=state.rotation.cpu().numpy(),
        head_translation=state.translation.cpu().numpy(),
        gaze=state.gaze.reshape(-1, 2, 2).cpu().numpy(),
        focal_px=float(state.log_focal.exp()),
        principal_point=(centre[0], centre[1]),
        tracked=observations.found,
        reprojection_error_px=np.where(observations.valid, error, np.nan),
        inter_ocular_px=_inter_ocular_px(basis, state).cpu().numpy(),
        energy=energy,
        iterations=len(energy) - 1,
    )
