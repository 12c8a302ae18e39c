"""The start of a fit: the basis at the observed points, a first guess, and the energy of any of the frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.errors import ErrorCode, UserError
from backend.fitting.action_witness import Witness, action_witness
from backend.fitting.cameras import Cameras, CameraUnknowns
from backend.fitting.first_guess import Start, first_guess
from backend.fitting.observed_points import ObservedPoints
from backend.fitting.point_basis import PointBasis, build_point_basis, shape_columns
from backend.fitting.problem import Problem, build_problem, camera_unknowns, found_frames, principal_point
from backend.fitting.state import State
from backend.fitting.types import FitOptions, Solution, View
from backend.head_model.model import HeadModel
from backend.memory import may_use_graphics_card

F64 = NDArray[np.float64]
Frames = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Take:
    """A take of T frames before its fit.

    ``origin (3,)`` is where the recentred world of ``start`` lies in the world of the views; ``found (T,)`` are the
    frames that some view saw. ``witness`` is what pictures tell of the head's actions in all of them.
    """

    head: HeadModel
    views: tuple[View, ...]
    options: FitOptions
    neutral_prior: NDArray[np.float32] | None
    basis: PointBasis
    points: ObservedPoints
    unknowns: CameraUnknowns
    origin: F64
    found: NDArray[np.bool_]
    start: State
    witness: Witness | None

    def problem(self, frames: Frames | None = None, unknowns: CameraUnknowns | None = None) -> Problem:
        """The energy of all frames, or of some of them (ascending indices) as a take of their own."""
        views = self.views if frames is None else views_at(self.views, frames)
        told = self.witness if frames is None or self.witness is None else self.witness.at(frames)
        return build_problem(
            self.head, self.basis, self.points, views, self.options, unknowns or self.unknowns, self.neutral_prior, told
        )


def views_at(views: Sequence[View], frames: Frames) -> tuple[View, ...]:
    """The same views with only these frames."""
    return tuple(replace(view, alignment=view.alignment.at(frames)) for view in views)


def choose_device(name: str) -> torch.device:
    """The torch device called ``name``; "auto" is CUDA when there is one, and memory for it."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() and may_use_graphics_card() else "cpu"
    return torch.device(name)


def prepare(
    head: HeadModel,
    views: Sequence[View],
    options: FitOptions,
    neutral_prior: NDArray[np.float32] | None = None,
    initial: Solution | None = None,
) -> Take:
    """Check a take, and guess where its fit should start where that is not known; raises as ``fit_take`` does."""
    check_views(views)
    points = ObservedPoints.of(views, head.landmarks)
    basis = build_point_basis(
        head,
        points.surface,
        options.weights,
        options.identity_components,
        options.deform_region,
        choose_device(options.device),
    )
    found = found_frames(views).any(0)
    if initial is None:
        start = first_guess(_mean_points(basis), points, views, options)
        origin = start.translation[found].mean(0)
        state = _start_state(basis, views, start, origin)
    else:
        _require_alike(initial, views, basis)
        origin = initial.head_translation[found].mean(0)
        state = state_of(head, basis, options, views, initial, origin)
    return Take(
        head=head,
        views=tuple(views),
        options=options,
        neutral_prior=neutral_prior,
        basis=basis,
        points=points,
        unknowns=camera_unknowns(views, options, origin, basis.prior),
        origin=origin,
        found=found,
        start=state,
        witness=action_witness(head, [view.alignment for view in views]),
    )


def check_views(views: Sequence[View]) -> None:
    """Raise ``ValueError`` where views do not fit each other, and ``UserError`` "no_face" where none shows a face."""
    if not views:
        raise ValueError("a take needs at least one view")
    if len({view.alignment.frame_count for view in views}) > 1:
        raise ValueError("all views need the same frames")
    if not found_frames(views).any():
        raise UserError(
            ErrorCode.NO_FACE, "No frame shows a face that could be fitted.", "Choose footage that shows a face."
        )


def _mean_points(basis: PointBasis) -> F64:
    """(N,3) the observed points on the mean head."""
    points = np.empty((len(basis.skin_index) + len(basis.eye_index), 3))
    points[basis.skin_index.cpu().numpy()] = basis.skin[..., 0].cpu().numpy()
    points[basis.eye_index.cpu().numpy()] = basis.eye[..., 0].cpu().numpy()
    return points


def _start_state(basis: PointBasis, views: Sequence[View], start: Start, origin: F64) -> State:
    """The first guess as a state, its world moved to have its origin at the head."""
    device = basis.prior.device
    frames = len(start.translation)

    def tensor(array: F64) -> Tensor:
        return torch.as_tensor(array, dtype=torch.float64, device=device)

    cameras = start.world_to_camera
    return State(
        identity=tensor(np.zeros(basis.identity_count)),
        cameras=Cameras(
            rotation=tensor(cameras[:, :, :3]),
            translation=tensor(cameras[:, :, 3] + cameras[:, :, :3] @ origin),
            log_focal=tensor(np.log(start.focal_px)),
            principal_point=tensor(np.array([principal_point(view) for view in views])),
        ),
        expression=tensor(np.zeros((frames, basis.expression_count))).clamp(basis.lower, basis.upper),
        rotation=tensor(start.rotation),
        translation=tensor(start.translation - origin),
        gaze=tensor(np.zeros((frames, 4))),
    )


def _require_alike(initial: Solution, views: Sequence[View], basis: PointBasis) -> None:
    """Raise ``ValueError`` where a solution is of other frames, views or another head."""
    frames, expressions = views[0].alignment.frame_count, basis.expression_count
    if initial.expression.shape != (frames, expressions) or len(initial.cameras) != len(views):
        raise ValueError(
            f"a solution of {initial.expression.shape} expressions and {len(initial.cameras)} views cannot start a fit "
            f"of ({frames}, {expressions}) and {len(views)}"
        )


def state_of(
    head: HeadModel, basis: PointBasis, options: FitOptions, views: Sequence[View], initial: Solution, origin: F64
) -> State:
    """A solution as a state, its world moved to have ``origin (3,)`` at its own; what views know of cameras counts.

    δ_d becomes the coefficients of its modes that come closest; identity components beyond those solved for are
    dropped.
    """
    frames = views[0].alignment.frame_count
    count = basis.identity_count - basis.deform_count
    shape = np.zeros(basis.identity_count)
    shape[:count] = initial.identity[:count]
    if basis.deform_count:
        modes = shape_columns(head, options.identity_components, options.deform_region, options.weights)[count:]
        shape[count:] = np.linalg.lstsq(modes.reshape(len(modes), -1).T, initial.deformation.ravel(), rcond=None)[0]
    poses = [
        camera.world_to_camera if view.camera.world_to_camera is None else view.camera.world_to_camera
        for camera, view in zip(initial.cameras, views, strict=True)
    ]
    focal = [view.camera.focal_px or c.focal_px for c, view in zip(initial.cameras, views, strict=True)]
    centres = [
        camera.principal_point if options.solve_principal_point else principal_point(view)
        for camera, view in zip(initial.cameras, views, strict=True)
    ]
    cameras = np.stack(poses).astype(np.float64)

    def tensor(array: F64) -> Tensor:
        return torch.as_tensor(np.array(array, np.float64), device=basis.prior.device)

    return State(
        identity=tensor(shape),
        cameras=Cameras(
            rotation=tensor(cameras[:, :, :3]),
            translation=tensor(cameras[:, :, 3] + cameras[:, :, :3] @ origin),
            log_focal=tensor(np.log(np.array(focal))),
            principal_point=tensor(np.array(centres)),
        ),
        expression=tensor(initial.expression).clamp(basis.lower, basis.upper),
        rotation=tensor(initial.head_rotation),
        translation=tensor(initial.head_translation - origin),
        gaze=tensor(initial.gaze.reshape(frames, 4)),
    )
