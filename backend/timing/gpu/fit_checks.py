"""The fit on a device against the same on the CPU: one linearisation, one step, and whole takes."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.fitting import FitOptions, FitResult, View, fit_take
from backend.fitting.normal_equations import NormalEquations, solve_bounded
from backend.fitting.posed import world_vertices
from backend.fitting.prepare import prepare
from backend.fitting.problem import Problem
from backend.fitting.solver.levenberg_marquardt import Stage, free_unknowns
from backend.fitting.state import State
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel
from backend.observations import PointSet, PointSetId, ViewAlignment
from backend.synthesis.alignments import dense_views, with_every_vertex
from backend.timing.gpu.types import Difference

DOUBLE = "sums of some 10⁵ products in double precision, in another order"
SINGLE = "the Hessian's products run in single precision: 6·10⁻⁸ each, thousands to a sum, in another order"
STEP = "a Hessian off by single precision's rounding bends a step, and the next one makes up for it"
MINIMUM = (
    "rounding decides in which of the last, flat steps the solver stops (0.05 % of the energy); a fit itself is off by "
    "about 1 mm"
)


@cache
def _head() -> HeadModel:
    return with_every_vertex(load_head("open"))


def landmark_views(head: HeadModel, frames: int, cameras: int) -> tuple[View, ...]:
    """Views of MediaPipe's 478 points, as its aligner names them, and of a quick blink."""
    points = head.landmarks["mediapipe478"]
    corners, share = head.triangles[points.triangle], points.barycentric
    views = []
    for view in dense_views(head, frames, cameras):
        (dense,) = view.alignment.point_sets
        mu = np.einsum("nc,tncx->tnx", share, dense.mu[:, corners]).astype(np.float32)
        sigma = np.full(mu.shape[:2], 1.5, np.float32)
        seen = PointSet(PointSetId("mediapipe478", "mediapipe"), mu, sigma, np.ones(mu.shape[:2], bool))
        closure = np.zeros((frames, 2), np.float32)
        closure[frames // 2] = 1
        told = ViewAlignment.of(
            seen, image_size=view.alignment.image_size, frame_rate=view.alignment.frame_rate, lid_closure=closure
        )
        views.append(replace(view, alignment=told))
    return tuple(views)


def linearisation_differences(device: str, frames: int) -> list[Difference]:
    """Energy, gradient and Hessian of a take of landmarks at its first guess, and the solver's first step from there.

    The step's solve runs on both from the CPU's equations, so that it tells of the factorisation alone.
    """
    found = []
    for name in ("cpu", device):
        take = prepare(_head(), landmark_views(_head(), frames, 2), FitOptions(device=name))
        problem = take.problem()
        found.append((take, problem, problem.energy(take.start), problem.linearise(take.start)))
    (take, problem, energy, equations), (there, _, other_energy, other) = found
    blocks = ("shared", "arrow", "frame", "next_frame", "after_next")
    gradients = ("shared_gradient", "frame_gradient")
    step = _step_difference(problem, take.start, equations, there.start.translation.device)
    gradient = max(_relative(getattr(equations, name), getattr(other, name)) for name in gradients)
    hessian = max(_relative(getattr(equations, name), getattr(other, name)) for name in blocks)
    return [
        Difference("energy", abs(energy - other_energy) / energy, 1e-9, "of its value", DOUBLE),
        Difference("gradient", gradient, 1e-9, "of its length", DOUBLE),
        Difference("Hessian", hessian, 1e-5, "of its size", SINGLE),
        Difference("one step from the same Hessian", step, 1e-6, "of its length", DOUBLE),
    ]


def _step_difference(problem: Problem, state: State, equations: NormalEquations, device: torch.device) -> float:
    """By how much the step that a device finds differs, of its length, all given from the CPU."""
    free, shared_free = free_unknowns(problem, state, Stage())
    lower, upper = problem.basis.lower - state.expression, problem.basis.upper - state.expression
    own = solve_bounded(equations, free, shared_free, 1e-3, lower, upper)
    parts = {item.name: getattr(equations, item.name).to(device) for item in fields(equations)}
    free, shared_free, lower, upper = (part.to(device) for part in (free, shared_free, lower, upper))
    other = solve_bounded(NormalEquations(**parts), free, shared_free, 1e-3, lower, upper)
    return max(_relative(a, b) for a, b in zip(own, other, strict=True))


def take_differences(device: str, frames: int, cameras: int) -> list[Difference]:
    """Whole fits: of landmarks from one camera with all priors, and of every vertex from several unknown cameras."""
    differences = []
    for name, views in (
        ("landmarks", landmark_views(_head(), max(frames, 6), 1)),
        ("every vertex", dense_views(_head(), frames, cameras)),
    ):
        own, other = (fit_take(_head(), views, FitOptions(device=d)) for d in ("cpu", device))
        differences += _fit_differences(name, own, other)
    return differences


def _fit_differences(name: str, own: FitResult, other: FitResult) -> list[Difference]:
    pixels = _rms(np.nan_to_num(own.reprojection_error_px - other.reprojection_error_px))
    focal = max(abs(a.focal_px / b.focal_px - 1) for a, b in zip(own.cameras, other.cameras, strict=True))
    # The camera's distance and focal length make up for each other along a valley: in head space, and seen from it.
    millimetres = 1000 * _rms(_in_head(own) - _in_head(other))
    sigma = float(np.nanmax(np.abs(other.expression_sigma - own.expression_sigma)))
    return [
        Difference(f"{name}: points in the picture, RMS", pixels, 0.02, "px", MINIMUM),
        Difference(f"{name}: face in head space, RMS", millimetres, 0.05, "mm", MINIMUM),
        Difference(f"{name}: focal length", focal, 0.005, "of its value", MINIMUM),
        Difference(f"{name}: final energy", abs(own.energy[-1] / other.energy[-1] - 1), 5e-4, "of its value", MINIMUM),
        Difference(f"{name}: told uncertainty of actions", sigma, 0.01, "of a full action", MINIMUM),
    ]


def _in_head(fit: FitResult) -> NDArray[np.float64]:
    """(T,n,3) metres: the face's vertices, without the pose."""
    frames = len(fit.expression)
    still = replace(fit, head_rotation=np.tile(np.eye(3), (frames, 1, 1)), head_translation=np.zeros((frames, 3)))
    face = _head().vertex_weight > 0.5
    return np.asarray(world_vertices(_head(), still, dtype=np.float64)[:, face], np.float64)


def _rms(values: NDArray[Any]) -> float:
    return float(np.sqrt(np.mean(np.square(values.astype(np.float64)))))


def _relative(own: Tensor, other: Tensor) -> float:
    """|own − other| over |own|, both as long vectors."""
    own, other = own.cpu(), other.cpu()
    return float(torch.linalg.vector_norm(own - other) / torch.linalg.vector_norm(own).clamp_min(1e-300))
