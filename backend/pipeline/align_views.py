"""The views of a job: opened, aligned one after the other, and brought onto the first one's timeline for the fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from backend.cameras.distortion import Lens, undistort
from backend.errors import ErrorCode, UserError
from backend.footage.timeline import matching_frames
from backend.observations import AlignedFrame, PointSet, ViewAlignment
from backend.observations.chunks import AlignmentChunks
from backend.pipeline.open_views import OpenView, views_apart
from backend.pipeline.shots import shot_warnings
from backend.progress import ShouldCancel
from protocol.messages import DistortionModel, FaceChoice

if TYPE_CHECKING:
    from backend.alignment.choice import FaceChoice as AlignerChoice
    from backend.alignment.keeping import Keeper
    from backend.alignment.types import Aligner, FaceFinder
    from backend.fitting import View

EXIF_LOG_SIGMA = 0.03
"""σ of log focal length as EXIF tells it: lenses may be 5 % off what is engraved on them (a uniform error of that has
this σ), equivalents are whole millimetres (1 % at 28), and some are told by width, not diagonal (4 % at 4:3)."""

OnAligned = Callable[[str, int, int], None]
"""Gets what is being done in words, frames done and frames in all, over all views."""


@dataclass(frozen=True, eq=False)
class AlignedView:
    """A view after alignment: ``index (T,)`` says which of its frames shows each frame of the take, -1 where none."""

    opened: OpenView
    alignment: ViewAlignment
    index: NDArray[np.int64]

    @property
    def unreadable(self) -> int:
        """How many of the footage's frames could not be decoded."""
        return max(self.opened.footage.total - self.alignment.frame_count, 0)

    @property
    def footage_frames(self) -> NDArray[np.int64]:
        """(T,) the footage's frame number at each frame of the take, -1 where it has none."""
        return np.where(self.index >= 0, self.alignment.numbers[self.index], -1)


def align_views(
    views: Sequence[OpenView],
    aligner: Aligner,
    finder: FaceFinder,
    face: FaceChoice,
    folder: Path,
    key: str,
    *,
    on_progress: OnAligned,
    should_cancel: ShouldCancel,
    heard: Hears | None = None,
) -> tuple[list[AlignedView], list[ViewAlignment], list[str]]:
    """Find the face in every view; ``folder`` keeps what was found as it is found, and what an earlier run left there
    with the same ``key`` is gone on from. ``face`` is the choice for the first where its own spec makes none. ``heard``
    gets the first view's frames as they are known.

    A view other than the first that shows no face, as cameras far to the side may, tells nothing: it stays in the take
    where its camera is known, and is left out where it is not. The sentences returned say so.

    Raises:
        UserError: ``no_face`` and ``no_frames`` naming the footage, ``face_not_chosen``, ``views_apart``.
        Cancelled: ``should_cancel`` said so.
    """
    total, before = sum(view.footage.total for view in views), 0
    aligned: list[AlignedView] = []
    saved: list[ViewAlignment] = []
    warnings: list[str] = []
    for number, view in enumerate(views):
        words = "finding the face" if len(views) == 1 else f"finding the face in “{view.spec.name}”"

        def report(done: int, of_this: int, words: str = words, before: int = before) -> None:
            on_progress(words, before + done, max(total, before + max(done, of_this)))

        chosen = view.spec.face or (face if number == 0 else _same_moment(view, aligned[0]))
        looking = Looking(aligner, finder, chosen, needs_face=number == 0)
        kept = keeper_of(view, aligner, folder / str(number), key)
        try:
            found = align_view(view, looking, kept, report, should_cancel, heard if number == 0 else None)
        except UserError as error:
            raise _with_hint(error, several=len(views) > 1) from error
        before += found.frame_count
        alignment = found
        if not found.found.any():
            warnings.append(_faceless_warning(view))
            if not view.calibrated:
                continue
            alignment = unseen_like(aligned[0].alignment, found)
        saved.append(found)
        aligned.append(_on_timeline(view, alignment, aligned[0] if aligned else None))
    return aligned, saved, warnings


@dataclass(frozen=True)
class Looking:
    """Who looks for which face."""

    aligner: Aligner
    finder: FaceFinder
    face: FaceChoice
    needs_face: bool


class Hears(Protocol):
    """Whoever hears of the first view's frames while it is aligned."""

    def add(self, frame: AlignedFrame) -> None:
        """The next frame."""
        ...

    def go_on(self, frames: Sequence[AlignedFrame]) -> None:
        """The frames that an earlier run of the job has left, before any other."""
        ...


def keeper_of(view: OpenView, aligner: Aligner, folder: Path, key: str) -> Keeper:
    """Whoever keeps what is known of a view in ``folder``, and finds what an earlier run left there with this key."""
    from backend.alignment.keeping import Keeper

    info = view.info
    size = info.width, info.height
    ids = aligner.point_sets
    return Keeper(AlignmentChunks(folder, ids, aligner.name, key=key, image_size=size, frame_rate=info.frame_rate))


def align_view(
    view: OpenView,
    looking: Looking,
    keeper: Keeper,
    report: Callable[[int, int], None],
    should_cancel: ShouldCancel,
    heard: Hears | None,
) -> ViewAlignment:
    """Find the face in one view; raises as ``align_footage`` does."""
    from backend.alignment.align_footage import align_footage

    return align_footage(
        view.footage,
        looking.aligner,
        aligner_choice(looking.face),
        finder=looking.finder,
        on_found=heard.go_on if heard else None,
        on_frame=heard.add if heard else None,
        on_progress=report,
        should_cancel=should_cancel,
        keeper=keeper,
        needs_face=looking.needs_face,
    )


def view_warnings(views: Sequence[AlignedView]) -> list[str]:
    """The warnings about the views that a user should read before looking at the result, in sentences."""
    warnings = []
    first = views[0].opened
    for view in views:
        opened, given = view.opened, view.opened.spec.camera
        prefix = f"“{opened.spec.name}”: " if len(views) > 1 else ""
        warnings += [prefix + note for note in opened.info.notes]
        name = f"“{opened.spec.name}”" if len(views) > 1 else ""
        footage = f"The footage of {name}" if name else "The footage"
        warnings += shot_warnings(view.alignment, footage, name or opened.info.path.name)
        if given is not None and opened.camera is not None and given.image_size != opened.camera.image_size:
            (width, height), (to_width, to_height) = given.image_size, opened.camera.image_size
            warnings.append(
                f"The calibration of “{opened.spec.name}” is for {width} × {height} pixels and was scaled to "
                f"{to_width} × {to_height}: right if the footage shows the whole picture, wrong if it was cropped."
            )
        warnings += [prefix + said for said in _exif_warnings(opened)]
        if opened.lens is not None and opened.lens.model == DistortionModel.FISHEYE:
            warnings.append(
                f"“{opened.spec.name}” was filmed through a fisheye lens: the head stands where an ideal camera sees "
                "it, and agrees with the picture in Blender in its middle only, as pictures are not undistorted there."
            )
        if opened.info.kind != "still" and abs(opened.rate - first.rate) > 1e-3 * first.rate:
            warnings.append(
                f"“{opened.spec.name}” has {opened.rate:.4g} frames per second, the first view {first.rate:.4g}: "
                "frames were matched by time."
            )
    return warnings


def _exif_warnings(view: OpenView) -> list[str]:
    """What a user should know of a focal length that was told and not used."""
    exif, size = view.exif, f"{view.info.width} × {view.info.height}"
    if exif is None or not exif.cropped or view.focal_source(None) != "solved":
        return []
    return [
        f"EXIF tells a focal length ({exif.says}), but the picture has {size} pixels: it was cropped, and the focal "
        "length solved for. The lens may look beside its middle, too: give the principal point, or have it solved for."
    ]


def views_to_fit(
    views: Sequence[AlignedView], focal_px: float | None, times: NDArray[np.float64] | None = None
) -> list[View]:
    """The fit's input of each view: points as an ideal pinhole sees them, and what is known of its camera.

    ``focal_px`` pins the focal length of views whose camera is not known. ``times (T,)`` seconds are the take's where
    they are not those of the first view.
    """
    times = views[0].opened.seconds(views[0].alignment.times) if times is None else times
    return [_to_fit(view, focal_px, times) for view in views]


def picture_at(view: AlignedView, frame: int) -> NDArray[np.uint8] | None:
    """The RGB picture (H,W,3) that a view shows at a frame of the take, decoded anew; None where it has none.

    Raises UserError as opening footage does.
    """
    if view.index[frame] < 0:
        return None
    number = int(view.footage_frames[frame])
    return next((decoded.image for decoded in view.opened.footage.part((number, number))), None)


def aligner_choice(face: FaceChoice) -> AlignerChoice:
    """The face choice of a job as the aligner takes it."""
    from backend.alignment.choice import FaceChoice as AlignerChoice

    if face.kind == "box" and face.box:
        return AlignerChoice.box(*face.box, frame=face.frame)
    if face.kind == "point" and face.point:
        return AlignerChoice.point(*face.point, frame=face.frame)
    return AlignerChoice.largest(face.frame)


def _same_moment(view: OpenView, first: AlignedView) -> FaceChoice:
    """The choice of the largest face: the first one seen, or where the first view is cut, one of what it shows when the
    face is first seen there."""
    alignment = first.alignment
    if len(alignment.shots) < 2 or not alignment.found.any():
        return FaceChoice()
    seconds = float(first.opened.seconds(alignment.times[alignment.found])[0]) + view.spec.offset
    return FaceChoice(frame=max(view.info.first_frame, view.info.first_frame + round(seconds * view.rate)))


def _with_hint(error: UserError, *, several: bool) -> UserError:
    if error.code != ErrorCode.NO_FACE or not several:
        return error
    return UserError(error.code, error.message, "Name first a view that shows the face: its frames are the take's.")


def _faceless_warning(view: OpenView) -> str:
    rest = "it tells nothing of the face" if view.calibrated else "it was left out, as its camera is not known either"
    return f"No face was found in the view “{view.spec.name}” ({view.spec.footage}): {rest}."


def unseen_like(first: ViewAlignment, found: ViewAlignment) -> ViewAlignment:
    """``found``, in which there is nothing, with sets of the points that the first view's has."""
    sets = [PointSet.unseen(s.id, found.frame_count, s.mu.shape[1], s.points) for s in first.point_sets]
    return replace(found, point_sets=tuple(sets), seconds=dict.fromkeys(first.seconds, 0.0))


def _on_timeline(view: OpenView, alignment: ViewAlignment, first: AlignedView | None) -> AlignedView:
    if first is None:
        return AlignedView(view, alignment, np.arange(len(alignment.numbers)))
    times = first.opened.seconds(first.alignment.times)
    index = matching_frames(times, view.seconds(alignment.times), view.spec.offset)
    if not (index >= 0).any():
        raise views_apart(view.spec.name, view.spec)
    return AlignedView(view, alignment, index)


def ideal(alignment: ViewAlignment, lens: Lens) -> ViewAlignment:
    """The alignment that an ideal pinhole camera would have seen."""
    sets = []
    for seen in alignment.point_sets:
        ideal = undistort(seen.mu, lens)
        sigma = (seen.sigma * ideal.magnification).astype(np.float32)
        mu = ideal.points.astype(np.float32)
        sets.append(replace(seen, mu=mu, sigma=sigma, valid=seen.valid & ideal.valid))
    return replace(alignment, point_sets=tuple(sets))


def _to_fit(view: AlignedView, focal_px: float | None, times: NDArray[np.float64]) -> View:
    from backend.fitting import KnownCamera, View
    from backend.fitting.types import ToldFocal

    lens, camera = view.opened.lens, view.opened.camera
    observed = view.alignment.at(view.index).at_times(times)
    if lens is not None:
        observed = ideal(observed, lens)
    extrinsics = None if camera is None else camera.world_to_camera
    exif = view.opened.exif
    told = ToldFocal(exif.focal_px, EXIF_LOG_SIGMA) if exif is not None and exif.focal_px is not None else None
    return View(
        observed,
        KnownCamera(
            focal_px=(camera and camera.focal_px) or view.opened.given_focal_px or focal_px,
            principal_point=(camera and camera.principal_point) or view.opened.spec.principal_point,
            world_to_camera=None if extrinsics is None else np.reshape(np.array(extrinsics, np.float64), (3, 4)),
            focal_told=told,
        ),
    )
