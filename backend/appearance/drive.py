"""Footage driven: every picture looked at once, in order, and the answers as a track like any other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from backend.appearance.driver import Driven, Driver
from backend.appearance.person import POINT_SET, SKIN_POINTS, Person
from backend.cameras.distortion import Lens, undistort
from backend.errors import Cancelled, ErrorCode, UserError
from backend.footage import Footage, FootageFrame, FootageInfo
from backend.footage.prefetch import prefetch
from backend.head_model.action_weights import solve_action_weights
from backend.head_model.builder.landmarks import IBUG68_FROM_MEDIAPIPE
from backend.head_model.model import actions_of
from backend.pipeline.result import MAX_NAMES, NUMBER
from backend.track.geometry import seen_vertices
from backend.track.types import CameraTrack, Track
from protocol.face_actions import ARKIT_ACTIONS

F64 = NDArray[np.float64]
OnProgress = Callable[[str, int, int], None]
ShouldCancel = Callable[[], bool]
SHOWN = np.array(sorted({*IBUG68_FROM_MEDIAPIPE, *range(0, SKIN_POINTS, 8)}))
"""Of MediaPipe's points those that a driven track keeps, to be looked at beside the head."""


@dataclass(frozen=True, eq=False)
class Performed:
    """The answers of T pictures, None where one shows no face, with their frames' facts; ``seconds`` is what the
    thread's processor spent on them."""

    answers: list[Driven | None]
    numbers: NDArray[np.int64]
    times: F64
    scene_frames: F64
    image_size: tuple[int, int]
    seconds: float


def perform(
    driver: Driver, frames: Iterable[FootageFrame], total: int, on_progress: OnProgress, should_cancel: ShouldCancel
) -> Performed:
    """Look at all pictures, in order. Raises ``Cancelled``; UserError ``no_frames`` where there is none."""
    answers: list[Driven | None] = []
    facts: list[tuple[int, float, float]] = []
    size, seconds = (0, 0), 0.0
    for frame in frames:
        if should_cancel():
            raise Cancelled
        began = time.thread_time()
        answers.append(driver.look(frame.image))
        seconds += time.thread_time() - began
        facts.append((frame.number, frame.time, frame.scene_frame))
        size = frame.image.shape[1], frame.image.shape[0]
        on_progress("driving", len(answers), total)
    if not answers:
        raise UserError(ErrorCode.NO_FRAMES, "The footage has no frames to drive.")
    numbers, times, scene = zip(*facts, strict=True)
    return Performed(answers, np.array(numbers, np.int64), np.array(times), np.array(scene, np.float64), size, seconds)


def drive(
    driver: Driver, footage: Footage, on_progress: OnProgress, should_cancel: ShouldCancel
) -> tuple[Track, Performed]:
    """The track of a footage, whose camera is the driver's.

    Raises UserError ``face_not_found`` where no picture shows a face, and what reading raises; ``Cancelled``.
    """
    found = perform(driver, prefetch(footage, 3), footage.info.frame_count, on_progress, should_cancel)
    if not any(found.answers):
        raise UserError(
            ErrorCode.FACE_NOT_FOUND, f"No face was found in {footage.info.path}.", "Drive footage that shows the face."
        )
    return _track(driver, footage, found), found


def _track(driver: Driver, footage: Footage, found: Performed) -> Track:
    model, person = driver.model, driver.model.person
    info, count = footage.info, len(found.answers)
    tracked = np.array([one is not None for one in found.answers])
    expression, gaze, rotation, translation = bridged(found.answers, found.times)
    width, height = found.image_size
    lens = driver.lens_for(np.empty((height, width, 0), np.uint8))
    camera = CameraTrack(
        name="camera",
        footage=str(info.path),
        footage_kind=info.kind,
        footage_first_frame=info.first_frame,
        footage_frame_count=info.frame_count,
        footage_rotation=info.rotation,
        **_images(info),
        image_size=(width, height),
        focal_px=np.full(count, lens.focal_px),
        principal_point=np.array(lens.principal_point, np.float64),
        world_to_camera=np.tile(np.eye(3, 4), (count, 1, 1)),
        footage_frames=found.numbers,
        focal_ratio=lens.focal_ratio,
        distortion=lens.coefficients,
        distortion_model=lens.model,
        landmarks_px=_landmarks(found.answers, lens),
    )
    points, triangles = person.model.landmarks[POINT_SET], person.model.triangles
    track = Track(
        head_id=person.head_id,
        head_hash=person.head_hash,
        identity=person.identity,
        deformation=person.deformation,
        action_corrections=person.action_corrections,
        expression=expression,
        gaze=gaze,
        head_rotation=rotation,
        head_translation=translation,
        cameras=(camera,),
        frames=found.numbers,
        scene_frames=found.scene_frames,
        times=found.times,
        frame_rate=info.frame_rate,
        tracked=tracked,
        reprojection_error_percent_iod=np.full(count, np.nan, np.float32),
        landmark_vertices=triangles[points.triangle[SHOWN]].astype(np.int32),
        landmark_barycentric=points.barycentric[SHOWN].astype(np.float32),
        provenance={"aligner": "driver", "driver": model.name, "skin_matched": "nowhere"},
    )
    return _with_actions(_with_errors(track, person, found.answers), person)


def bridged(answers: list[Driven | None], times: F64) -> tuple[NDArray[np.float32], NDArray[np.float32], F64, F64]:
    """Expression, gaze, rotation as axis-angle and translation of all T frames; between faces on a straight way."""
    seen = np.flatnonzero([one is not None for one in answers])
    known = [one for one in answers if one is not None]
    at = np.clip(times, times[seen[0]], times[seen[-1]])

    def between(values: list[NDArray[np.floating[Any]]]) -> F64:
        flat = np.stack(values).reshape(len(values), -1).astype(np.float64)
        columns = [np.interp(at, times[seen], column) for column in flat.T]
        return np.stack(columns, axis=1).reshape(len(at), *values[0].shape)

    turns = Rotation.from_matrix(np.stack([one.rotation for one in known]))
    rotation = Slerp(times[seen], turns)(at) if len(seen) > 1 else Rotation.concatenate([turns] * len(at))
    return (
        between([one.expression for one in known]).astype(np.float32),
        between([one.gaze for one in known]).astype(np.float32),
        rotation.as_rotvec(),
        between([one.translation for one in known]),
    )


def _images(info: FootageInfo) -> dict[str, Any]:
    """The fields that keep a sequence's images, as in a tracked take."""
    folder = info.path.parent
    names = tuple(str(file.relative_to(folder) if file.is_relative_to(folder) else file) for file in info.files)
    if info.kind != "sequence" or sum(len(name) + NUMBER for name in names) > MAX_NAMES:
        return {}
    return {"footage_files": names, "footage_numbers": info.numbers}


def _landmarks(answers: list[Driven | None], lens: Lens) -> NDArray[np.float32]:
    """(T,N,2) where the ideal camera sees what the network saw."""
    rows = [np.full((len(SHOWN), 2), np.nan) if one is None else one.landmarks[SHOWN] for one in answers]
    seen = np.stack(rows)
    return (seen if lens.ideal else undistort(seen, lens).points).astype(np.float32)


def _with_errors(track: Track, person: Person, answers: list[Driven | None]) -> Track:
    """With how far the head's points lie from where the network saw them, percent of the inter-ocular distance."""
    iod = np.array([np.nan if one is None else one.iod for one in answers])
    apart = landmark_errors(track, person) / iod[:, None]
    error = np.where(track.tracked, 100 * np.nan_to_num(apart).mean(axis=1), np.nan).astype(np.float32)
    camera = replace(track.cameras[0], reprojection_error_percent_iod=error)
    return replace(track, cameras=(camera,), reprojection_error_percent_iod=error)


def landmark_errors(track: Track, person: Person, view: int = 0) -> F64:
    """(T,N) pixels between the head's landmarks in a view and where they were seen, NaN where they were not."""
    camera = track.cameras[view]
    rows = []
    for part in np.array_split(np.arange(len(track.tracked)), max(1, len(track.tracked) // 50)):
        vertices = np.unique(track.landmark_vertices)
        seen = seen_vertices(person.model, track, part, neutral=person.neutral, view=view, vertices=vertices)
        corners = seen[:, np.searchsorted(vertices, track.landmark_vertices), :2]
        rows.append(np.einsum("nk,tnkc->tnc", track.landmark_barycentric, corners))
    return np.linalg.norm(np.concatenate(rows) - camera.landmarks_px, axis=-1)


def _with_actions(track: Track, person: Person) -> Track:
    if not actions_of(person.model)[0]:
        return track
    return replace(
        track,
        action_names=ARKIT_ACTIONS,
        actions=solve_action_weights(person.head, track.expression, track.gaze),
    )
