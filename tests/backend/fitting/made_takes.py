"""Made takes of an open head with few actions, so that a fit with the default energy takes about a second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.fitting import FitOptions, FitResult, KnownCamera, View, fit_take
from backend.head_model.gaze import FULL_LOOK_ANGLE, LOOK_ACTIONS
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel, surface_positions
from backend.synthesis.performance import FACING_CAMERA, Performance
from tests.backend.fitting.observed import changed, observed

F64 = NDArray[np.float64]

FRAME_RATE = 25.0
SIDE = 512
FOCAL_PX = 1.3 * SIDE
SIGMA_PX = 1.5  # about 1 % of the inter-ocular distance at ``DISTANCE``, as MediaPipe's
DISTANCE = 0.45
ACTIONS = (
    "browInnerUp", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft",
    "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "jawOpen", "mouthClose",
    "mouthFrownLeft", "mouthFrownRight", "mouthPucker", "mouthSmileLeft", "mouthSmileRight",
)  # fmt: skip


@cache
def head() -> HeadModel:
    """The open head with ten identity components and ``ACTIONS``: regions, lids and landmarks are a face's."""
    whole = load_head("open")
    index = [whole.expression_names.index(name) for name in ACTIONS]
    return replace(
        whole,
        shape_basis=whole.shape_basis[:10],
        expression_basis=whole.expression_basis[index],
        expression_names=ACTIONS,
        expression_bounds=whole.expression_bounds[index],
    )


def column(name: str) -> int:
    """An action's place among the head's."""
    return ACTIONS.index(name)


@cache
def places() -> F64:
    """(478,3) metres: MediaPipe's points on the neutral mean head."""
    shown = head()
    return surface_positions(shown.landmarks["mediapipe478"], shown.triangles, shown.template).astype(np.float64)


def points_of(region: str) -> NDArray[np.bool_]:
    """(478,) MediaPipe's points that touch a region of the head."""
    shown = head()
    return np.asarray(shown.regions[region][shown.triangles[shown.landmarks["mediapipe478"].triangle]].any(axis=1))


def shift(here: Performance, there: Performance) -> F64:
    """(T,478,2) pixels from where points are seen in one performance to where they are in another."""
    still = np.zeros((1, 478, 2))
    before, after = (observed(head(), one, still, 1.0).point_sets[0].mu for one in (here, there))
    return after.astype(np.float64) - before


def performance(
    frames: int,
    curves: Mapping[str, F64 | float] | None = None,
    *,
    identity: F64 | float = 0.0,
    degrees: F64 | tuple[float, float] = (0.0, 0.0),
    gaze: F64 | tuple[float, float] = (0.0, 0.0),
    distance: float = DISTANCE,
    focal_px: float = FOCAL_PX,
) -> Performance:
    """A performance of ``frames``: actions, head yaw and pitch ``degrees (T,2)``, both eyes' ``gaze (T,2)`` radians.

    Lids follow the eyes.
    """
    shown = head()
    both = np.broadcast_to(np.asarray(gaze, np.float64), (frames, 2))
    expression = np.zeros((frames, len(ACTIONS)))
    for actions in LOOK_ACTIONS:
        signed = np.stack([both[:, 0], -both[:, 0], both[:, 1], -both[:, 1]])
        for action, angle in zip(actions, signed, strict=True):
            expression[:, column(action)] = np.clip(angle / FULL_LOOK_ANGLE, 0, 1)
    for name, curve in (curves or {}).items():
        expression[:, column(name)] = curve
    turned = np.broadcast_to(np.asarray(degrees, np.float64), (frames, 2))
    rotation = FACING_CAMERA * Rotation.from_euler("YX", turned, degrees=True)
    middle = shown.template[shown.regions["face"]].mean(axis=0).astype(np.float64)
    return Performance(
        identity=np.broadcast_to(np.float32(identity), len(shown.shape_basis)).copy(),
        expression=expression.astype(np.float32),
        head_rotation=rotation.as_rotvec(),
        head_translation=np.array([0.0, 0.0, distance]) - rotation.apply(middle),
        gaze=np.repeat(both[:, None], 2, axis=1).astype(np.float32),
        focal_px=np.full(frames, focal_px),
        principal_point=np.array([SIDE / 2, SIDE / 2]),
        image_size=(SIDE, SIDE),
        frame_rate=FRAME_RATE,
    )


@dataclass(frozen=True, eq=False)
class Seen:
    """A performance as an aligner sees it; arrays broadcast over T frames and MediaPipe's 478 points."""

    noise: F64 | float = 0.0  # (T,478,2) pixels
    sigma: NDArray[np.float32] | float = SIGMA_PX  # (T,478) pixels
    hidden: NDArray[np.bool_] | bool = False  # (T,478)
    focal_px: float | None = FOCAL_PX  # as told to the fit; None: it has to find it


def noise(frames: int, scale: float = SIGMA_PX, seed: int = 3) -> F64:
    """(T,478,2) pixels of independent noise."""
    return np.random.default_rng(seed).normal(scale=scale, size=(frames, 478, 2))


def view(truth: Performance, seen: Seen) -> View:
    """The one place that makes a view: MediaPipe's points of ``truth`` as ``seen``."""
    shape = (truth.frame_count, 478)
    plain = observed(head(), truth, np.broadcast_to(np.float64(seen.noise), (*shape, 2)), SIGMA_PX)
    sigma = np.broadcast_to(np.float32(seen.sigma), shape).copy()
    valid = ~np.broadcast_to(np.asarray(seen.hidden, bool), shape)
    return View(changed(plain, sigma=sigma, valid=valid), KnownCamera(focal_px=seen.focal_px))


def fit(truth: Performance, seen: Seen | None = None, options: FitOptions | None = None) -> FitResult:
    """The fit of one view with the default energy."""
    return fit_take(head(), [view(truth, seen or Seen())], options or FitOptions())
