"""Kinds of job, and what each asks for. A new kind is a new class in ``JOBS`` and a runner in the backend."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Self

from . import bounds
from .bounds import bad_field, require_name, require_path, require_within
from .codec import ProtocolError
from .codes import ProtocolCode
from .corrections import FRAMES, MAX_KEYS, MAX_MASKS, MAX_PINS, HeldKey, Mask, Pin
from .fields import fields_from_plain, fields_to_plain
from .options import SolveOptions


class DistortionModel(StrEnum):
    """How a lens bends: what the numbers of a camera's ``distortion`` mean."""

    BROWN_CONRADY = "brown-conrady"
    """OpenCV's pinhole model: k1, k2, p1, p2[, k3[, k4, k5, k6]], radial (rational with k4 to k6) and tangential."""
    FISHEYE = "fisheye"
    """OpenCV's fisheye model (Kannala–Brandt): θ_d = θ (1 + k1 θ² + k2 θ⁴ + k3 θ⁶ + k4 θ⁸); all 0 is equidistant."""


FULL_FRAME_MM = 36.0
"""The longer side of a frame of 35 mm film."""
MILLIMETRES = (0.1, 100_000.0)
"""What a focal length or a sensor's side may be: of a phone's thumbnail of a sensor to a telescope."""
DISTORTION_LENGTHS = {DistortionModel.BROWN_CONRADY: (0, 4, 5, 8), DistortionModel.FISHEYE: (4,)}
"""The counts of numbers that a camera's ``distortion`` may have."""
MAX_FACES = 16
"""The most further faces that a job may choose."""
MAX_FACE = 1000
"""No take shows as many faces."""
MAX_BLEND = 1000
"""The most frames over which a refined part goes over into the rest."""


@dataclass(frozen=True)
class Job:
    """Base of all kinds of job; as a field's type it stands for any of them, told apart by ``kind``.

    ``name`` is what the result is called, "" for what suits the kind.
    """

    KIND: ClassVar[str]
    GIVES_TAKE: ClassVar[bool] = False  # leaves a track.npz and a report.json of its own, from which a scene is built
    name: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        """Raise ProtocolError (``bad_field``) for a name that is none; every kind of job calls it."""
        require_name(self.name, "job.name")

    @property
    def footage(self) -> str:
        """The main footage, "" of a job that names none."""
        return ""

    @property
    def paths(self) -> tuple[str, ...]:
        """The footage that the backend has to find wherever it runs."""
        return ()

    def to_plain(self) -> dict[str, Any]:
        """The job as a map with its kind."""
        return {"kind": self.KIND, **fields_to_plain(self)}

    @classmethod
    def from_plain(cls, data: Any, where: str = "job") -> Self:
        """A job of this class; what says no kind was written before there were several, and is a take to track.

        Raises:
            ProtocolError: ``unknown_kind``; ``bad_field`` naming the field that is wrong.
        """
        if not isinstance(data, Mapping):
            raise ProtocolError(ProtocolCode.BAD_FIELD, f"“{where}” must be a map.")
        kind = data.get("kind", TrackJob.KIND)
        found = JOBS.get(kind) if isinstance(kind, str) else None
        if found is None or not issubclass(found, cls):
            raise ProtocolError(
                ProtocolCode.UNKNOWN_KIND, f"“{where}” is of a kind, “{str(kind)[:60]}”, that nobody here knows."
            )
        return fields_from_plain(found, data, where)


@dataclass(frozen=True)
class FollowingJob(Job):
    """Base of the kinds that build on what another job, the finished ``parent``, has left."""

    parent: str  # a job id

    def __post_init__(self) -> None:
        """Raise ProtocolError (``bad_field``) for names that are none."""
        super().__post_init__()
        require_name(self.parent, "job.parent")


@dataclass(frozen=True)
class ExportJob(FollowingJob):
    """A tracked take as a file for other tools; ``format`` is the name of an export (``offers.ExportInfo``).

    ``face`` is the one to write where the parent tracked several, counted from 1.
    """

    KIND: ClassVar[str] = "export"
    format: str
    face: int = 1

    def __post_init__(self) -> None:
        """Raise ProtocolError (``bad_field``) for a name or a face that is none."""
        super().__post_init__()
        require_name(self.format, "job.format")
        require_within(self.face, (1, MAX_FACE), "job.face", "")


@dataclass(frozen=True)
class FaceChoice:
    """The face to track: the largest, the one overlapping ``box`` most, or the one at ``point``.

    ``frame`` is the footage frame on which the choice was made; None is the first that shows a face.
    """

    kind: str = "largest"  # largest, box, point
    box: tuple[float, float, float, float] | None = None  # left, top, width, height
    point: tuple[float, float] | None = None  # x, y
    frame: int | None = None

    def __post_init__(self) -> None:
        """Raise ProtocolError (``bad_field``) where the kind is unknown or its value is absent, or of no picture."""
        known = {"largest": True, "box": self.box is not None, "point": self.point is not None}
        if not known.get(self.kind, False):
            raise ProtocolError(
                ProtocolCode.BAD_FIELD, "“face” must be the largest, a box with its four numbers, or a point."
            )
        if not all(abs(number) <= bounds.FARTHEST_PX for number in (*(self.box or ()), *(self.point or ()))):
            raise bad_field("“face” must be numbers of pixels that a picture has.")
        if self.box is not None and min(self.box[2:]) <= 0:
            raise bad_field("“face.box” must have a width and a height above 0.")
        if self.frame is not None and not -FRAMES <= self.frame < FRAMES:
            raise bad_field("“face.frame” must be a frame's number.")


@dataclass(frozen=True)
class CameraSpec:
    """The parameters of a view's camera that are known; None is solved for.

    ``image_size`` (width, height) is that of the pictures the calibration was made for, as displayed, in pixels, and
    has to be the footage's. ``focal_px`` is the horizontal focal length fx and ``focal_ratio`` fy/fx.
    ``principal_point`` in pixels, (0,0) the top-left corner of the image; None is the image's centre. ``distortion``
    are the numbers of ``distortion_model``, () for none, and need a focal length. ``world_to_camera``, 12 numbers by
    rows, is [R | t] with OpenCV's axes, in metres (``TrackJob.metric_cameras`` False: in any unit).
    """

    image_size: tuple[int, int]
    focal_px: float | None = None
    focal_ratio: float = 1.0
    principal_point: tuple[float, float] | None = None
    distortion: tuple[float, ...] = ()
    world_to_camera: tuple[float, ...] | None = None
    distortion_model: DistortionModel = DistortionModel.BROWN_CONRADY

    def __post_init__(self) -> None:
        """Raise ProtocolError (``bad_field``) naming what no camera can have."""
        wanted = self._shape_fault() or self._value_fault()
        if wanted:
            raise bad_field(f"“camera” must have {wanted}.")

    def _shape_fault(self) -> str:
        numbers = (*(self.principal_point or ()), *self.distortion, *(self.world_to_camera or ()))
        focal = 1.0 if self.focal_px is None else self.focal_px
        wrong = {
            "an image size above 0": min(self.image_size) > 0,
            f"an image size of at most {bounds.MAX_SIDE} pixels a side": max(self.image_size) <= bounds.MAX_SIDE,
            "a focal length above 0": math.isfinite(focal) and focal > 0,
            "a focal_ratio above 0": math.isfinite(self.focal_ratio) and self.focal_ratio > 0,
            "0, 4, 5 or 8 distortion numbers, or 4 of a fisheye lens": (
                len(self.distortion) in DISTORTION_LENGTHS.get(self.distortion_model, ())
            ),
            "12 numbers in world_to_camera": self.world_to_camera is None or len(self.world_to_camera) == 12,
            "finite numbers only": all(math.isfinite(number) for number in numbers),
            "a focal length with its distortion": (
                self.focal_px is not None
                or (self.distortion_model == DistortionModel.BROWN_CONRADY and not any(self.distortion))
            ),
        }
        return next((wanted for wanted, right in wrong.items() if not right), "")

    def _value_fault(self) -> str:
        """What a camera must have instead of numbers that none has, of as many numbers as it takes."""
        width, height = self.image_size
        x, y = self.principal_point or (width / 2, height / 2)
        low, high = bounds.FOCAL_RATIOS
        if not low <= self.focal_ratio <= high:
            return f"a focal_ratio of {low:g} to {high:g}"
        if max(abs(x - width / 2), abs(y - height / 2)) > bounds.FARTHEST_CENTRE * max(self.image_size):
            return "a principal_point near its image"
        fault = ""
        if self.focal_px is not None:
            focal = (self.focal_px, self.focal_px * self.focal_ratio)
            fisheye = self.distortion_model == DistortionModel.FISHEYE
            fault = bounds.focal_fault(self.focal_px, self.image_size) or bounds.bend_fault(
                self.distortion, focal, (x, y), self.image_size, fisheye=fisheye
            )
        return fault or ("" if self.world_to_camera is None else bounds.rigid_fault(self.world_to_camera))


@dataclass(frozen=True)
class ViewSpec:
    """One camera's footage: a video, a still, or an image, a folder or a pattern of a sequence, as a path that the
    backend can read. ``files`` are the images of a sequence themselves, where a user named them one by one: as seen
    from the folder of ``footage``, which is then the first of them.

    The first view's frames are the take's. ``offset`` is this view's time, in seconds since its footage's first frame,
    at the moment of the first view's first frame: positive for a camera that was started earlier. ``frame_rate`` is
    the rate at which the footage was really shot where its file does not say; None is the file's. ``face`` is the face
    to track in this view; None is the job's choice in the first view and the largest in others.

    ``focal_mm`` is the lens's focal length where the camera is not known otherwise, and ``sensor_mm`` what the longer
    side of the picture is on the sensor; None is 36, which is full frame, and what equivalents to it are given for.
    ``principal_point`` is where the lens looks, in pixels of the footage as displayed; None is its middle.
    """

    footage: str
    name: str = "camera"
    offset: float = 0.0
    frame_rate: float | None = None
    camera: CameraSpec | None = None
    face: FaceChoice | None = None
    files: tuple[str, ...] = ()
    focal_mm: float | None = None
    sensor_mm: float | None = None
    principal_point: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Raise ProtocolError (``bad_field``) where a number or a name is none that footage can have."""
        require_path(self.footage, "view.footage")
        require_name(self.name, "view.name")
        if len(self.files) > bounds.MAX_FILES:
            raise bad_field(f"“view.files” must be {bounds.MAX_FILES} at most: name their folder instead.")
        for file in self.files:
            require_path(file, "view.files")
        for name in ("focal_mm", "sensor_mm"):
            millimetres = getattr(self, name)
            if millimetres is not None and not MILLIMETRES[0] <= millimetres <= MILLIMETRES[1]:
                raise ProtocolError(
                    ProtocolCode.BAD_FIELD,
                    f"“view.{name}” must be a length of {MILLIMETRES[0]:g} to {MILLIMETRES[1]:g} millimetres.",
                )
        if self.sensor_mm is not None and self.focal_mm is None:
            raise ProtocolError(ProtocolCode.BAD_FIELD, "“view.sensor_mm” means nothing without “view.focal_mm”.")
        if self.focal_mm is not None:
            sides = self.focal_mm / (self.sensor_mm or FULL_FRAME_MM)
            require_within(sides, bounds.FOCAL_LENGTHS, "view.focal_mm", "times the sensor's longer side")
        if self.principal_point is not None and not all(
            abs(value) < bounds.FARTHEST_PX for value in self.principal_point
        ):
            raise ProtocolError(ProtocolCode.BAD_FIELD, "“view.principal_point” must be two numbers of pixels.")
        if self.camera is not None and (
            (self.focal_mm is not None and self.camera.focal_px is not None)
            or (self.principal_point is not None and self.camera.principal_point is not None)
        ):
            raise ProtocolError(
                ProtocolCode.BAD_FIELD, f"The lens of the view “{self.name}” is given twice: beside its camera's own."
            )
        require_within(self.offset, (-bounds.MAX_OFFSET, bounds.MAX_OFFSET), "view.offset", "seconds")
        require_within(self.frame_rate, bounds.FRAME_RATES, "view.frame_rate", "frames per second")


MICA = "mica"
NEUTRAL_PREDICTORS = frozenset({MICA})
"""Names that ``TrackJob.neutral_from`` may have besides files: what predicts the neutral from the take's pictures."""


@dataclass(frozen=True)
class TrackJob(Job):
    """A whole take to track.

    ``frames`` is (first, last) of the first view, both included, None for all. ``metric_cameras`` False: the known
    extrinsics share an unknown scale, which is solved for. ``neutral_from`` is a mesh, or an earlier take's track.npz,
    whose neutral face is this person's (E_MICA of seeds/001), or a picture of it, or one of ``NEUTRAL_PREDICTORS``,
    which the backend asks; "" for none. ``neutral_frames``
    are (first, last) of the first view's frames in which the face is neutral, None where they are to be found.

    ``faces`` are further faces of the footage, besides ``face``, and ``all_faces`` asks for every one that it shows:
    each is a head of the same take, seen by its camera. That takes footage of one camera. ``neutral_from`` and
    ``neutral_frames`` speak of the first face.
    """

    KIND: ClassVar[str] = "track"
    GIVES_TAKE: ClassVar[bool] = True
    views: tuple[ViewSpec, ...]
    frames: tuple[int, int] | None = None
    head: str = "open"
    aligner: str = "mediapipe"
    face: FaceChoice = field(default_factory=FaceChoice)
    options: SolveOptions = field(default_factory=SolveOptions)
    metric_cameras: bool = True
    neutral_from: str = ""
    neutral_frames: tuple[int, int] | None = None
    faces: tuple[FaceChoice, ...] = ()
    all_faces: bool = False

    def __post_init__(self) -> None:
        """Raise ProtocolError (``bad_field``) where there is no footage or a frame range runs backwards."""
        super().__post_init__()
        if not self.views or not all(view.footage for view in self.views):
            raise ProtocolError(ProtocolCode.BAD_FIELD, "“job.views” must name the footage of at least one camera.")
        if len(self.views) > bounds.MAX_VIEWS:
            raise bad_field(f"“job.views” must be {bounds.MAX_VIEWS} at most.")
        require_path(self.neutral_from, "job.neutral_from")
        require_name(self.head, "job.head")
        require_name(self.aligner, "job.aligner")
        for words, frames in (("frame range", self.frames), ("range of neutral frames", self.neutral_frames)):
            if frames is not None:
                _require_range(words, *frames)
        if len(self.faces) > MAX_FACES:
            raise ProtocolError(ProtocolCode.BAD_FIELD, f"“job.faces” must be {MAX_FACES} at most.")
        if self.several_faces and len(self.views) > 1:
            raise ProtocolError(
                ProtocolCode.BAD_FIELD,
                "Several faces can be tracked at once in the footage of one camera only: with several cameras, track "
                "one face after the other.",
            )

    @property
    def neutral_file(self) -> str:
        """``neutral_from`` where it is a file, else ""."""
        return "" if self.neutral_from in NEUTRAL_PREDICTORS else self.neutral_from

    @property
    def several_faces(self) -> bool:
        """True where more than one face is asked for."""
        return self.all_faces or bool(self.faces)

    @property
    def footage(self) -> str:
        """The first view's footage."""
        return self.views[0].footage

    @property
    def paths(self) -> tuple[str, ...]:
        """Every view's footage."""
        return tuple(view.footage for view in self.views)


@dataclass(frozen=True)
class RefineJob(FollowingJob):
    """A tracked take, solved again in part, so that it holds to what a user says of it.

    ``parent`` is a tracked take or a refined one. The solve starts from the take as it was tracked, however often it
    was refined since, so that the result answers to these corrections alone; without any it is the tracked take.
    ``face`` is the one to refine where the parent tracked several, counted from 1; a refined one is one only.
    ``frames`` are the (first, last) to solve again, None those within reach of the corrections, which move in any case.
    All others stay as they were; over ``blend`` frames within each border the result goes over into them.
    """

    KIND: ClassVar[str] = "refine"
    GIVES_TAKE: ClassVar[bool] = True
    frames: tuple[int, int] | None = None
    pins: tuple[Pin, ...] = ()
    masks: tuple[Mask, ...] = ()
    keys: tuple[HeldKey, ...] = ()
    blend: int = 8
    face: int = 1

    def __post_init__(self) -> None:
        """Raise ProtocolError (``bad_field``) where the frame range runs backwards, the blend is none or there are more
        corrections than a solve could hold."""
        super().__post_init__()
        if self.frames is not None:
            _require_range("frame range", *self.frames)
        if not 1 <= self.face <= MAX_FACE:
            raise bad_field(f"“job.face” must be 1 or more, up to {MAX_FACE}.")
        if not 0 <= self.blend <= MAX_BLEND:
            raise ProtocolError(ProtocolCode.BAD_FIELD, f"“job.blend” must be 0 to {MAX_BLEND} frames.")
        for name, most in (("pins", MAX_PINS), ("masks", MAX_MASKS), ("keys", MAX_KEYS)):
            if len(getattr(self, name)) > most:
                raise ProtocolError(ProtocolCode.BAD_FIELD, f"“job.{name}” must be {most} at most.")


def _require_range(words: str, first: int, last: int) -> None:
    if first < 0 or last >= FRAMES:
        raise ProtocolError(ProtocolCode.BAD_FIELD, f"The {words} {first}:{last} is not one that footage can have.")
    if first > last:
        raise ProtocolError(ProtocolCode.BAD_FIELD, f"The {words} {first}:{last} ends before it starts.")


JOBS: dict[str, type[Job]] = {kind.KIND: kind for kind in (TrackJob, ExportJob, RefineJob)}
"""By name; kinds with a file of their own put themselves in."""
