"""A client's request to have footage tracked, and the job that this makes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backend.alignment.flowface.adapted import named_weights
from backend.alignment.registry import ALIGNERS, require_aligner, takes_weights
from backend.cameras.calibration import cameras_for_views, load_calibration
from backend.errors import ErrorCode, UserError
from backend.reading import is_file
from protocol.bounds import MAX_NAME
from protocol.codec import ProtocolError
from protocol.job import MILLIMETRES, NEUTRAL_PREDICTORS
from protocol.messages import CameraSpec, FaceChoice, PhotographsJob, TrackJob, ViewSpec
from protocol.options import SolveOptions, option_fields


@dataclass(frozen=True)
class TrackRequest:
    """The footage to track and the results to write. ``frames`` is (first, last), both included; None is all of them.

    ``footage`` is one piece per camera, or a text file that lists its images; the first one's frames are the take's.
    ``faces`` are boxes (left, top, width, height) in pixels around the face to track, by view (its name, its number
    from 1, or "" for the first); without one the largest is. ``further_faces`` (view, box) are further ones of the same
    take and ``all_faces`` are all that there are, which takes footage of one camera. ``offsets`` are seconds by view:
    its time at the first one's first frame. ``focal_mm`` and ``sensor_mm`` (one number each) and ``principal_points``
    (two, pixels) are by view, "" for all that are not named. ``calibration`` files know the cameras, in
    ``calibration_unit`` ("": as they say). ``neutral`` is an earlier track.npz, a mesh or a picture with this person's
    neutral face, or one of ``NEUTRAL_PREDICTORS``; ``neutral_frames`` (first, last) are the first footage's own in
    which the face is neutral, None where they are to be found. ``aligner`` is one of
    ``backend.alignment.registry.ALIGNERS``; paths in ``options`` may be relative.

    ``photographs``: the footage are stills of one person at moments of their own, to make a head of.

    ``endpoint`` None uses the backend that runs, else a private one that is started and stopped. In ``out`` only the
    files named in ``TrackOutput.files`` are written, over earlier ones of the same names, and an earlier take's heads,
    textures, wrinkles and unrefined track are removed, which would count as this one's; nothing else there is touched.
    """

    footage: tuple[Path, ...]
    out: Path
    frames: tuple[int, int] | None = None
    faces: Mapping[str, tuple[float, float, float, float]] = field(default_factory=dict)
    further_faces: Sequence[tuple[str, tuple[float, float, float, float]]] = ()
    all_faces: bool = False
    head: str = "open"
    aligner: str = "mediapipe"
    endpoint: str | None = None
    blend: bool = True
    overlay: bool = True
    offsets: Mapping[str, float] = field(default_factory=dict)
    focal_mm: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    sensor_mm: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    principal_points: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    calibration: tuple[Path, ...] = ()
    calibration_unit: str = ""
    neutral: Path | None = None
    neutral_frames: tuple[int, int] | None = None
    options: SolveOptions = field(default_factory=SolveOptions)
    photographs: bool = False


def job_spec(request: TrackRequest) -> TrackJob:
    """The job that a request asks for.

    Raises:
        UserError: a calibration that cannot be read or has no camera for a view; ``unknown_view``, ``bad_lens``,
            ``unknown_aligner``, ``weights_unused``; ``bad_field`` for what no job may ask.
    """
    paths = [os.path.abspath(path) for path in request.footage]  # noqa: PTH100 - resolve() would follow links
    called = _Called(view_names(paths, "photograph"), "photograph") if request.photographs else _Called.views(paths)
    names = ["camera"] if len(paths) == 1 else called.names
    cameras: Sequence[CameraSpec | None] = [None] * len(paths)
    metric = True
    if request.calibration:
        calibration = load_calibration(request.calibration, request.calibration_unit)
        cameras = cameras_for_views(calibration, list(zip(paths, names, strict=True)))
        metric = calibration.metric
    require_aligner(request.aligner)
    if request.options.weights is not None and not takes_weights(request.aligner):
        others = " or ".join(name for name in ALIGNERS if takes_weights(name))
        raise UserError(
            ErrorCode.WEIGHTS_UNUSED,
            f"The aligner “{request.aligner}” takes no weights.",
            f"Add --aligner {others}, or leave --weights out.",
        )
    try:
        return _job(request, paths, names, cameras, called, metric=metric)
    except ProtocolError as error:
        raise UserError(error.code, error.message, error.hint) from error


def _job(
    request: TrackRequest,
    paths: Sequence[str],
    names: Sequence[str],
    cameras: Sequence[CameraSpec | None],
    called: _Called,
    *,
    metric: bool,
) -> TrackJob:
    offsets = {called.number(key): seconds for key, seconds in request.offsets.items()}
    faces, further = _faces(request, called)
    lenses = _lenses(request, called, cameras)
    return (PhotographsJob if request.photographs else TrackJob)(
        views=tuple(
            ViewSpec(path, name, offsets.get(i, 0.0), camera=camera, face=faces.get(i) if i else None, **lens)
            for i, (path, name, camera, lens) in enumerate(zip(paths, names, cameras, lenses, strict=True))
        ),
        frames=request.frames,
        head=request.head,
        aligner=request.aligner,
        face=faces.get(0, FaceChoice()),
        faces=further,
        all_faces=request.all_faces,
        options=_absolute(request.options),
        metric_cameras=metric,
        neutral_frames=request.neutral_frames,
        neutral_from=_neutral(request.neutral),
    )


def _neutral(named: Path | None) -> str:
    """What the job has for ``TrackRequest.neutral``: a file's full path, or a predictor's name."""
    if named is None or str(named) in NEUTRAL_PREDICTORS:
        return str(named or "")
    return os.path.abspath(named)  # noqa: PTH100 - as the footage


def _faces(request: TrackRequest, called: _Called) -> tuple[dict[int, FaceChoice], tuple[FaceChoice, ...]]:
    """The face of each view by its index, and further faces of the one view; raises UserError (``faces_and_views``)."""
    faces: dict[int, FaceChoice] = {}
    further = []
    for key, box in (*request.faces.items(), *request.further_faces):
        number, choice = called.number(key), FaceChoice("box", box=box)
        if faces.setdefault(number, choice) is not choice:
            further.append(choice)
    if further and request.photographs:
        raise UserError(
            ErrorCode.FACES_AND_VIEWS,
            "Several faces of one photograph were named.",
            "Name one --face for each photograph.",
        )
    if (further or request.all_faces) and len(called.names) > 1:
        raise UserError(
            ErrorCode.FACES_AND_VIEWS,
            "Several faces can be tracked at once in the footage of one camera only.",
            "With several cameras, track one face after the other: one --face for each view.",
        )
    return faces, tuple(further)


def _lenses(request: TrackRequest, called: _Called, cameras: Sequence[CameraSpec | None]) -> list[dict[str, Any]]:
    """The fields of each view's lens; raises UserError (``bad_lens``) for what is given twice or makes no sense."""
    focal, sensor, principal = (
        called.values(given) for given in (request.focal_mm, request.sensor_mm, request.principal_points)
    )
    lenses = []
    for name, camera, mm, side, centre in zip(called.names, cameras, focal, sensor, principal, strict=True):
        beside = camera is not None and (
            (mm is not None and camera.focal_px is not None)
            or (centre is not None and camera.principal_point is not None)
        )
        wrong = {
            f"The lens of the {called.what} “{name}” is in the calibration already.": beside,
            "--focal-mm and --focal-px both give a focal length.": mm is not None
            and request.options.focal_px is not None,
            f"--sensor-mm means nothing without a --focal-mm of the {called.what} “{name}”.": mm is None
            and side is not None,
            f"A lens of the {called.what} “{name}” of {MILLIMETRES[0]:g} to {MILLIMETRES[1]:g} mm was expected.": any(
                value is not None and not MILLIMETRES[0] <= value[0] <= MILLIMETRES[1] for value in (mm, side)
            ),
        }
        for sentence, so in wrong.items():
            if so:
                raise UserError(ErrorCode.BAD_LENS, sentence, "Give every lens once, in millimetres or in pixels.")
        lenses.append({"focal_mm": mm and mm[0], "sensor_mm": side and side[0], "principal_point": centre})
    return lenses


def _absolute(options: SolveOptions) -> SolveOptions:
    """The options with the paths in them as whoever runs in another folder can read them."""
    if options.weights is not None and not is_file(Path(options.weights)):
        adapted = named_weights(Path(options.weights))
        options = replace(options, weights=str(adapted or options.weights))
    paths = {item.name: getattr(options, item.name) for item in option_fields(SolveOptions) if item.about.path}
    whole = {name: os.path.abspath(path) for name, path in paths.items() if path is not None}  # noqa: PTH100 - as footage
    return replace(options, **whole)


def view_names(paths: Sequence[str], what: str = "camera") -> list[str]:
    """Names of the views: their files' names, as short as they differ; with their folders' where they do not, else
    numbers behind ``what``."""
    names = [Path(path).stem[:MAX_NAME] for path in paths]
    if len(set(names)) < len(names):
        names = [f"{Path(path).parent.name} {Path(path).stem}"[:MAX_NAME] for path in paths]
    if len(set(names)) < len(names):
        names = [f"{what} {number}" for number in range(1, len(paths) + 1)]
    return names


@dataclass(frozen=True)
class _Called:
    """What users call the pieces of footage, by name, and all of them: views, or photographs."""

    names: Sequence[str]
    what: str = "view"

    @classmethod
    def views(cls, paths: Sequence[str]) -> _Called:
        return cls(["camera"] if len(paths) == 1 else view_names(paths))

    def number(self, key: str) -> int:
        """The index of the one called ``key``: by its name, its number from 1, or "" for the first."""
        if key in self.names:
            return self.names.index(key)
        if key.isdecimal() and 1 <= int(key) <= len(self.names):
            return int(key) - 1
        if not key:
            return 0
        raise UserError(
            ErrorCode.UNKNOWN_VIEW,
            f"There is no {self.what} “{key[:60]}”; there is {', '.join(self.names)}.",
            f"Name a {self.what} by its file's name without the ending, or by its number from 1.",
        )

    def values(self, given: Mapping[str, tuple[float, ...]]) -> list[tuple[float, ...] | None]:
        """What is given of each by its name or number, or else of all."""
        named = {self.number(key): value for key, value in given.items() if key}
        return [named.get(number, given.get("")) for number in range(len(self.names))]
