"""FaceScape's benchmark as it is downloaded: the folder ``benchmark`` of its repository, with the data in it.

::

    FOLDER/data/lab_gt_mesh/NN.obj          20 heads; the distance of their pupils is 1
    FOLDER/data/lab_cam/NN_F_VV.json        [K (3,3), Rt (3,4)]: focal length F (0…2), view VV (0…10); of 256² pictures
    FOLDER/data/wild_gt_mesh/NNN.obj        400 heads where an orthographic camera sees them, x and y from −1 to 1
    FOLDER/data/lab…/NN_F_VV.jpg, wild…/NNN.jpg     the pictures, or those of --pictures
    FOLDER/code/predef/lab_head_centers.npy (3,3), lab_rotations.npy (11,3,3),
        wild_head_centers.npy (400,3), wild_rotations.npy (400,3,3), wild_pupil_scales.npy (400,)

Source: ``evaluator.py`` of github.com/zhuhao-nju/facescape, benchmark/code. It does not read the pictures, so their
folder's name is not told there.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.evaluation.challenges.layout import refuse_missing, require_folder
from backend.footage import IMAGE_SUFFIXES
from backend.reading import is_file, is_folder, read_bounded, read_json, shown

F64 = NDArray[np.float64]

SETS = ("lab", "wild")
WHOLE = {"lab": 660, "wild": 400}
"""Pictures of each set."""
PREDEFINED = {
    "lab_head_centers": (3, 3),
    "lab_rotations": (11, 3, 3),
    "wild_head_centers": (400, 3),
    "wild_rotations": (400, 3, 3),
    "wild_pupil_scales": (400,),
}
PUPILS_MM = (64.0 + 61.7) / 2
"""The distance of the pupils that all heads are scaled to: the mean of men and women (``evaluator.py``)."""
MAX_CAMERA_BYTES, MAX_ARRAY_BYTES = 1 << 20, 1 << 20
HINT = (
    "See backend/evaluation/challenges/facescape/layout.py for the layout; FOLDER is “benchmark” of "
    "github.com/zhuhao-nju/facescape, with the data that its README says how to download."
)


@dataclass(frozen=True, eq=False)
class FaceScapePicture:
    """One picture, and how its true head stands.

    ``camera`` is the file of the laboratory set's camera, None in the wild one. ``rotation (3,3)`` and ``centre (3,)``
    are the head's in camera space: in millimetres, or in the wild set before ``scale``, which makes the true mesh
    millimetres. ``facing`` is what the tables tell apart: degrees from the front; ``focal`` the laboratory's index.
    """

    name: str
    picture: Path
    mesh: Path
    camera: Path | None
    rotation: F64
    centre: F64
    scale: float
    facing: str
    focal: int = 0


def read_layout(folder: Path, which: str, pictures: Path | None = None) -> list[FaceScapePicture]:
    """All pictures of a set ("lab" or "wild"), in the benchmark's order; those that are in ``pictures``, if any.

    A set may be there in part: what its cameras (its meshes, in the wild) name. Raises UserError: ``bad_split``;
    ``challenge_layout`` naming all files that are missing; ``bad_file`` for arrays of another shape.
    """
    if which not in SETS:
        raise UserError(
            ErrorCode.BAD_SPLIT, f"FaceScape's benchmark has no set “{which}”; there are {', '.join(SETS)}."
        )
    require_folder(folder, "FaceScape")
    data = folder / "data" if is_folder(folder / "data") else folder
    predefined = {name: folder / "code" / "predef" / f"{name}.npy" for name in PREDEFINED if name.startswith(which)}
    needed = ["lab_cam", "lab_gt_mesh"] if which == "lab" else ["wild_gt_mesh"]
    missing = [data / name for name in needed if not is_folder(data / name)]
    refuse_missing(folder, "FaceScape", [*missing, *(p for p in predefined.values() if not is_file(p))], HINT)
    arrays = {name: _array(path, PREDEFINED[name]) for name, path in predefined.items()}
    places = [pictures] if pictures is not None else _picture_folders(data, which)
    found = _lab(data, arrays, places) if which == "lab" else _wild(data, arrays, places)
    if not found:
        refuse_missing(folder, "FaceScape", [f"{needed[0]}/*"], HINT)
    lost = [path for entry in found for path in (entry.mesh, entry.picture) if not is_file(path)]
    refuse_missing(folder, "FaceScape", lost, HINT)
    return found


def _lab(data: Path, arrays: dict[str, F64], places: Sequence[Path]) -> list[FaceScapePicture]:
    found = []
    for camera in sorted((data / "lab_cam").glob("*.json")):
        match = re.fullmatch(r"(\d\d)_([0-2])_(\d\d)", camera.stem)
        if match is None or int(match[3]) > 10:
            continue
        focal, view = int(match[2]), int(match[3])
        found.append(
            FaceScapePicture(
                name=camera.stem,
                picture=_picture(camera.stem, places),
                mesh=data / "lab_gt_mesh" / f"{match[1]}.obj",
                camera=camera,
                rotation=arrays["lab_rotations"][view],
                centre=arrays["lab_head_centers"][focal],
                scale=PUPILS_MM,
                facing="0" if view == 0 else "30" if view < 9 else "60",
                focal=focal,
            )
        )
    return found


def _wild(data: Path, arrays: dict[str, F64], places: Sequence[Path]) -> list[FaceScapePicture]:
    found = []
    for mesh in sorted((data / "wild_gt_mesh").glob("*.obj")):
        if re.fullmatch(r"\d\d\d", mesh.stem) is None or int(mesh.stem) >= WHOLE["wild"]:
            continue
        number = int(mesh.stem)
        found.append(
            FaceScapePicture(
                name=mesh.stem,
                picture=_picture(mesh.stem, places),
                mesh=mesh,
                camera=None,
                rotation=arrays["wild_rotations"][number],
                centre=arrays["wild_head_centers"][number] * arrays["wild_pupil_scales"][number],
                scale=float(arrays["wild_pupil_scales"][number]),
                facing=("0 to 5", "5 to 30", "30 to 60", "60 to 90")[number // 100],
            )
        )
    return found


def _picture_folders(data: Path, which: str) -> list[Path]:
    """Folders of the data that may hold a set's pictures."""
    folders = [path for path in sorted(data.iterdir()) if is_folder(path) and path.name.startswith(which)]
    return [path for path in folders if path.name not in (f"{which}_gt_mesh", f"{which}_cam")] or [
        data / f"{which}_img"
    ]


def _picture(name: str, places: Iterable[Path]) -> Path:
    """A picture of any kind; where there is none, the name it might have."""
    candidates = [place / f"{name}{suffix}" for place in places for suffix in (".jpg", ".png", *sorted(IMAGE_SUFFIXES))]
    return next((path for path in candidates if is_file(path)), candidates[0])


def _array(path: Path, shape: tuple[int, ...]) -> F64:
    try:
        found: Any = np.load(io.BytesIO(read_bounded(path, "array", MAX_ARRAY_BYTES)), allow_pickle=False)
        right = found.shape == shape and found.dtype.kind == "f" and bool(np.isfinite(found).all())
    except (ValueError, EOFError, OSError, AttributeError):
        right = False
    if not right:
        wanted = " × ".join(map(str, shape))
        raise UserError(ErrorCode.BAD_FILE, f"{shown(path)} does not hold the {wanted} numbers that it should.", HINT)
    return np.asarray(found, np.float64)


def read_camera(path: Path) -> tuple[F64, F64]:
    """K (3,3), pixels of a 256² picture, and [R | t] (3,4), t in millimetres, of a laboratory picture.

    Raises UserError ``bad_file``.
    """
    told = read_json(path, "camera", MAX_CAMERA_BYTES)
    try:
        intrinsic, extrinsic = (np.array(part, np.float64) for part in told[:2])
    except (TypeError, ValueError, KeyError):
        intrinsic = extrinsic = np.zeros(0)
    shapes = intrinsic.shape == (3, 3) and extrinsic.shape == (3, 4)
    if not shapes or not np.isfinite([*intrinsic.flat, *extrinsic.flat]).all() or intrinsic[0, 0] <= 0:
        raise UserError(ErrorCode.BAD_FILE, f"{shown(path)} is no camera: expected [K (3,3), Rt (3,4)].", HINT)
    if abs(intrinsic[1, 1] / intrinsic[0, 0] - 1) > 0.01:
        raise UserError(ErrorCode.BAD_FILE, f"{shown(path)} has pixels that are not square; K is not understood.", HINT)
    return intrinsic, np.concatenate([extrinsic[:, :3], extrinsic[:, 3:] * PUPILS_MM], axis=1)
