"""Other trackers' results, dropped in as a folder of meshes and cameras: ``flowface evaluate --results NAME=FOLDER``.

The folder holds one folder per clip, named as the clip is in the table (``results.json`` lists them; a real clip or
photograph is its file's name without the ending), and in it one per protocol, ``single`` or ``sequence``::

    FOLDER/CLIP/sequence/meta.json
    FOLDER/CLIP/sequence/mesh.npz
    FOLDER/CLIP/sequence/frame_00000.npz …

A protocol or a clip that is not there is left out of the table. ``meta.json``::

    {"format": "flowface-meshes", "version": 1,
     "image_size": [512, 512],            width and height of the clip in pixels
     "frame_rate": 25.0,
     "frame_count": 90,                   of the clip; frames count from 0
     "principal_point": [256.0, 256.0],   pixels; (0, 0) is the top-left corner of the image
     "metrical": true,                    whether the meshes are in true metres (chamfer distance without scaling)
     "without": ["ears"]}                 regions that the mesh does not have; may be left out

``mesh.npz`` holds ``triangles (F,3)`` integers, counter-clockwise seen from outside, and may hold ``neutral (V,3)``
metres, and ``landmark_triangle (68,)`` with ``landmark_barycentric (68,3)``: the iBUG-68 points on the mesh.

``frame_%05d.npz`` holds ``vertices (V,3)``: metres in the camera's space (x right, y down, z forward), and
``focal_px``, a number. A vertex is seen at ``focal_px · (x, y) / z + principal_point``. A frame without a file is one
in which the tracker found nothing. Trackers with weak perspective choose a large focal length and put their mesh far
away.

``save_meshes`` writes such a folder. Archives are read without pickles.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.evaluation.store import EVERYTHING
from backend.evaluation.types import MeshSequence
from backend.files import read_npz, write_atomic, write_npz
from backend.reading import FileFault, parse_json, read_ordinary

FORMAT = "flowface-meshes"
VERSION = 1
SINGLE, SEQUENCE = "single", "sequence"
MAX_FRAMES = 1_000_000
MAX_VERTICES = 2_000_000
MAX_TOTAL_BYTES = 8 << 30
MAX_META_BYTES = 1 << 20


def clip_name(clip: Path) -> str:
    """A clip's name in tables and results folders: its file's name, or its folder's for a benchmark's clip."""
    return clip.parent.name if clip.name == "clip.mp4" else clip.stem


@dataclass(frozen=True)
class ResultsFolder:
    """A tracker whose results lie in a folder; implements ``Tracker``."""

    name: str
    folder: Path
    single_image = True
    made_by: tuple[str, ...] = EVERYTHING

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise UserError(
                ErrorCode.RESULTS_MISSING,
                f"There is no folder {self.folder} with results of {self.name}.",
                "Give it as --results NAME=FOLDER.",
            )

    @property
    def metrical(self) -> bool:
        """True where all its results claim true metres."""
        found = sorted(self.folder.glob("*/*/meta.json"))
        return bool(found) and all(_read_meta(path).get("metrical") is True for path in found)

    @property
    def without(self) -> tuple[str, ...]:
        """Regions that any of its results says it does not have."""
        told = [_read_meta(path).get("without", []) for path in sorted(self.folder.glob("*/*/meta.json"))]
        return tuple(sorted({str(region) for regions in told if isinstance(regions, list) for region in regions}))

    def has(self, clip: Path, *, single_image: bool) -> bool:
        """True where there is a result of a clip by a protocol."""
        return (self._place(clip, single_image) / "meta.json").is_file()

    def track(self, clip: Path, *, single_image: bool) -> MeshSequence:
        """Read the result of ``clip``. Raises UserError ``results_missing`` or ``bad_results``."""
        return load_meshes(self._place(clip, single_image))

    def pupils(self, mesh: MeshSequence) -> NDArray[np.float64] | None:  # noqa: ARG002 - the format has none
        """None: the format does not name them."""
        return None

    def outline(self, mesh: MeshSequence) -> None:
        """None; see ``Tracker``."""

    def _place(self, clip: Path, single_image: bool) -> Path:
        return self.folder / clip_name(clip) / (SINGLE if single_image else SEQUENCE)


def save_meshes(mesh: MeshSequence, folder: Path, *, metrical: bool = True) -> None:
    """Write a result in the format of this module; ``folder`` is that of one clip and protocol."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, NDArray[Any]] = {"triangles": mesh.triangles}
    if mesh.neutral is not None:
        arrays["neutral"] = mesh.neutral
    if mesh.landmarks68 is not None:
        arrays["landmark_triangle"], arrays["landmark_barycentric"] = mesh.landmarks68
    write_npz(folder / "mesh.npz", arrays)
    for t in range(mesh.frame_count):
        path = folder / f"frame_{t:05d}.npz"
        if mesh.tracked[t]:
            write_npz(path, {"vertices": mesh.vertices[t], "focal_px": np.array(mesh.focal_px[t])})
        else:
            path.unlink(missing_ok=True)
    meta = {
        "format": FORMAT,
        "version": VERSION,
        "image_size": list(mesh.image_size),
        "frame_rate": mesh.frame_rate,
        "frame_count": mesh.frame_count,
        "principal_point": [float(x) for x in mesh.principal_point],
        "metrical": metrical,
    }
    write_atomic(folder / "meta.json", json.dumps(meta, indent=1).encode())


def load_meshes(folder: Path) -> MeshSequence:
    """Read the result of one clip and protocol.

    Raises UserError: ``results_missing``; ``bad_results`` naming the file and the field that is not as described above.
    """
    path = folder / "meta.json"
    if not path.is_file():
        raise UserError(
            ErrorCode.RESULTS_MISSING, f"There is no {path}.", "See backend/evaluation/trackers/results_folder.py."
        )
    meta = _read_meta(path)
    width, height = _numbers(meta, "image_size", 2, path)
    centre = _numbers(meta, "principal_point", 2, path)
    (rate,) = _numbers({"frame_rate": [meta.get("frame_rate")]}, "frame_rate", 1, path)
    frames = meta.get("frame_count")
    if not isinstance(frames, int) or isinstance(frames, bool) or not 1 <= frames <= MAX_FRAMES:
        raise _bad(path, f"“frame_count” must be a whole number from 1 to {MAX_FRAMES}")
    if min(width, height, rate) <= 0:
        raise _bad(path, "“image_size” and “frame_rate” must be above 0")
    mesh = read_npz(folder / "mesh.npz", "mesh")
    vertices, focal, tracked = _read_frames(folder, frames)
    triangles = _triangles(mesh, vertices.shape[1], folder / "mesh.npz")
    neutral = mesh.get("neutral")
    if neutral is not None and neutral.shape != vertices.shape[1:]:
        raise _bad(folder / "mesh.npz", f"“neutral” is {neutral.shape}, but the frames' vertices {vertices.shape[1:]}")
    return MeshSequence(
        vertices=vertices,
        triangles=triangles,
        focal_px=focal,
        principal_point=np.array(centre),
        image_size=(int(width), int(height)),
        frame_rate=rate,
        tracked=tracked,
        neutral=None if neutral is None else neutral.astype(np.float32),
        landmarks68=_landmarks(mesh, len(triangles), folder / "mesh.npz"),
    )


def _read_frames(folder: Path, frames: int) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_]]:
    """Vertices (T,V,3), NaN where there is no file, focal lengths (T,) and which frames are there (T,)."""
    vertices: NDArray[np.float32] | None = None
    focal, tracked = np.ones(frames), np.zeros(frames, bool)
    for t in range(frames):
        path = folder / f"frame_{t:05d}.npz"
        if not path.is_file():
            continue
        data = read_npz(path, "frame")
        found, length = data.get("vertices"), data.get("focal_px")
        if found is None or found.ndim != 2 or found.shape[1] != 3 or not 3 <= len(found) <= MAX_VERTICES:
            raise _bad(path, f"“vertices” must be (V,3) numbers with 3 to {MAX_VERTICES} rows")
        if length is None or length.size != 1 or not np.isfinite(length).all() or float(length.reshape(())) <= 0:
            raise _bad(path, "“focal_px” must be one number above 0")
        if not np.isfinite(found).all() or (found[:, 2] <= 0).any():
            raise _bad(path, "every vertex must be finite and in front of the camera (z above 0)")
        if vertices is None:
            if frames * found.size * 4 > MAX_TOTAL_BYTES:
                raise _bad(path, f"{frames} such frames are more than {MAX_TOTAL_BYTES >> 30} GB")
            vertices = np.full((frames, *found.shape), np.nan, np.float32)
        if found.shape != vertices.shape[1:]:
            raise _bad(path, f"it has {len(found)} vertices and an earlier frame {vertices.shape[1]}")
        vertices[t], focal[t], tracked[t] = found, float(length.reshape(())), True
    if vertices is None:
        raise _bad(folder, f"none of its frames 0 to {frames - 1} is there (frame_00000.npz …)")
    return vertices, focal, tracked


def _triangles(mesh: dict[str, NDArray[Any]], vertices: int, path: Path) -> NDArray[np.int32]:
    found = mesh.get("triangles")
    if found is None or found.ndim != 2 or found.shape[1] != 3 or found.dtype.kind not in "iu" or not len(found):
        raise _bad(path, "“triangles” must be (F,3) whole numbers")
    if found.min() < 0 or found.max() >= vertices:
        raise _bad(path, f"“triangles” must name vertices 0 to {vertices - 1}")
    return found.astype(np.int32)


def _landmarks(
    mesh: dict[str, NDArray[Any]], triangles: int, path: Path
) -> tuple[NDArray[np.int32], NDArray[np.float32]] | None:
    triangle, weights = mesh.get("landmark_triangle"), mesh.get("landmark_barycentric")
    if triangle is None and weights is None:
        return None
    if triangle is None or triangle.shape != (68,) or triangle.dtype.kind not in "iu":
        raise _bad(path, "“landmark_triangle” must be (68,) whole numbers")
    if weights is None or weights.shape != (68, 3) or not np.isfinite(weights).all():
        raise _bad(path, "“landmark_barycentric” must be (68,3) numbers")
    if triangle.min() < 0 or triangle.max() >= triangles:
        raise _bad(path, f"“landmark_triangle” must name triangles 0 to {triangles - 1}")
    return triangle.astype(np.int32), weights.astype(np.float32)


def _read_meta(path: Path) -> dict[str, Any]:
    try:
        meta = parse_json(read_ordinary(path, MAX_META_BYTES))
    except (FileFault, ValueError) as error:
        raise _bad(path, f"it is not JSON ({error})") from error
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise _bad(path, f"“format” must be “{FORMAT}”")
    if meta.get("version") != VERSION:
        raise _bad(path, f"“version” must be {VERSION}")
    return meta


def _numbers(meta: dict[str, Any], field: str, count: int, path: Path) -> list[float]:
    values = meta.get(field)
    if (
        not isinstance(values, list)
        or len(values) != count
        or any(isinstance(v, bool) or not isinstance(v, int | float) or not math.isfinite(v) for v in values)
    ):
        wanted = "a number" if count == 1 else f"{count} numbers"
        raise _bad(path, f"“{field}” must be {wanted}")
    return [float(v) for v in values]


def _bad(path: Path, why: str) -> UserError:
    return UserError(
        ErrorCode.BAD_RESULTS,
        f"{path} cannot be used: {why}.",
        "The format is described in backend/evaluation/trackers/results_folder.py.",
    )
