"""A driver beside the fit that it was learnt from, on frames that it has not learnt from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.appearance.drive import Performed, bridged, landmark_errors, perform
from backend.appearance.driver import Driver, DriverModel
from backend.appearance.examples import pictures
from backend.appearance.model import face_metric
from backend.cameras.distortion import lens_of
from backend.evaluation.metrics.stability import temporal_stability
from backend.footage import FootageFrame
from backend.head_model.model import posed_vertices
from backend.track.geometry import seen_vertices
from backend.track.types import Track
from protocol.arrays import at_frames

F64 = NDArray[np.float64]
OnProgress = Callable[[str, int, int], None]
ShouldCancel = Callable[[], bool]


@dataclass(frozen=True)
class Figures:
    """``error`` is the mean distance of the head's points from the landmarks that the track kept, percent of the
    inter-ocular distance; ``stability`` eq. 10's of the face's vertices in camera space, 1 is best."""

    error: float
    stability: float


@dataclass(frozen=True)
class Comparison:
    """Over ``frames`` frames: the fit's and the driver's figures; RMS of a vertex of the face between them in
    ``vertex_mm`` with the pose left out and by how much the face moves about its mean in ``motion_mm``; mean
    differences of weights and, in degrees, of head and gaze; ``ms`` of one processor that a picture took; ``lost``
    frames in which the driver found no face."""

    frames: int
    lost: int
    fit: Figures
    driver: Figures
    vertex_mm: float
    motion_mm: float
    weights: float
    head_degrees: float
    gaze_degrees: float
    ms: float

    @property
    def ratio(self) -> float:
        """The driver's error over the fit's."""
        return self.driver.error / self.fit.error


def compare(
    model: DriverModel,
    track: Track,
    frames: NDArray[np.intp],
    on_progress: OnProgress = lambda *_: None,
    should_cancel: ShouldCancel = lambda: False,
) -> Comparison | None:
    """Drive a take's ``frames`` (n,), in a row, as its first view saw them; None where fewer than three show a face.

    Raises UserError as reading the footage does; ``Cancelled``.
    """
    driver = Driver(model, lens=lens_of(track.cameras[0]))
    try:
        shown = (
            FootageFrame(frame, float(track.times[frame]), float(frame), picture)
            for frame, picture in pictures(track, 0, frames)
        )
        found = perform(driver, shown, len(frames), on_progress, should_cancel)
    finally:
        driver.close()
    seen = np.array([one is not None for one in found.answers]) & track.tracked[found.numbers]
    if seen.sum() < 3:
        return None
    return _compared(model, at_frames(track, found.numbers), found, seen)


def _compared(model: DriverModel, fit: Track, found: Performed, seen: NDArray[np.bool_]) -> Comparison:
    person, driven = model.person, driven_like(fit, found)
    differs = np.concatenate(
        [driven.expression - fit.expression, (driven.gaze - fit.gaze).reshape(-1, 4)], axis=1
    ).astype(np.float64)[seen]
    metric = face_metric(person.head)
    metric[-4:] = 0
    moved = (fit.expression - fit.expression[seen].mean(axis=0)).astype(np.float64)[seen]
    turned = Rotation.from_rotvec(np.array(driven.head_rotation)) * Rotation.from_rotvec(camera_rotation(fit)).inv()
    return Comparison(
        frames=int(seen.sum()),
        lost=int(sum(one is None for one in found.answers)),
        fit=_figures(model, fit, seen),
        driver=_figures(model, driven, seen),
        vertex_mm=_rms_mm(differs, metric),
        motion_mm=_rms_mm(moved, metric[:-4, :-4]),
        weights=float(np.abs(differs[:, :-4]).mean()),
        head_degrees=float(np.degrees(turned.magnitude()[seen].mean())),
        gaze_degrees=float(np.degrees(np.abs(differs[:, -4:]).mean())),
        ms=1000 * found.seconds / len(found.answers),
    )


def driven_like(fit: Track, found: Performed) -> Track:
    """The answers as a track with the first of the fit's cameras, standing in its own space."""
    expression, gaze, rotation, translation = bridged(found.answers, found.times)
    camera = replace(fit.cameras[0], world_to_camera=np.tile(np.eye(3, 4), (len(fit.tracked), 1, 1)))
    return replace(
        fit,
        expression=expression,
        gaze=gaze,
        head_rotation=rotation,
        head_translation=translation,
        cameras=(camera,),
    )


def camera_rotation(track: Track) -> F64:
    """(T,3) the head's rotation as the first camera sees it."""
    world = Rotation.from_rotvec(np.array(track.head_rotation))
    return np.asarray((Rotation.from_matrix(track.cameras[0].world_to_camera[:, :, :3]) * world).as_rotvec())


def _figures(model: DriverModel, track: Track, seen: NDArray[np.bool_]) -> Figures:
    person = model.person
    corners = _outer_corners(model, track)
    error = 100 * landmark_errors(track, person)[seen] / corners[seen, None]
    return Figures(float(np.nanmean(error)), temporal_stability(face_positions(model, track), np.asarray(seen)).mean)


def face_positions(model: DriverModel, track: Track) -> F64:
    """(T,n,3) some vertices of the face before the first camera, metres."""
    person = model.person
    face = np.flatnonzero(person.model.regions.get("face", np.ones(person.model.vertex_count, bool)))[::4]
    posed = posed_vertices(person.head, person.neutral, track.expression, track.gaze)[:, face].astype(np.float64)
    turn = Rotation.from_rotvec(np.array(track.head_rotation)).as_matrix()
    world = posed @ turn.transpose(0, 2, 1) + track.head_translation[:, None]
    extrinsics = track.cameras[0].world_to_camera
    return np.asarray(world @ extrinsics[:, :, :3].transpose(0, 2, 1) + extrinsics[:, None, :, 3])


def _outer_corners(model: DriverModel, track: Track) -> F64:
    """(T,) pixels between the outer eye corners of the head as the first camera sees it, turned to it or not."""
    head = model.person.model
    points = head.landmarks["ibug68"]
    vertices = head.triangles[points.triangle[[36, 45]], points.barycentric[[36, 45]].argmax(axis=1)]
    seen = seen_vertices(head, track, np.arange(len(track.tracked)), vertices=vertices)
    return np.asarray(np.linalg.norm(seen[:, 0, :2] - seen[:, 1, :2], axis=1))


def _rms_mm(parameters: F64, metric: F64) -> float:
    squares = np.einsum("ti,ij,tj->t", parameters, metric, parameters)
    return 1000 * float(np.sqrt(np.maximum(squares, 0).mean()))
