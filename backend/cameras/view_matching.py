"""Which of a calibration's cameras saw which view, told by names. Pure.

A calibration names cameras as somebody called them, or by the pictures they took: then there may be many of each.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from backend.cameras.named import NamedCamera
from protocol.messages import CameraSpec

LONGEST_END = 8
"""Parts of a path that are compared, from its end."""
SAME_ANGLE, SAME_PLACE, SAME_FOCAL = np.deg2rad(0.5), 0.01, 0.02
"""How far pictures of a camera that stands still may differ, as they do where each was solved for: by angle, by the
share of the distance between cameras, and by the share of the focal length."""

Found = list[NamedCamera | None]


@dataclass(frozen=True)
class Series:
    """Pictures of one camera: those of a folder whose names differ in their last number only."""

    cameras: tuple[NamedCamera, ...]
    still: bool


def series_of(cameras: Iterable[NamedCamera]) -> dict[str, Series]:
    """The series among the cameras that are named by pictures, by folder and the part of the name before the number."""
    cameras = tuple(cameras)
    grouped: dict[str, list[NamedCamera]] = defaultdict(list)
    for camera in cameras:
        if camera.picture:
            grouped[series_name(camera.name)].append(camera)
    extent = _extent(cameras)
    return {
        name: Series(tuple(group), all(_alike(c, group[0], extent) for c in group)) for name, group in grouped.items()
    }


def series_name(path: str) -> str:
    """``cam0`` for cam0/0001.png, ``left`` for left_0001.png, ``cam0/left`` for cam0/left_0001.png."""
    folder, stem = "/".join(_parts(path)[:-1]), stem_of(path)
    found = re.fullmatch(r"([^0-9]*)[0-9]+(.*)", stem[::-1])
    head = stem if found is None else found[2][::-1].rstrip("._- ") + found[1][::-1]
    return "/".join(part for part in (folder, head) if part)


def by_path_end(cameras: Iterable[NamedCamera], paths: Sequence[str]) -> Found:
    """The camera of each path whose name is the longest end of it; None where there is none, or several."""
    cameras = tuple(cameras)
    found: Found = [None] * len(paths)
    for spell in (base_of, stem_of):
        ends: dict[str, list[NamedCamera]] = defaultdict(list)
        for camera in cameras:
            for end in _ends(camera.name, spell):
                ends[end].append(camera)
        for index, path in enumerate(paths):
            if found[index] is None:
                hits = next((ends[end] for end in _ends(path, spell) if end in ends), [])
                found[index] = hits[0] if len(hits) == 1 else None
    return found


def by_name(cameras: Iterable[NamedCamera], views: Sequence[tuple[str, str]]) -> tuple[Found, Found]:
    """The camera of each view (footage path, name), complete or empty; and the best there is where it is not complete.

    They belong together by file name, by its stem with or without the number at its end, by the view's name, or by the
    folder the footage lies in.
    """
    indices = [_index(cameras, spell) for spell in (base_of, stem_of, folder_of)]
    best: Found = []
    for keys in zip(*(_keys(path, name) for path, name in views), strict=True):
        found = [_find(indices, key) for key in keys]
        present = [camera.name for camera in found if camera is not None]
        if len(set(present)) == len(views):
            return found, []
        if present and len(set(present)) == len(present):
            best = best or found
    return [], best


def base_of(path: str) -> str:
    """The last part of a path of any system, without regard to case."""
    return PurePosixPath(path.replace("\\", "/")).name.casefold()


def stem_of(path: str) -> str:
    """The last part of a path without its suffix."""
    return re.sub(r"\.[a-z0-9]{1,5}$", "", base_of(path))


def folder_of(path: str) -> str:
    """The name of the folder that a path lies in."""
    return PurePosixPath(path.replace("\\", "/")).parent.name.casefold()


def _keys(path: str, name: str) -> tuple[str, ...]:
    """The names that a view's camera may have, likeliest first; every view gets as many."""
    stem = stem_of(path)
    return base_of(path), stem, base_of(name), stem.rstrip("0123456789").rstrip("._- "), folder_of(path)


def _index(cameras: Iterable[NamedCamera], spell: Callable[[str], str]) -> Mapping[str, list[NamedCamera]]:
    index: dict[str, list[NamedCamera]] = defaultdict(list)
    for camera in cameras:
        index[spell(camera.name)].append(camera)
    return index


def _find(indices: Sequence[Mapping[str, list[NamedCamera]]], wanted: str) -> NamedCamera | None:
    """The camera called ``wanted``, with or without folder and suffix; None where none or several are."""
    if not wanted:
        return None
    return next((index[wanted][0] for index in indices if len(index.get(wanted, ())) == 1), None)


def _parts(path: str) -> list[str]:
    return [part for part in PurePosixPath(path.replace("\\", "/").casefold()).parts if part not in ("/", ".", "..")]


def _ends(path: str, spell: Callable[[str], str]) -> list[str]:
    """The ends of a path, longest first."""
    parts = [*_parts(path)[:-1][-LONGEST_END + 1 :], spell(path)]
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _pose(spec: CameraSpec) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float64]], ...] | None:
    """Rotation (3,3) and the place (3,) in the world."""
    if spec.world_to_camera is None:
        return None
    matrix = np.reshape(np.array(spec.world_to_camera), (3, 4))
    return matrix[:, :3], -matrix[:, :3].T @ matrix[:, 3]


def _extent(cameras: Sequence[NamedCamera]) -> float:
    """The largest distance of a camera from their middle."""
    places = np.array([pose[1] for camera in cameras if (pose := _pose(camera.spec)) is not None]).reshape(-1, 3)
    return float(np.linalg.norm(places - places.mean(axis=0), axis=1).max()) if len(places) else 0.0


def _alike(one: NamedCamera, other: NamedCamera, extent: float) -> bool:
    a, b = one.spec, other.spec
    if (a.image_size, a.distortion_model) != (b.image_size, b.distortion_model):
        return False
    focal_a, focal_b = a.focal_px or 1.0, b.focal_px or 1.0
    if abs(focal_a - focal_b) > SAME_FOCAL * focal_b:
        return False
    pose_a, pose_b = _pose(a), _pose(b)
    if pose_a is None or pose_b is None:
        return pose_a is pose_b
    cosine = (np.trace(pose_a[0] @ pose_b[0].T) - 1) / 2
    apart = np.linalg.norm(pose_a[1] - pose_b[1])
    return bool(cosine >= np.cos(SAME_ANGLE) - 1e-12 and apart <= SAME_PLACE * extent + 1e-12)
