"""What goes into a fit and what comes out (plain arrays; numerics in the modules beside this one)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Observations:
    """Where surface points were seen in one view over T frames.

    ``landmarks`` names the point set in ``HeadModel.landmarks`` (N points). ``mu (T,N,2)`` pixels, ``sigma (T,N)``
    pixels, ``valid (T,N)``; a frame without a face has no valid point. ``image_size`` is (width, height).
    """

    landmarks: str
    mu: NDArray[np.float32]
    sigma: NDArray[np.float32]
    valid: NDArray[np.bool_]
    image_size: tuple[int, int]
    frame_rate: float = 30.0  # frames per second: smoothness is about motion in time

    @property
    def found(self) -> NDArray[np.bool_]:
        """(T,) frames in which enough points were seen to tell a pose (at least 6, as a pose has 6 unknowns)."""
        return self.valid.sum(axis=1) >= 6


@dataclass(frozen=True)
class EnergyWeights:
    """Every weight of the energy (seeds/001 eq. 12, with the additions of DESIGN §6).

    The data term counts each landmark in units of its σ. Landmark errors are mostly systematic (the same points are
    off in the same way in frame after frame), so the priors of what all frames share grow with the number of tracked
    frames by ``repeated_bias``: more frames must not drown them in the same error again.
    """

    repeated_bias: float = 1.0  # 1: every frame repeats the same landmark errors; 0: errors are independent

    robust_scale: float = 2.0  # σ; beyond it a point's pull fades (Cauchy kernel on E_A)
    identity: float = 3.0  # on |β|² (E_FLAME)
    expression: float = (
        6.0  # on |φ|² (E_FLAME); low enough that a full action costs less than a 1 σ misfit of its region
    )
    symmetry: float = 3.0  # on (φ_left − φ_right)² of each pair of actions
    gaze_lids: float = 30.0  # ties the eyeLook actions to the gaze angles: eyes carry their lids with them
    lip_seal: float = 3000.0  # on what mouthClose exceeds jawOpen by, squared: it closes what the jaw opened, no more
    vergence: float = 100.0  # on the difference of the two eyes' angles, per rad²
    gaze: float = 5.0  # on gaze angles themselves, per rad²: closed eyes look ahead
    acceleration: float = 4.0  # σ of a face vertex's acceleration, m/s² (E_temp, eq. 14)
    gaze_acceleration: float = 135.0  # σ of the gaze angles' acceleration, rad/s²
    focal_log_sigma: float = 0.3  # σ of log focal length about the usual one
    focal_weight: float = 2.0  # how often that prior counts: points tell more of other things than of perspective


@dataclass(frozen=True)
class FitOptions:
    """How to fit. ``focal_px`` pins the focal length; None solves for it."""

    weights: EnergyWeights = field(default_factory=EnergyWeights)
    identity_components: int = 60
    neutral: bool = False  # the face is known to be neutral: expressions stay at 0 (calibration)
    focal_px: float | None = None
    principal_point: tuple[float, float] | None = None  # pixels; None is the image centre
    usual_focal: float = 1.3  # the focal prior's centre, in units of the longer image side (42° across it)
    max_iterations: int = 40
    tolerance: float = 5e-4  # stop when a step lowers the energy by less than this fraction
    device: str = "auto"  # "auto": CUDA when there is one


@dataclass(frozen=True, eq=False)
class FitResult:
    """A fitted take of T frames; conventions as in ``backend.track.Track``."""

    identity: NDArray[np.float64]  # (K_id,)
    expression: NDArray[np.float64]  # (T,K_ex)
    head_rotation: NDArray[np.float64]  # (T,3,3)
    head_translation: NDArray[np.float64]  # (T,3)
    gaze: NDArray[np.float64]  # (T,2,2)
    focal_px: float
    principal_point: tuple[float, float]
    tracked: NDArray[np.bool_]  # (T,)
    reprojection_error_px: NDArray[np.float64]  # (T,N) NaN where not valid
    inter_ocular_px: NDArray[np.float64]  # (T,)
    energy: tuple[float, ...]  # after every accepted step
    iterations: int

    @property
    def reprojection_error_percent_iod(self) -> NDArray[np.float64]:
        """(T,N) in per cent of the inter-ocular distance; NaN where not valid."""
        return 100.0 * self.reprojection_error_px / self.inter_ocular_px[:, None]
