"""Real photographs, a head scan and clips: what can be known of a tracker where nothing was rendered.

Only people of the split being measured are looked at (``splits.toml``); training people stand in for ``dev``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, label

from backend.datasets.splits import Split, split_of_clip, split_of_photo, split_of_scan
from backend.errors import ErrorCode, UserError
from backend.evaluation.mesh_landmarks import OUTER_EYE_CORNERS, landmarks_camera, landmarks_px
from backend.evaluation.metrics.landmarks import INNER_51, boundary_error, jaw_line, overall_error, silhouette_edges
from backend.evaluation.metrics.stability import temporal_stability
from backend.evaluation.rig import joint_record
from backend.evaluation.scan import Scan, read_scan, scan_record
from backend.evaluation.trackers.flowface import observe_clip, track_or_none
from backend.evaluation.trackers.results_folder import ResultsFolder
from backend.evaluation.trackers.types import Tracker, ViewsTracker
from backend.files import read_npz
from backend.observations import ViewAlignment
from backend.reading import MAX_REPORT_BYTES, read_json

F64 = NDArray[np.float64]

JAW_FRL189 = tuple(range(125, 134))
"""The annotated points along the jaw, from below one ear over the chin to below the other: seeds/004's boundary."""
ZOOM_CENTIMETRES = (15, 30, 45, 60)
STILL_SPEED = 0.1
"""Inter-ocular distances per second (9 mm/s) below which a face counts as still; speech is several times faster."""
SHORTEST_STILL = 8  # frames
STABILITY_RESOLUTION = 0.01  # pixels, far below what any tracker resolves

SCAN = "lee_perry_smith"
QUICK = {"photos": 4, "scan": 3, "clips": 2}
Task = tuple[tuple[str, ...], Callable[[], dict[str, Any]]]


@dataclass(frozen=True)
class RealData:
    """The development data: ``clips/``, ``photos/``, ``scan/`` under ``folder``; ``quick`` takes a few of each."""

    folder: Path
    quick: bool
    cache: Path
    split: Split = "test"

    def tasks(self, trackers: Sequence[Tracker]) -> dict[str, list[Task]]:
        """For each kind of data, keys and the work that makes their records. Absent kinds are left out."""
        found = {
            "photos": self._photos,
            "scan": self._scan,
            "scan_jointly": self._scan_jointly,
            "zoom": self._zoom,
            "clips": self._clips,
        }
        return {kind: tasks for kind, list_tasks in found.items() if (tasks := list(list_tasks(trackers)))}

    def measures(self, split: Split) -> bool:
        """True where people of ``split`` are looked at: those of ``test`` alone, or none of them."""
        return (split == "test") == (self.split == "test")

    def _some(self, kind: str, items: Sequence[Any]) -> Sequence[Any]:
        return items[: QUICK[kind]] if self.quick else items

    def _photos(self, trackers: Sequence[Tracker]) -> Iterator[Task]:
        photos = self.folder / "photos"
        if not (photos / "landmarks_frl189.npz").is_file():
            return
        annotated = read_annotation(photos)
        chosen = [name for name in annotated.points if self.measures(split_of_photo(photos / name))]
        for name in self._some("photos", sorted(chosen)):
            for tracker in able(trackers, photos / name, single_image=True):
                yield ("photos", tracker.name, name), _bound(photo_record, tracker, photos / name, annotated, name)

    def _read_scan(self) -> tuple[Path, Scan] | None:
        folder = self.folder / "scan" / SCAN
        if not self.measures(split_of_scan(SCAN)) or not (folder / "cameras.json").is_file():
            return None
        scan = read_scan(folder)
        return folder, replace(scan, cameras=list(self._some("scan", scan.cameras)))

    def _scan(self, trackers: Sequence[Tracker]) -> Iterator[Task]:
        if (found := self._read_scan()) is None:
            return
        folder, scan = found
        for camera in scan.cameras:
            for tracker in able(trackers, folder / camera["image"], single_image=True):
                yield ("scan", tracker.name, camera["image"]), _bound(scan_record, tracker, folder, scan, camera)

    def _scan_jointly(self, trackers: Sequence[Tracker]) -> Iterator[Task]:
        if (found := self._read_scan()) is None:
            return
        folder, scan = found
        views, rig = str(len(scan.cameras)), scan.rig(folder)
        for tracker in trackers:
            if isinstance(tracker, ViewsTracker):
                for variant in tracker.variants:
                    work = _bound(joint_record, tracker, rig, variant)
                    yield ("scan_jointly", tracker.name, variant, views), work

    def _zoom(self, trackers: Sequence[Tracker]) -> Iterator[Task]:
        for distance in ZOOM_CENTIMETRES:
            path = self.folder / "photos" / "zoom" / f"{distance}cm.jpg"
            if path.is_file() and self.measures(split_of_photo(path)):
                for tracker in able(trackers, path, single_image=True):
                    if tracker.metrical:
                        yield ("zoom", tracker.name, path.name), _bound(zoom_record, tracker, path, distance)

    def _clips(self, trackers: Sequence[Tracker]) -> Iterator[Task]:
        files = sorted(p for p in (self.folder / "clips").glob("*.*") if p.suffix in (".mpg", ".mp4", ".mkv"))
        for clip in self._some("clips", [p for p in files if self.measures(split_of_clip(p))]):
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
        told = read_json(photos / "frl189_definition.json", "annotation", MAX_REPORT_BYTES)
        data = read_npz(photos / "landmarks_frl189.npz", "annotation", texts=True)
        points = {str(n): p.astype(np.float64) for n, p in zip(data["image"], data["points"], strict=True)}
        return Annotation(
            points={name: p for name, p in points.items() if (photos / name).is_file()},
            approximate={int(k): int(v) for k, v in told["ibug68_from_frl189_approx"].items()},
            strict=tuple(told["ibug68_strict"]),
            pupils=(told["pupils"][0], told["pupils"][1]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(ErrorCode.BAD_FILE, f"The annotation in {photos} cannot be read: {error}.") from error


def photo_record(tracker: Tracker, path: Path, annotated: Annotation, name: str) -> dict[str, Any]:
    """Landmark errors on one photograph, per cent of the annotated distance between the outer eye corners."""
    record: dict[str, Any] = {"tracker": tracker.name, "photo": name, "lost": True}
    mesh = track_or_none(tracker, path, single_image=True)
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
        "nme_inner": float(np.mean([error[i] for i in error if i in INNER_51])),
        "landmark_errors": error,
    }
    silhouette = silhouette_edges(
        mesh.vertices[0],
        mesh.triangles,
        focal_px=float(mesh.focal_px[0]),
        principal_point=mesh.principal_point,
        allowed=tracker.outline(mesh),
    )
    outline = np.concatenate([silhouette, jaw_line(found)])  # the photographs are frontal: all of the jaw is seen
    record["boundary_error"] = boundary_error(true[list(JAW_FRL189)], outline, 100 / unit) * 100
    record["nme_overall"] = float(overall_error(np.array(record["nme_inner"]), np.array(record["boundary_error"])))
    pupils = tracker.pupils(mesh)
    if pupils is not None:
        record["pupil_error"] = float(np.linalg.norm(pupils[0] - true[list(annotated.pupils)], axis=-1).mean()) * unit
    return record


def zoom_record(tracker: Tracker, path: Path, centimetres: int) -> dict[str, Any]:
    """The solved distance of the face and the focal length for a photograph from a known distance."""
    record: dict[str, Any] = {"tracker": tracker.name, "photo": path.name, "true_cm": centimetres, "lost": True}
    mesh = track_or_none(tracker, path, single_image=True)
    if mesh is None or mesh.landmarks68 is None:
        return record
    return record | {
        "lost": False,
        "depth_cm": float(landmarks_camera(mesh)[0, 17:, 2].mean()) * 100,
        "focal_in_sides": float(mesh.focal_px[0]) / max(mesh.image_size),
    }


def add_rank_correlation(records: Sequence[dict[str, Any]]) -> None:
    """Give each record of ``zoom_record`` its tracker's Spearman correlation of solved depth with true distance."""
    from scipy.stats import spearmanr  # half a second of a core, which only who measures pays

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
    observed = observe_clip(clip, "mediapipe", cache)
    frames = observed.frame_count
    record: dict[str, Any] = {"tracker": tracker.name, "clip": clip.stem, "frames": frames, "lost": frames}
    mesh = track_or_none(tracker, clip, single_image=False)
    if mesh is None or mesh.landmarks68 is None:
        return record
    if mesh.frame_count != frames:
        raise UserError(
            ErrorCode.BAD_RESULTS, f"{tracker.name} has {mesh.frame_count} frames of {clip.name}, not {frames}."
        )
    points = landmarks_px(mesh)
    unit = 100 / outer_eye_distance(observed)
    steps, still_frames = [], 0
    for frame_range in still_ranges(observed):
        still_frames += len(frame_range)
        steps += [
            float(np.linalg.norm(points[b] - points[a], axis=-1).mean()) * unit
            for a, b in pairwise(frame_range)
            if mesh.tracked[a] and mesh.tracked[b]
        ]
    return record | {
        "lost": int(np.sum(~mesh.tracked)),
        "still_frames": still_frames,
        "stability": temporal_stability(points, mesh.tracked, resolution=STABILITY_RESOLUTION).mean,
        "jitter_percent": float(np.mean(steps)) if steps else None,
    }


def outer_eye_distance(observed: ViewAlignment) -> float:
    """Median distance in pixels of MediaPipe's outer eye corners over the frames that show a face."""
    eyes = observed.mu[observed.tells_pose][:, (33, 263)].astype(np.float64)
    return float(np.median(np.linalg.norm(eyes[:, 0] - eyes[:, 1], axis=-1)))


def still_ranges(observed: ViewAlignment) -> list[NDArray[np.intp]]:
    """Runs of at least ``SHORTEST_STILL`` frames in which no part of the face moves faster than ``STILL_SPEED``.

    Speeds are those of the aligner's points under a Gaussian of 3 frames, so that jitter itself is not taken for
    motion; the fastest tenth of the points decides.
    """
    smooth = gaussian_filter1d(observed.mu.astype(np.float64), 3.0, axis=0)
    speed = np.linalg.norm(np.gradient(smooth, axis=0), axis=-1) * observed.frame_rate / outer_eye_distance(observed)
    still = observed.tells_pose & (np.percentile(speed, 90, axis=1) < STILL_SPEED)
    numbered, count = label(still)
    runs = [np.flatnonzero(numbered == k + 1) for k in range(count)]
    return [run for run in runs if len(run) >= SHORTEST_STILL]
