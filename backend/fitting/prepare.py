"""Where a fit starts from: the basis at the observed points, a first guess, and the energy of any of the frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.errors import UserError
from backend.fitting.cameras import Cameras, CameraUnknowns
from backend.fitting.first_guess import Start, first_guess
from backend.fitting.point_basis import PointBasis, build_point_basis
from backend.fitting.problem import Problem, build_problem, camera_unknowns, found_frames
from backend.fitting.state import State
from backend.fitting.types import FitOptions, View
from backend.head_model.model import HeadModel

F64 = NDArray[np.float64]
Frames = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Take:
    """A take of T frames before its fit.

    ``origin (3,)`` is where the recentred world of ``start`` lies in the world of the views; ``found (T,)`` are the
    frames that some view saw.
    """

    head: HeadModel
    views: tuple[View, ...]
    options: FitOptions
    neutral_prior: NDArray[np.float32] | None
    basis: PointBasis
    unknowns: CameraUnknowns
    origin: F64
    found: NDArray[np.bool_]
    start: State

    def problem(self, frames: Frames | None = None, unknowns: CameraUnknowns | None = None) -> Problem:
        """The energy of all frames, or of some of them (ascending indices) as a take of their own."""
        views = self.views if frames is None else views_at(self.views, frames)
        return build_problem(self.head, self.basis, views, self.options, unknowns or self.unknowns, self.neutral_prior)


def views_at(views: Sequence[View], frames: Frames) -> tuple[View, ...]:
    """The same views with only these frames."""
    return tuple(replace(view, observations=view.observations.at(frames)) for view in views)


def choose_device(name: str) -> torch.device:
    """The torch device called ``name``; "auto" is CUDA when there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def prepare(
    head: HeadModel,
    views: Sequence[View],
    options: FitOptions,
    neutral_prior: NDArray[np.float32] | None = None,
) -> Take:
    """Check a take and guess where its fit should start; raises as ``fit_take`` does."""
    check_views(views)
    basis = build_point_basis(
        head,
        views[0].observations.landmarks,
        options.weights,
        options.identity_components,
        options.deform_region,
        choose_device(options.device),
    )
    start = first_guess(_mean_points(basis), views, options)
    found = found_frames(views).any(0)
    origin = start.translation[found].mean(0)
    return Take(
        head=head,
        views=tuple(views),
        options=options,
        neutral_prior=neutral_prior,
        basis=basis,
        unknowns=camera_unknowns(views, options, origin, basis.prior),
        origin=origin,
        found=found,
        start=_start_state(basis, start, origin),
    )


def check_views(views: Sequence[View]) -> None:
    """Raise ``ValueError`` where views do not fit each other, and ``UserError`` "no_face" where none shows a face."""
    if not views:
        raise ValueError("a take needs at least one view")
    first = views[0].observations
    for view in views[1:]:
        if view.observations.mu.shape != first.mu.shape or view.observations.landmarks != first.landmarks:
            raise ValueError("all views need the same frames and the same points")
    if not found_frames(views).any():
        raise UserError("no_face", "No frame shows a face that could be fitted.", "Choose footage that shows a face.")


def _mean_points(basis: PointBasis) -> F64:
    """(N,3) the observed points on the mean head."""
    points = np.empty((len(basis.skin_index) + len(basis.eye_index), 3))
    points[basis.skin_index.cpu().numpy()] = basis.skin[..., 0].cpu().numpy()
    points[basis.eye_index.cpu().numpy()] = basis.eye[..., 0].cpu().numpy()
    return points


def _start_state(basis: PointBasis, start: Start, origin: F64) -> State:
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
        ),
        expression=tensor(np.zeros((frames, basis.expression_count))).clamp(basis.lower, basis.upper),
        rotation=tensor(start.rotation),
        translation=tensor(start.translation - origin),
        gaze=tensor(np.zeros((frames, 4))),
    )
