"""Real photographs, a head scan and clips: what can be known of a tracker where nothing was rendered.

Only people of the ``test`` split are looked at (``splits.toml``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, label
from scipy.stats import spearmanr

from backend.errors import UserError
from backend.evaluation.metrics.rigid_alignment import KEYPOINTS7, align_to_scan
from backend.evaluation.metrics.stability import temporal_stability
from backend.evaluation.metrics.surface_distance import MeshSurface
from backend.evaluation.outside import seen_from_outside
from backend.evaluation.results_folder import ResultsFolder
from backend.evaluation.splits import split_of_clip, split_of_photo
from backend.evaluation.trackers import Tracker, observe_clip
from backend.evaluation.types import MeshSequence
from backend.fitting import Observations

F64 = NDArray[np.float64]

OUTER_EYE_CORNERS = (36, 45)  # iBUG-68
METRES_PER_SCAN_UNIT = 0.05  # the data set's own estimate; the chamfer distance scales the mesh to it
SCAN_KEYPOINTS = (6069, 4600, 1527, 7932, 3591, 3060, 6152)
"""Vertices of the scan at NoW's seven points, looked up once under MediaPipe's points in its frontal view."""
FACE_RADIUS = 0.08
"""Metres about the base of the nose within which a face is compared: as NoW crops its scans, a little tighter (there
about 0.09), so that no mesh that ends at forehead and chin is blown up to cover more."""
NOSE_BASE = 33  # iBUG-68
ZOOM_CENTIMETRES = (15, 30, 45, 60)
STILL_SPEED = 0.1
"""Inter-ocular distances per second (9 mm/s) below which a face counts as still; speech is several times faster."""
SHORTEST_STILL = 8  # frames
STABILITY_RESOLUTION = 0.01  # pixels, far below what any tracker resolves

QUICK = {"photos": 4, "scan": 3, "clips": 2}
Task = tuple[tuple[str, ...], Callable[[], dict[str, Any]]]


@dataclass(frozen=True)
class RealData:
    """The development data: ``clips/``, ``photos/``, ``scan/`` under ``folder``; ``quick`` takes a few of each."""

    folder: Path
    quick: bool
    cache: Path

    def tasks(self, trackers: Sequence[Tracker]) -> dict[str, list[Task]]:
        """For each kind of data, keys and the work that makes their records. Absent kinds are left out."""
        found = {"photos": self._photos, "scan": self._scan, "zoom": self._zoom, "clips": self._clips}
        return {kind: tasks for kind, list_tasks in found.items() if (tasks := list(list_tasks(trackers)))}

    def _some(self, kind: str, items: Sequence[Any]) -> Sequence[Any]:
        return items[: QUICK[kind]] if self.quick else items

    def _photos(self, trackers: Sequence[Tracker]) -> Iterator[Task]:
        photos = self.folder / "photos"
        if not (photos / "landmarks_frl189.npz").is_file():
            return
        annotated = read_annotation(photos)
        test = [name for name in annotated.points if split_of_photo(photos / name) == "test"]
        for name in self._some("photos", sorted(test)):
            for tracker in able(trackers, photos / name, single_image=True):
                yield ("photos", tracker.name, name), _bound(photo_record, tracker, photos / name, annotated, name)

    def _scan(self, trackers: Sequence[Tracker]) -> Iterator[Task]:
        folder = self.folder / "scan" / "lee_perry_smith"
        if not (folder / "cameras.json").is_file():
            return
        scan = read_scan(folder)
        for camera in self._some("scan", scan.cameras):
            for tracker in able(trackers, folder / camera["image"], single_image=True):
                yield ("scan", tracker.name, camera["image"]), _bound(scan_record, tracker, folder, scan, camera)

    def _zoom(self, trackers: Sequence[Tracker]) -> Iterator[Task]:
        for distance in ZOOM_CENTIMETRES:
            path = self.folder / "photos" / "zoom" / f"{distance}cm.jpg"
            if path.is_file():
                for tracker in able(trackers, path, single_image=True):
                    if tracker.metrical:
                        yield ("zoom", tracker.name, path.name), _bound(zoom_record, tracker, path, distance)

    def _clips(self, trackers: Sequence[Tracker]) -> Iterator[Task]:
        files = sorted(p for p in (self.folder / "clips").glob("*.*") if p.suffix in (".mpg", ".mp4", ".mkv"))
        for clip in self._some("clips", [p for p in files if split_of_clip(p) == "test"]):
            for tracker in able(trackers, clip, single_image=False):
                yield ("clips", tracker.name, clip.name), _bound(clip_record, tracker, clip, self.cache)


def able(trackers: Sequence[Tracker], clip: Path, *, single_image: bool) -> list[Tracker]:
    """The trackers that can do a clip by a protocol, or have a result of it."""
    return [
        t
        for t in trackers
        if (t.single_image or not single_image)
        and (not isinstance(t, ResultsFolder) or t.has(clip, single_image=single_image))
    ]


def _bound(function: Callable[..., dict[str, Any]], *values: Any) -> Callable[[], dict[str, Any]]:
    return lambda: function(*values)


@dataclass(frozen=True, eq=False)
class Annotation:
    """Points (189,2) in pixels of each photograph, and which iBUG-68 points they stand for."""

    points: dict[str, F64]
    approximate: dict[int, int]  # iBUG-68 → FRL-189
    strict: tuple[int, ...]  # iBUG-68 points that both templates define alike
    pupils: tuple[int, int]  # image left (the subject's right) first


def read_annotation(photos: Path) -> Annotation:
    """The 189-point annotation of ``photos``. Raises UserError ``bad_file`` or ``file_missing``."""
    try:
        told = json.loads((photos / "frl189_definition.json").read_text(encoding="utf-8"))
        with np.load(photos / "landmarks_frl189.npz", allow_pickle=False) as data:  # names are texts
            points = {str(n): p.astype(np.float64) for n, p in zip(data["image"], data["points"], strict=True)}
        return Annotation(
            points={name: p for name, p in points.items() if (photos / name).is_file()},
            approximate={int(k): int(v) for k, v in told["ibug68_from_frl189_approx"].items()},
            strict=tuple(told["ibug68_strict"]),
            pupils=(told["pupils"][0], told["pupils"][1]),
        )
    except (OSError, ValueError, KeyError) as error:
        raise UserError("bad_file", f"The annotation in {photos} cannot be read: {error}.") from error


def landmarks_px(mesh: MeshSequence) -> F64:
    """(T,68,2) image positions of a mesh's iBUG-68 points. Raises ValueError where it does not know them."""
    seen = landmarks_camera(mesh)
    return seen[..., :2] / seen[..., 2:] * mesh.focal_px[:, None, None] + mesh.principal_point


def landmarks_camera(mesh: MeshSequence) -> F64:
    """(T,68,3) camera-space positions of a mesh's iBUG-68 points. Raises ValueError where it does not know them."""
    if mesh.landmarks68 is None:
        raise ValueError("the mesh does not know its 68 landmarks")
    triangle, barycentric = mesh.landmarks68
    corners = mesh.vertices[:, mesh.triangles[triangle]].astype(np.float64)
    return np.einsum("nk,tnkc->tnc", barycentric, corners)


def _track(tracker: Tracker, clip: Path, *, single_image: bool) -> MeshSequence | None:
    """The tracker's mesh, or None where it finds no face at all."""
    try:
        mesh = tracker.track(clip, single_image=single_image)
    except UserError as error:
        if error.code == "no_face":
            return None
        raise
    return mesh


def photo_record(tracker: Tracker, path: Path, annotated: Annotation, name: str) -> dict[str, Any]:
    """Landmark errors on one photograph, per cent of the annotated distance between the outer eye corners."""
    record: dict[str, Any] = {"tracker": tracker.name, "photo": name, "lost": True}
    mesh = _track(tracker, path, single_image=True)
    if mesh is None or mesh.landmarks68 is None:
        return record
    true = annotated.points[name]
    index = annotated.approximate
    corners = [true[index[i]] for i in OUTER_EYE_CORNERS]
    unit = 100 / float(np.linalg.norm(corners[0] - corners[1]))
    found = landmarks_px(mesh)[0]
    error = {i: float(np.linalg.norm(found[i] - true[j])) * unit for i, j in index.items()}
    record |= {
        "lost": False,
        "nme_strict": float(np.mean([error[i] for i in annotated.strict])),
        "nme_approx": float(np.mean(list(error.values()))),
        "landmark_errors": error,
    }
    pupils = tracker.pupils(mesh)
    if pupils is not None:
        record["pupil_error"] = float(np.linalg.norm(pupils[0] - true[list(annotated.pupils)], axis=-1).mean()) * unit
    return record


@dataclass(frozen=True, eq=False)
class Scan:
    """A head scan, metres, with its calibrated views."""

    vertices: F64
    triangles: NDArray[np.int32]
    face: NDArray[np.bool_]
    cameras: list[dict[str, Any]]


def read_scan(folder: Path) -> Scan:
    """The scan in ``folder``. Raises UserError ``bad_file``."""
    vertices, faces = [], []
    try:
        for line in (folder / "lee_perry_smith.obj").read_text(encoding="utf-8").splitlines():
            words = line.split()
            if words[:1] == ["v"]:
                vertices.append([float(w) for w in words[1:4]])
            elif words[:1] == ["f"]:
                faces.append([int(w.split("/")[0]) - 1 for w in words[1:4]])
        cameras = json.loads((folder / "cameras.json").read_text(encoding="utf-8"))["cameras"]
    except (OSError, ValueError, KeyError) as error:
        raise UserError("bad_file", f"The scan in {folder} cannot be read: {error}.") from error
    points = np.array(vertices) * METRES_PER_SCAN_UNIT
    nose = points[SCAN_KEYPOINTS[KEYPOINTS7.index(NOSE_BASE)]]
    triangles = np.array(faces, np.int32)
    near = np.linalg.norm(points - nose, axis=1) < FACE_RADIUS
    return Scan(points, triangles, near & seen_from_outside(points, triangles, nose), cameras)


def scan_record(tracker: Tracker, folder: Path, scan: Scan, camera: dict[str, Any]) -> dict[str, Any]:
    """Chamfer distance of the scan's face from the mesh tracked in one view, non-metrical, and the focal length."""
    view = f"{camera['azimuth_deg']:+d}/{camera['elevation_deg']:+d}"
    record: dict[str, Any] = {"tracker": tracker.name, "view": view, "lost": True}
    mesh = _track(tracker, folder / camera["image"], single_image=True)
    if mesh is None or mesh.landmarks68 is None:
        return record
    surface = MeshSurface(mesh.vertices[0], mesh.triangles)
    keypoints = landmarks_camera(mesh)[0, list(KEYPOINTS7)]
    face = scan.vertices[scan.face]
    motion = align_to_scan(surface, keypoints, face, scan.vertices[list(SCAN_KEYPOINTS)], metrical=False)
    distance = surface.closest(motion.undo(face)).distance * motion.scale * 1e3
    return record | {
        "lost": False,
        "cd_mm": float(distance.mean()),
        "cd_median_mm": float(np.median(distance)),
        "scale": motion.scale,
        "focal_ratio": float(mesh.focal_px[0]) / camera["K"][0][0],
    }


def zoom_record(tracker: Tracker, path: Path, centimetres: int) -> dict[str, Any]:
    """The solved distance of the face and the focal length for a photograph from a known distance."""
    record: dict[str, Any] = {"tracker": tracker.name, "photo": path.name, "true_cm": centimetres, "lost": True}
    mesh = _track(tracker, path, single_image=True)
    if mesh is None or mesh.landmarks68 is None:
        return record
    return record | {
        "lost": False,
        "depth_cm": float(landmarks_camera(mesh)[0, 17:, 2].mean()) * 100,
        "focal_in_sides": float(mesh.focal_px[0]) / max(mesh.image_size),
    }


def add_rank_correlation(records: Sequence[dict[str, Any]]) -> None:
    """Give each record of ``zoom_record`` its tracker's Spearman correlation of solved depth with true distance."""
    for tracker in {r["tracker"] for r in records}:
        mine = [r for r in records if r["tracker"] == tracker]
        seen = [r for r in mine if r.get("depth_cm") is not None]
        rank = None
        if len(seen) > 2:
            rank = float(spearmanr([r["depth_cm"] for r in seen], [r["true_cm"] for r in seen]).statistic)
        for record in mine:
            record["rank_correlation"] = rank


def clip_record(tracker: Tracker, clip: Path, cache: Path) -> dict[str, Any]:
    """Lost frames of a real clip, and how much the 68 points jitter where the face holds still."""
    observed, _ = observe_clip(clip, "mediapipe", cache)
    frames = len(observed.mu)
    record: dict[str, Any] = {"tracker": tracker.name, "clip": clip.stem, "frames": frames, "lost": frames}
    mesh = _track(tracker, clip, single_image=False)
    if mesh is None or mesh.landmarks68 is None:
        return record
    if mesh.frame_count != frames:
        raise UserError("bad_results", f"{tracker.name} has {mesh.frame_count} frames of {clip.name}, not {frames}.")
    points = landmarks_px(mesh)
    unit = 100 / outer_eye_distance(observed)
    steps, still_frames = [], 0
    for stretch in still_stretches(observed):
        still_frames += len(stretch)
        steps += [
            float(np.linalg.norm(points[b] - points[a], axis=-1).mean()) * unit
            for a, b in pairwise(stretch)
            if mesh.tracked[a] and mesh.tracked[b]
        ]
    return record | {
        "lost": int(np.sum(~mesh.tracked)),
        "still_frames": still_frames,
        "stability": temporal_stability(points, mesh.tracked, resolution=STABILITY_RESOLUTION).mean,
        "jitter_percent": float(np.mean(steps)) if steps else None,
    }


def outer_eye_distance(observed: Observations) -> float:
    """Median distance in pixels of MediaPipe's outer eye corners over the frames that show a face."""
    eyes = observed.mu[observed.found][:, (33, 263)].astype(np.float64)
    return float(np.median(np.linalg.norm(eyes[:, 0] - eyes[:, 1], axis=-1)))


def still_stretches(observed: Observations) -> list[NDArray[np.intp]]:
    """Runs of at least ``SHORTEST_STILL`` frames in which no part of the face moves faster than ``STILL_SPEED``.

    Speeds are those of the aligner's points under a Gaussian of 3 frames, so that jitter itself is not taken for
    motion; the fastest tenth of the points decides.
    """
    smooth = gaussian_filter1d(observed.mu.astype(np.float64), 3.0, axis=0)
    speed = np.linalg.norm(np.gradient(smooth, axis=0), axis=-1) * observed.frame_rate / outer_eye_distance(observed)
    still = observed.found & (np.percentile(speed, 90, axis=1) < STILL_SPEED)
    numbered, count = label(still)
    runs = [np.flatnonzero(numbered == k + 1) for k in range(count)]
    return [run for run in runs if len(run) >= SHORTEST_STILL]
