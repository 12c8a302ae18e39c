"""The track and the report of a fitted take, which a finished job leaves behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.track.types import CameraTrack, Track
from protocol.arrays import left_out
from protocol.messages import DistortionModel

if TYPE_CHECKING:
    from backend.fitting import FitResult, FittedCamera, Solution
    from backend.footage import FootageInfo
    from backend.head_model.model import HeadModel
    from backend.pipeline.align_views import AlignedView
    from backend.pipeline.proxies import ViewProxy
    from backend.pipeline.shown_landmarks import ShownLandmarks

F32 = NDArray[np.float32]
NUMBER = 12  # characters that a number takes up beside a name
MAX_NAMES = 1 << 19  # characters of images' names that a take keeps: half of a message's header


@dataclass(frozen=True, eq=False)
class Timeline:
    """The T frames of a take: ``numbers (T,)``, ``scene_frames (T,)``, ``times (T,)`` seconds, frames per second."""

    numbers: NDArray[np.int64]
    scene_frames: NDArray[np.float64]
    times: NDArray[np.float64]
    frame_rate: float

    @classmethod
    def of(cls, first: AlignedView) -> Timeline:
        """The first view's."""
        seen, opened = first.alignment, first.opened
        return cls(seen.numbers, seen.scene_frames, opened.seconds(seen.times), opened.rate)


def make_track(
    head: HeadModel,
    views: Sequence[AlignedView],
    fit: FitResult,
    report: Mapping[str, Any],
    proxies: Mapping[str, ViewProxy] = MappingProxyType({}),
    skin_error: F32 | None = None,
    timeline: Timeline | None = None,
) -> Track:
    """The track of a fitted take, on the first view's timeline or on another.

    ``head`` is the one it was fitted with, ``views`` are in the order of its cameras, ``proxies`` by their names;
    ``skin_error (T,)`` is by how much it misses skin that was followed in time, percent of the inter-ocular distance.
    """
    from backend.head_model.action_weights import solve_action_weights
    from backend.head_model.model import actions_of
    from backend.head_model.personal import with_corrections
    from backend.pipeline.align_views import views_to_fit
    from backend.pipeline.shown_landmarks import shown_landmarks
    from protocol.face_actions import ARKIT_ACTIONS

    on = timeline or Timeline.of(views[0])
    has_actions = bool(actions_of(head)[0])
    frames = len(on.numbers)
    person = with_corrections(head, fit.action_corrections)
    actions = np.zeros((frames, 0), np.float32)
    if has_actions:
        actions = solve_action_weights(person, fit.expression, fit.gaze)
    deformed = bool(np.any(fit.deformation))
    neutral = head.neutral(fit.identity) + fit.deformation
    landmarks = shown_landmarks(head, neutral, [view.alignment for view in views_to_fit(views, None, on.times)])
    return Track(
        head_id=head.id,
        head_hash=head.hash,
        identity=fit.identity.astype(np.float32),
        expression=fit.expression.astype(np.float32),
        head_rotation=Rotation.from_matrix(fit.head_rotation).as_rotvec(),
        head_translation=fit.head_translation,
        gaze=fit.gaze.astype(np.float32),
        cameras=_cameras(views, fit, proxies, landmarks),
        frames=on.numbers,
        scene_frames=on.scene_frames,
        times=on.times,
        frame_rate=on.frame_rate,
        tracked=fit.tracked,
        reprojection_error_percent_iod=mean_of_seen(fit.reprojection_error_percent_iod, (0, 2), fit.tracked),
        provenance={key: report[key] for key in ("versions", "aligner", "seconds", "options", "metric_cameras")}
        | {"skin_matched": skin_matched(report)},
        deformation=fit.deformation.astype(np.float32) if deformed else np.zeros((0, 3), np.float32),
        action_names=ARKIT_ACTIONS if has_actions else (),
        actions=actions,
        uncertainty_mm=fit.uncertainty_mm.astype(np.float32),
        expression_sigma=fit.expression_sigma.astype(np.float32),
        action_corrections=fit.action_corrections.astype(np.float16),
        skin_error_percent_iod=left_out() if skin_error is None else skin_error,
        landmark_vertices=landmarks.vertices,
        landmark_barycentric=landmarks.barycentric,
    )


def _cameras(
    views: Sequence[AlignedView], fit: FitResult, proxies: Mapping[str, ViewProxy], landmarks: ShownLandmarks
) -> tuple[CameraTrack, ...]:
    """The cameras of a take's views, with the landmarks that each saw."""
    errors = [mean_of_seen(error, (1,)) for error in fit.reprojection_error_percent_iod]
    return tuple(
        replace(
            camera_track(views, index, fit.cameras[index], errors[index], proxies.get(view.opened.spec.name)),
            landmarks_px=landmarks.seen[index],
        )
        for index, view in enumerate(views)
    )


def skin_matched(report: Mapping[str, Any]) -> str:
    """Where a take's skin was matched, by its report."""
    if report.get("matching_in_time"):
        return "in time"
    return "between views" if report.get("matching") else "nowhere"


def solution_of(track: Track, head: HeadModel) -> Solution:
    """A track's values as a solution that a fit can start from; cameras as at its first frame, as they stand still."""
    from backend.fitting import FittedCamera, Solution

    cameras = [
        FittedCamera(
            float(camera.focal_px[0]),
            (float(camera.principal_point[0]), float(camera.principal_point[1])),
            camera.world_to_camera[0].astype(np.float64),
        )
        for camera in track.cameras
    ]
    deformation = track.deformation if len(track.deformation) else np.zeros((head.vertex_count, 3))
    return Solution(
        identity=track.identity.astype(np.float64),
        deformation=deformation.astype(np.float64),
        expression=track.expression.astype(np.float64),
        head_rotation=Rotation.from_rotvec(np.array(track.head_rotation)).as_matrix(),  # a file's arrays are read-only
        head_translation=track.head_translation.astype(np.float64),
        gaze=track.gaze.astype(np.float64),
        cameras=tuple(cameras),
        action_corrections=track.action_corrections.astype(np.float32),
    )


def camera_track(
    views: Sequence[AlignedView], index: int, fitted: FittedCamera, error: F32, proxy: ViewProxy | None
) -> CameraTrack:
    """The camera of one of a take's views, and the footage and the proxy behind it.

    ``error (T,)`` is the view's reprojection error in percent of the inter-ocular distance, NaN where it saw no face.
    """
    view = views[index]
    info, lens = view.opened.info, view.opened.lens
    frames = len(view.index)
    return CameraTrack(
        name=view.opened.spec.name,
        footage=str(info.path),
        footage_kind=info.kind,
        footage_first_frame=info.first_frame if index == 0 else first_scene_frame(views[0], view),
        footage_frame_count=info.frame_count,
        footage_rotation=info.rotation,
        **_images(info, MAX_NAMES // len(views)),
        image_size=view.alignment.image_size,
        focal_px=np.full(frames, fitted.focal_px),
        principal_point=np.array(fitted.principal_point, np.float64),
        world_to_camera=np.repeat(fitted.world_to_camera[None].astype(np.float64), frames, axis=0),
        reprojection_error_percent_iod=error,
        footage_frames=view.footage_frames,
        focal_ratio=lens.focal_ratio if lens else 1.0,
        distortion=lens.coefficients if lens else (),
        distortion_model=lens.model if lens else DistortionModel.BROWN_CONRADY,
        proxy=str(proxy.path) if proxy else "",
        proxy_first_frame=proxy.first_frame if proxy else 1,
    )


def _images(info: FootageInfo, at_most: int) -> dict[str, Any]:
    """The fields that keep a sequence's images; none where their names have more than ``at_most`` characters."""
    folder = info.path.parent
    names = tuple(str(file.relative_to(folder) if file.is_relative_to(folder) else file) for file in info.files)
    if info.kind != "sequence" or sum(len(name) + NUMBER for name in names) > at_most:
        return {}
    return {"footage_files": names, "footage_numbers": info.numbers}


def first_scene_frame(first: AlignedView, view: AlignedView) -> int:
    """The scene frame on which a view's first image shows, rounded: its clip starts there in Blender.

    Read off the frames that were matched where both play at one rate, so that clip and keys agree to the frame;
    reckoned from the offset where they do not.
    """
    seen = view.index >= 0
    if abs(view.opened.rate - first.opened.rate) < 1e-3 * first.opened.rate and first.opened.info.kind != "still":
        starts = first.alignment.scene_frames[seen] - (view.footage_frames[seen] - view.opened.info.first_frame)
        return round(float(np.median(starts)))
    return round(first.opened.info.first_frame - view.opened.spec.offset * first.opened.rate)


def mean_of_seen(
    error: NDArray[np.floating[Any]], axis: tuple[int, ...], wanted: NDArray[np.bool_] | bool = True
) -> F32:
    """Means over ``axis`` of what is finite; NaN where nothing is or where it is not wanted."""
    seen = np.isfinite(error)
    count = seen.sum(axis=axis)
    total = np.where(seen, error, 0.0).sum(axis=axis)
    return np.where(wanted & (count > 0), total / np.maximum(count, 1), np.nan).astype(np.float32)
