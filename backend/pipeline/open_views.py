"""The footage of a job's views, opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.cameras.calibration import camera_for_size
from backend.cameras.distortion import Lens
from backend.errors import ErrorCode, UserError
from backend.footage import DEFAULT_SEQUENCE_RATE, Footage, FootageInfo, images_of, open_footage
from backend.footage.exif import ExifFocal, exif_focal
from backend.footage.timeline import frames_between
from protocol import bounds
from protocol.job import FULL_FRAME_MM
from protocol.messages import CameraSpec, PhotographsJob, TrackJob, ViewSpec


@dataclass(frozen=True, eq=False)
class OpenView:
    """A view whose footage is open. ``camera`` is for the footage's own picture size; ``rate`` is frames per second."""

    spec: ViewSpec
    footage: Footage
    camera: CameraSpec | None
    rate: float
    exif: ExifFocal | None = None

    @property
    def info(self) -> FootageInfo:
        """Facts about the footage."""
        return self.footage.info

    def seconds(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """The file's times as they really were: other ones where the file is wrong about its frame rate."""
        return times * (self.info.frame_rate / self.rate)

    @property
    def given_focal_px(self) -> float | None:
        """The focal length of a lens that was given in millimetres."""
        if self.spec.focal_mm is None:
            return None
        return self.spec.focal_mm / (self.spec.sensor_mm or FULL_FRAME_MM) * max(self.info.width, self.info.height)

    def focal_source(self, focal_px: float | None) -> str:
        """Where the view's focal length is from; ``focal_px`` is the job's own for views whose camera is not known."""
        if self.camera is not None and self.camera.focal_px is not None:
            return "calibration"
        if self.given_focal_px is not None or focal_px is not None:
            return "given"
        return "solved" if self.exif is None or self.exif.cropped else "exif"

    @property
    def calibrated(self) -> bool:
        """True where the view's camera is known completely."""
        return self.camera is not None and None not in (self.camera.focal_px, self.camera.world_to_camera)

    @property
    def lens(self) -> Lens | None:
        """The lens whose distortion and oblong pixels are to be taken out of what is seen; None without any."""
        camera = self.camera
        if camera is None or (camera.focal_ratio == 1.0 and not camera.distortion):
            return None
        middle = self.info.width / 2, self.info.height / 2
        centre = camera.principal_point or self.spec.principal_point or middle
        return Lens(camera.focal_px or 1.0, centre, camera.focal_ratio, camera.distortion, camera.distortion_model)


def open_views(spec: TrackJob) -> list[OpenView]:
    """Open every view's footage, of the others only what the first one's frames can see.

    Several images that are named as separate views are stills, even where they are numbered like a sequence: several
    views of one synchronised frame.

    Raises:
        UserError: what opening footage raises; ``calibration_image_size``; ``views_apart`` where a view was shot at
            another time altogether; what ``require_in_picture`` raises.
    """
    alone = named_alone(spec)
    names = _distinct([view.name for view in spec.views])
    views = []
    start = stop = 0.0
    for number, (view, name) in enumerate(zip(spec.views, names, strict=True)):
        frames = spec.frames if number == 0 and not alone[0] else None
        footage = _open(view, frames, alone=alone[number])
        info = footage.info
        rate = view.frame_rate or info.frame_rate
        if number == 0:
            start, stop = _span(info, frames, rate)
        else:
            time_scale = rate / info.frame_rate  # from real seconds to the file's
            wanted = frames_between(info, (start + view.offset) * time_scale, (stop + view.offset) * time_scale)
            if wanted is None:
                raise views_apart(name, view)
            footage = footage.part(wanted)
        require_in_picture(spec, number, (info.width, info.height), name)
        camera = view.camera and camera_for_size(view.camera, (info.width, info.height), name)
        # A video's first picture has no EXIF; of a sequence one camera took all.
        exif = exif_focal(info.files[0]) if info.files else None
        views.append(OpenView(replace(view, name=name), footage, camera, rate, exif))
    return views


def require_in_picture(spec: TrackJob, number: int, size: tuple[int, int], name: str) -> None:
    """Refuse what a job says of a view of that size (width, height), where no such picture can show it.

    Raises:
        UserError: ``bad_lens`` for a focal length or a centre; ``face_not_chosen`` for a face that is chosen outside.
    """
    view = spec.views[number]
    focal = None if view.camera is not None and view.camera.focal_px is not None else spec.options.focal_px
    if view.focal_mm is None and focal is not None and (wanted := bounds.focal_fault(focal, size)):
        sentence = f"The view “{name}” is {size[0]} × {size[1]} pixels: it must have {wanted}, not {focal:g}."
        raise UserError(ErrorCode.BAD_LENS, sentence, "Leave the focal length out where it is not known.")
    centre = view.principal_point or (0.0, 0.0)
    if any(abs(value) > bounds.FARTHEST_CENTRE * max(size) for value in centre):
        sentence = f"The view “{name}” is {size[0]} × {size[1]} pixels; no lens looks at {centre[0]:g}, {centre[1]:g}."
        raise UserError(ErrorCode.BAD_LENS, sentence, "Leave the principal point out where it is not known.")
    own = (view.face,) if number else (spec.face, *spec.faces)
    for face in own:
        left, top, width, height = (face and (face.box or (face.point and (*face.point, 0.0, 0.0)))) or (0, 0, 1, 1)
        if left > size[0] or top > size[1] or left + width < 0 or top + height < 0:
            sentence = f"The face that was chosen in “{name}” lies outside its picture of {size[0]} × {size[1]} pixels."
            raise UserError(
                ErrorCode.FACE_NOT_CHOSEN, sentence, "Choose it by pixels of the footage as it is displayed."
            )


def _open(view: ViewSpec, frames: tuple[int, int] | None, *, alone: bool) -> Footage:
    rate = DEFAULT_SEQUENCE_RATE if view.frame_rate is None else view.frame_rate
    files = [Path(view.footage).parent / name for name in view.files]
    return open_footage(view.footage, frames, rate, alone=alone, files=files)


def named_alone(spec: TrackJob) -> list[bool]:
    """True for views whose footage is one image, even where others beside it are numbered like a sequence."""
    return [True] * len(spec.views) if isinstance(spec, PhotographsJob) else images_named_apart(spec.views)


def images_named_apart(views: Sequence[ViewSpec]) -> list[bool]:
    """True for views whose footage is an image of a numbered sequence that others' footage are images of, too."""
    if len(views) == 1:
        return [False]
    sequences = [None if view.files else images_of(view.footage) for view in views]
    files = [found and found.files for found in sequences]
    return [found is not None and files.count(found) > 1 for found in files]


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, those that repeat an earlier one with a number added."""
    distinct: list[str] = []
    for name in names:
        number, unique = 2, name or "camera"
        while unique in distinct:
            unique, number = f"{name or 'camera'} {number}", number + 1
        distinct.append(unique)
    return distinct


def _span(info: FootageInfo, frames: tuple[int, int] | None, rate: float) -> tuple[float, float]:
    """Seconds of the first view's clock that its chosen frames take up; all of them where the rate varies."""
    if frames is None or info.variable_rate or info.kind == "still":
        return 0.0, info.duration * info.frame_rate / rate
    first, last = max(frames[0], info.first_frame), min(frames[1], info.last_frame)
    return (first - info.first_frame) / rate, (last - info.first_frame) / rate


def views_apart(name: str, view: ViewSpec) -> UserError:
    return UserError(
        ErrorCode.VIEWS_APART,
        f"The view “{name}” ({view.footage}) has no frame synchronised with one of the first view.",
        "Check its offset: the seconds into this footage at which the first view begins.",
    )
