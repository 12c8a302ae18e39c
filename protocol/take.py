"""A tracked performance, as the backend keeps it and the add-on builds it, and what the wire says of a whole take.

Metres, radians, seconds. Head space: +x the subject's left, +y up, +z out of the face. Camera space: OpenCV (x right, y
down, z forward). T frames, V vertices, F triangles, K expressions, J joints, A of ARKit's face actions. Every array is
declared here and only here (see ``protocol.arrays``): a new one of ``Performance`` is one line, and is then in the
track's file, on the wire and in the take that the scene is built from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from .arrays import Counts, Property, fill_left_out, left_out, shaped
from .bounds import FURTHEST
from .job import DistortionModel

U8 = NDArray[np.uint8]
F16 = NDArray[np.float16]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

METRES = 100.0
"""No part of a head is as far from it, nor moves as far: hair and clothes included."""
COEFFICIENT = 1e4
"""Of a head's identity and its expressions: people have 0 to 5, of statistical heads in standard deviations."""
TURNS = 1e4
"""Radians: a head that turns on and on may count its turns."""
NOT_TRACKED = -1.0
"""Value of the tracking error on frames that were bridged because no face was found."""
NO_PICTURE = -2.0
"""Value of the tracking error on frames of which there is no picture, in a take that has some."""
TRACKING_ERROR = Property(
    "tracking_error",
    "Reprojection error in percent of the inter-ocular distance; -1 where no face was found, -2 without a picture",
    lowest=NO_PICTURE,
    untracked=NOT_TRACKED,
    no_picture=NO_PICTURE,
)
VIEW_ERROR = Property("tracking_error {view}", "Reprojection error in “{view}”, percent of the inter-ocular distance")
SKIN_ERROR = Property(
    "skin_error",
    "RMS in percent of the inter-ocular distance by which the head misses the skin that was matched from frame to "
    "frame",
)
UNCERTAINTY = Property(
    "tracking_uncertainty", "One standard deviation of a point of the face, in millimetres, as the fit knows it"
)


@dataclass(frozen=True, eq=False, kw_only=True)
class HeadGeometry:
    """One person's head, ready to become a mesh with shape keys and an armature."""

    head_id: str
    head_hash: str
    neutral: Annotated[F32, shaped("V", 3, largest=METRES)]  # this person's neutral, head space
    expression_names: Annotated[tuple[str, ...], Counts("K")]
    expression_deltas: Annotated[F32, shaped("K", "V", 3, largest=METRES)]
    expression_bounds: Annotated[F32, shaped("K", 2, finite=False)]  # ±inf where free
    triangles: Annotated[I32, shaped("F", 3)]
    uv_vertices: Annotated[F32, shaped("U", 2)]
    uv_triangles: Annotated[I32, shaped("F", 3)]  # into uv_vertices
    joint_names: Annotated[tuple[str, ...], Counts("J")]  # root, neck, jaw, left_eye, right_eye
    joint_parents: Annotated[I32, shaped("J")]  # -1 for the root
    joints: Annotated[F32, shaped("J", 3)]  # head space
    skinning_weights: Annotated[F32, shaped("V", "J")]
    part_names: tuple[str, ...]  # material slots: skin, eyes, teeth, tongue, lashes
    triangle_part: Annotated[I32, shaped("F")]  # index into part_names
    quads: Annotated[I32, shaped("Q", 2)] = field(default_factory=left_out)
    """Triangles that are the two halves of one quad; what is in no pair stays a triangle."""
    own_vertices: int = 0
    """Vertices of the head model itself, which come first; those after them (brows) are carried by them. 0 for all."""

    light: Annotated[F32, shaped("V", fill=1.0)] = field(default_factory=left_out)
    """The share of the light outside that comes to a vertex: less than 1 in the mouth."""
    lips: Annotated[F32, shaped("V", fill=0.0)] = field(default_factory=left_out)
    """How much of a vertex is lip, 0 to 1."""
    inter_ocular: float = 0.0
    """Metres between the outer eye corners of the neutral, of which errors are told in percent; 0 where unknown."""

    def __post_init__(self) -> None:
        """Fill in what was left out, as older backends do."""
        fill_left_out(self)


@dataclass(frozen=True, eq=False, kw_only=True)
class CameraTrack:
    """One view: a pinhole camera with square pixels and no distortion, and the footage it saw.

    ``focal_px`` and ``principal_point`` are in pixels of the picture as displayed (rotation flags applied), whose
    (width, height) is ``image_size``.
    """

    name: str
    footage: str  # absolute path of the video or still; of a sequence, its first file
    footage_kind: str  # "video", "sequence" or "still"
    footage_first_frame: int  # scene frame on which the footage's first image shows
    footage_frame_count: int
    footage_rotation: int  # degrees clockwise by which the stored picture is turned for display: 0, 90, 180, 270
    image_size: tuple[int, int]
    focal_px: Annotated[F64, shaped("T", largest=1e10)]
    principal_point: Annotated[F64, shaped(2)]
    world_to_camera: Annotated[F64, shaped("T", 3, 4, largest=FURTHEST)]
    reprojection_error_percent_iod: Annotated[
        F32, shaped("T", fill=np.nan, finite=False, since=2, keyed=VIEW_ERROR)
    ] = field(default_factory=left_out)
    """NaN where this view did not see the face."""
    footage_frames: Annotated[I64, shaped("T", fill=-1, since=2)] = field(default_factory=left_out)
    """The number of the footage's frame that was used for each frame of the take, -1 where there was none.

    Steps other than 1 mean that the footage's frame rate is not the take's.
    """
    footage_files: tuple[str, ...] = ()
    """A sequence's images in order, as seen from the folder of ``footage``, which is the first; () for other footage,
    and where there are too many to keep."""
    footage_numbers: tuple[int, ...] = ()
    """The footage's frame number of each of ``footage_files``, ascending."""
    focal_ratio: float = 1.0
    """fy / fx of the footage's lens; this camera itself has square pixels of the size that fx stands for."""
    distortion: tuple[float, ...] = ()
    """The numbers of ``distortion_model`` of the footage's lens, about the principal point; () for none. This camera
    itself has none: it shows what undistorted footage would."""
    distortion_model: DistortionModel = DistortionModel.BROWN_CONRADY
    proxy: str = ""
    """Absolute path of what Blender shows instead of the footage, upright, with square pixels; "" for the footage. In a
    track's file, relative to its folder where it lies within."""
    proxy_first_frame: int = 1  # scene frame of the proxy's first picture; each frame after it has one, too
    landmarks_px: Annotated[F32, shaped("T", "N", 2, finite=False, since=4)] = field(default_factory=left_out)
    """Where this view, as the camera that it is here, saw the performance's landmarks; NaN where it did not."""

    def __post_init__(self) -> None:
        """Fill in what was left out, as older files and backends do."""
        fill_left_out(self)


@dataclass(frozen=True, eq=False, kw_only=True)
class Performance:
    """A face's performance in a take, and the cameras that saw it.

    World space is the first view's camera space, or that of the calibration where there is one: world = R · head +
    translation (seeds/001 eq. 9). Frames in which no view shows a face are bridged by the temporal prior and have
    ``tracked`` False.
    """

    scene_frames: Annotated[F64, shaped("T")]  # on Blender's timeline; fractional where the frame rate varies
    frame_rate: float
    cameras: tuple[CameraTrack, ...]
    expression: Annotated[F32, shaped("T", "K", largest=COEFFICIENT)]
    head_rotation: Annotated[F64, shaped("T", 3, largest=TURNS)]  # axis-angle
    head_translation: Annotated[F64, shaped("T", 3, largest=FURTHEST)]  # metres
    gaze: Annotated[
        F32, shaped("T", 2, 2, largest=TURNS)
    ]  # (left, right) × (yaw, pitch); yaw + to the subject's left, pitch + up
    tracked: Annotated[NDArray[np.bool_], shaped("T")]
    reprojection_error_percent_iod: Annotated[F32, shaped("T", finite=False, keyed=TRACKING_ERROR)]
    """Over the points of all views; NaN where not tracked."""
    action_names: Annotated[tuple[str, ...], Counts("A")] = ()  # none where the head's actions are not known
    actions: Annotated[F32, shaped("T", "A", since=2)] = field(default_factory=left_out)  # weights in 0…1
    uncertainty_mm: Annotated[F32, shaped("T", fill=np.nan, finite=False, since=2, keyed=UNCERTAINTY)] = field(
        default_factory=left_out
    )
    """One standard deviation of a vertex of the face, NaN where unknown."""
    skin_error_percent_iod: Annotated[F32, shaped("T", fill=np.nan, finite=False, since=5, keyed=SKIN_ERROR)] = field(
        default_factory=left_out
    )
    """RMS by which the head misses the matched skin; NaN where none was matched in a frame."""

    landmark_vertices: Annotated[I32, shaped("N", 3, since=4)] = field(default_factory=left_out)
    """Of the head: each landmark lies between three of its vertices. None where nobody kept them."""
    landmark_barycentric: Annotated[F32, shaped("N", 3, since=4)] = field(default_factory=left_out)
    """The weights of these vertices; each row sums to 1."""
    iris_color: tuple[float, ...] = ()
    """sRGB in 0…1 of the person's irises, () where the footage does not tell."""

    def __post_init__(self) -> None:
        """Fill in what was left out, as older files and backends do: no actions, unknown uncertainties."""
        fill_left_out(self)


@dataclass(frozen=True, eq=False, kw_only=True)
class TakeResult(Performance):
    """A whole take for a client: a performance, its name, the head that performs, and the job's report.

    ``others`` are the further heads of the take where several faces were tracked, in the same camera and frames; they
    have no others themselves.
    """

    name: str
    head: HeadGeometry
    report: Mapping[str, Any] = field(default_factory=dict)
    texture: Annotated[U8, shaped("B")] = field(default_factory=left_out)
    """The bytes of a PNG (sRGB) on the head's atlas with its skin as the footage shows it; none where there is none.
    See ``protocol.texture``."""
    wrinkles: Annotated[F16, shaped(4, "S", "S", largest=1.0)] = field(default_factory=left_out)
    """The person's wrinkles on the same atlas, which go with the skin's tension; S = 0 where there are none. See
    ``protocol.wrinkles``."""
    others: tuple[TakeResult, ...] = ()
