"""The input and the output of a fit (plain arrays; numerics in the modules beside this one)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from backend.head_model.personal import no_corrections
from backend.observations import PointSetId, ViewAlignment


@dataclass(frozen=True)
class ToldFocal:
    """A focal length that is told, but not known to the pixel: by a picture's EXIF. ``log_sigma`` is its logarithm's
    standard deviation."""

    focal_px: float
    log_sigma: float


@dataclass(frozen=True, eq=False)
class KnownCamera:
    """The parameters of a view's camera that are known before the fit; None is solved for.

    ``world_to_camera (3,4)`` is [R | t] in metres, or in the unit of ``FitOptions.metric_cameras``. Where no view's
    extrinsics are known, the first view's camera space is the world (it fixes the gauge).
    """

    focal_px: float | None = None
    principal_point: tuple[float, float] | None = None  # pixels; None is the centre, or ``solve_principal_point``
    world_to_camera: NDArray[np.float64] | None = None
    focal_told: ToldFocal | None = None
    lens: str | None = None


@dataclass(frozen=True, eq=False)
class View:
    """One camera of a take: what was seen in it, frame by frame on the timeline that all views share."""

    alignment: ViewAlignment
    camera: KnownCamera = field(default_factory=KnownCamera)


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
    gaze: float = 5.0  # on gaze angles themselves, per rad²: eyes that are hardly seen look ahead
    acceleration: float = 4.0  # σ of a face vertex's acceleration, m/s² (E_temp, eq. 14)
    expression_acceleration: float = 200.0  # σ of an action's own acceleration, 1/s²; keeps curves editable
    gaze_acceleration: float = 135.0  # σ of the gaze angles' acceleration, rad/s²
    closed_lids: float = 4000.0  # on (closure − told)² of an eye seen closed; of a half-closed one a 64th
    neutral_prior: float = 30.0  # E_MICA: how many observations of the neutral a prediction counts as
    neutral_prior_sigma: float = (
        0.0015  # m; a little over what MICA is off by (seeds/001 tables 3 and 5: 1.11, 1.13 mm)
    )
    learned_neutral: float = 100.0  # the same of ``backend.fitting.learned_neutral``; 0: without it
    deform: float = 3.0  # E_deform, on |δ_d|² in standard deviations of ``deform_sigma``
    deform_sigma: float = 0.0015  # m; about what MakeHuman's identities alone leave of scanned people
    deform_length: float = 0.008  # m; how far apart two points must be to deform independently
    focal_log_sigma: float = 0.3  # σ of log focal length about the usual one
    focal_alike_log_sigma: float = 0.1  # σ of log focal among views of one picture size
    focal_weight: float = 2.0  # how often that prior counts: points tell more of other things than of perspective

    # s in which a movement dies away where the face is not seen. Frames of lp_d10 and lp_d3, hidden 3 to 20 at a time,
    # come out alike by 0.02 to 0.1 (weights off by 0.055 on the mean); 0.03 keeps what is held within 0.05.
    glide: float = 0.03
    # σ of a cropped picture's principal point about its centre, in longer sides: a third cropped off a square's side
    # moves it by 0.17. With 0.1 a crop of 0.28 is found to within 0.04, with 0.2 to 0.01 (made takes).
    principal_sigma: float = 0.2

    # Chosen on rendered dev people of known weights, who were not those that the witness was learnt from
    # How often the pairs count: their points' errors are mostly a person's, which the identity takes, and what moves is
    # told better than what stands still. Between 1 and 5 brows and the mouth's width go 4 % further on training clips.
    pairs: float = 5.0
    opposed_actions: float = 50.0  # on φ_a φ_b of actions that cannot act at once
    witness: float = 4.0  # how often the witness counts against points that err together (``action_witness``)
    witness_robust_scale: float = 10.0  # σ of the witness so counted, half an action; beyond it the points outvote it
    sparse_actions: float = 30.0  # the pull to 0 of an action that is off, in frames that the witness tells of
    sparse_knee: float = 0.1  # the strength at which that pull is half

    # On |φ|² in frames at rest. On 10 sequences of rendered dev people 200 and 1000 lower chamfer distance alike (1.383
    # to 1.358 and 1.360 mm) and raise SSME by 1 and 2 %; on training clips 400 leaves weights of 0.5 to 0.9 in all in
    # the calmest 5 % of the frames by points alone (1.5 to 3.1 without), 1000 0.2 to 0.65.
    neutral_frames: float = 400.0


@dataclass(frozen=True)
class FitOptions:
    """The options of a fit."""

    weights: EnergyWeights = field(default_factory=EnergyWeights)
    identity_components: int = 60
    neutral: bool = False  # the face is known to be neutral: expressions stay at 0 (calibration)
    neutral_frames: tuple[int, ...] = ()  # footage frame numbers of the first view in which the face is at rest
    deform_region: str | None = None  # the head's region in which δ_d is solved for; None: nowhere
    metric_cameras: bool = True  # known extrinsics are in metres; False: their common scale is solved for
    key_frames: tuple[int, ...] = ()  # frames from which long takes must tell what all frames share, besides their own
    solve_principal_point: bool = False  # the pictures may have been cropped
    usual_focal: float = 1.3  # the focal prior's centre, in units of the longer image side (42° across it)
    max_iterations: int = 40
    tolerance: float = 5e-4  # stop when a step lowers the energy by less than this fraction
    device: str = "auto"  # "auto": CUDA when there is one
    personal_actions: bool = True  # of moving footage, ``backend.fitting.personal``: a solve's step after its fits


@dataclass(frozen=True, eq=False)
class FittedCamera:
    """A view's camera: ``world_to_camera (3,4)`` = [R | t] in metres, OpenCV axes."""

    focal_px: float
    principal_point: tuple[float, float]
    world_to_camera: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Solution:
    """Values of all unknowns of a take of T frames and C views; conventions as in ``backend.track.types.Track``."""

    identity: NDArray[np.float64]  # (K_id,)
    deformation: NDArray[np.float64]  # (V,3) δ_d, metres in head space; zero where it was not solved for
    expression: NDArray[np.float64]  # (T,K_ex)
    head_rotation: NDArray[np.float64]  # (T,3,3)
    head_translation: NDArray[np.float64]  # (T,3)
    gaze: NDArray[np.float64]  # (T,2,2)
    cameras: tuple[FittedCamera, ...]
    # (K_ex,V,3) metres at strength 1, added to the head's expressions (``backend.fitting.personal``); (0,0,3): none
    action_corrections: NDArray[np.float32] = field(default_factory=no_corrections, kw_only=True)


@dataclass(frozen=True, eq=False)
class Fixed:
    """The parts that a solve leaves at their start: whole frames ``frames (T,)`` bool, and kinds of unknowns."""

    frames: NDArray[np.bool_] | None = None
    expression: bool = False
    pose: bool = False
    gaze: bool = False
    identity: bool = False
    cameras: bool = False


@dataclass(frozen=True)
class FittedPoints:
    """One of the point sets that a fit looked at: N points."""

    id: PointSetId
    count: int


@dataclass(frozen=True, eq=False)
class FitResult(Solution):
    """A fitted take of T frames and C views."""

    points: tuple[FittedPoints, ...]  # N in all, in the order of ``reprojection_error_px``
    tracked: NDArray[np.bool_]  # (T,) seen by at least one view
    reprojection_error_px: NDArray[np.float32]  # (C,T,N) NaN where not valid
    inter_ocular_px: NDArray[np.float64]  # (C,T)
    energy: tuple[float, ...]  # after every accepted step; before and after, where it was solved in windows
    iterations: int
    # One standard deviation, NaN before the first and after the last seen frame (see ``backend.fitting.uncertainty``).
    expression_sigma: NDArray[np.float64]  # (T,K_ex); 0 where a bound holds it
    head_rotation_sigma: NDArray[np.float64]  # (T,3) radians, about the head's own axes
    head_translation_sigma: NDArray[np.float64]  # (T,3) metres, along the world's axes
    uncertainty_mm: NDArray[np.float64]  # (T,) of a face vertex's position in head space, RMS over the face

    def without_points(self, made_by: str) -> FitResult:
        """The same without what it says of the point sets that ``made_by`` made."""
        kept = np.repeat([p.id.made_by != made_by for p in self.points], [p.count for p in self.points])
        return replace(
            self,
            points=tuple(p for p in self.points if p.id.made_by != made_by),
            reprojection_error_px=self.reprojection_error_px[:, :, kept],
        )

    @property
    def reprojection_error_percent_iod(self) -> NDArray[np.float64]:
        """(C,T,N) in per cent of the inter-ocular distance; NaN where not valid."""
        return 100.0 * self.reprojection_error_px / self.inter_ocular_px[..., None]
