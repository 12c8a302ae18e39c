"""FaceScape's multi-view pictures and scans, and its models of one topology.

As its authors document them (github.com/zhuhao-nju/facescape, doc/doc_mview_model.md and doc_tu_model.md):
``IMAGES/ID/N_name/V.jpg`` with a ``params.json`` of cameras (``V_K``, ``V_Rt``, ``V_distortion`` = k1 k2 p1 p2 k3,
``V_width``, ``V_height``, ``V_valid``), ``MESHES/ID/N_name.ply``; ``ID/models_reg/N_name.obj`` with N_name.jpg.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from backend.cameras.distortion import Lens
from backend.errors import ErrorCode, UserError
from backend.reading import is_file, is_folder, read_json, shown
from backend.training.scans.layouts.types import MAX_SIDE, Folder, Photograph, Take, folders, nothing_there

MAX_PARAMS = 16 << 20
EXPRESSIONS = 20
_EXPRESSION = re.compile(r"(\d{1,2})_[a-z_]+")
_MOST_VIEWS = 200  # about 60 there


def read_facescape(images: Path, meshes: Path) -> Folder:
    """The multi-view part: ``images`` and ``meshes`` are its two folders of people.

    A camera that ``params.json`` calls not valid is left out, as its authors tell. Raises UserError ``bad_file``.
    """
    takes, missing = list[Take](), list[str]()
    for person in folders(images):
        found = [path for path in folders(person) if _EXPRESSION.fullmatch(path.name)]
        for folder in found:
            scan = meshes / person.name / f"{folder.name}.ply"
            if not is_file(scan):
                missing.append(f"the scan {shown(scan)}")
                continue
            takes.append(_take(person.name, folder, scan, missing))
        _tell_missing(person, [path.name for path in found], missing)
    if not takes:
        expected = f"expected ID/1_neutral/params.json {_so(missing)}"
        raise nothing_there(images, "FaceScape's multi-view pictures", expected)
    return Folder(tuple(takes), None, tuple(missing))


def read_facescape_models(folder: Path) -> Folder:
    """The models of one topology: ``folder``/ID/models_reg/1_neutral.obj and so on. Raises UserError ``bad_file``."""
    takes, missing = list[Take](), list[str]()
    for person in folders(folder):
        models = person / "models_reg"
        if not is_folder(models):
            missing.append(f"the folder {shown(models)}")
            continue
        found = [path for path in sorted(models.glob("*.obj")) if _EXPRESSION.fullmatch(path.stem)]
        for scan in found:
            picture = scan.with_suffix(".jpg")
            texture = picture if is_file(picture) else None
            if texture is None:
                missing.append(f"the picture {shown(picture)}")
            takes.append(Take(person.name, scan.stem, scan, texture, neutral=_is_neutral(scan.stem)))
        _tell_missing(models, [path.stem for path in found], missing)
    if not takes:
        raise nothing_there(folder, "FaceScape's models", f"expected ID/models_reg/1_neutral.obj {_so(missing)}")
    return Folder(tuple(takes), None, tuple(missing))


def _so(missing: list[str]) -> str:
    return f"(missing: {missing[0]})" if missing else "in it"


def _is_neutral(name: str) -> bool:
    return name == "1_neutral"


def _tell_missing(where: Path, names: list[str], missing: list[str]) -> None:
    numbers = {int(name.split("_")[0]) for name in names}
    absent = sorted(set(range(1, EXPRESSIONS + 1)) - numbers)
    if absent:
        missing.append(f"of {shown(where)} the expressions {', '.join(map(str, absent))}")


def _take(person: str, folder: Path, scan: Path, missing: list[str]) -> Take:
    path = folder / "params.json"
    if not is_file(path):
        missing.append(f"the cameras {shown(path)}")
        return Take(person, folder.name, scan, neutral=_is_neutral(folder.name))
    table = read_json(path, "camera", MAX_PARAMS)
    views = [key[:-2] for key in table if key.endswith("_K")] if isinstance(table, dict) else []
    if not views or len(views) > _MOST_VIEWS:
        raise _bad(path, f"{len(views)} cameras, expected 1 to {_MOST_VIEWS}")
    kept = []
    for view in views:
        picture = folder / f"{view}.jpg"
        if not table.get(f"{view}_valid", False):
            continue
        if not is_file(picture):
            missing.append(f"the picture {shown(picture)}")
            continue
        kept.append(_photograph(path, picture, view, table))
    return Take(person, folder.name, scan, photographs=tuple(kept), neutral=_is_neutral(folder.name))


def _photograph(path: Path, picture: Path, view: str, table: dict[str, Any]) -> Photograph:
    try:
        matrix = np.array(table[f"{view}_K"], np.float64)[:3, :3]
        pose = np.array(table[f"{view}_Rt"], np.float64)[:3]
        bend = tuple(float(x) for x in np.array(table[f"{view}_distortion"], np.float64).ravel())
        size = int(table[f"{view}_width"]), int(table[f"{view}_height"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise _bad(path, f"the camera {view} is not whole ({error})") from error
    good = matrix.shape == (3, 3) and pose.shape == (3, 4) and len(bend) in (0, 4, 5) and matrix[0, 0] > 0
    if not good or not np.isfinite(matrix).all() or not np.isfinite(pose).all() or not all(np.isfinite(bend)):
        raise _bad(path, f"the camera {view} has numbers of another shape, or that are not finite")
    if not all(1 <= side <= MAX_SIDE for side in size):
        raise _bad(path, f"the camera {view} claims pictures of {size[0]}×{size[1]} pixels")
    # there whole numbers are pixels' centres, here their corners (DESIGN §3)
    middle = float(matrix[0, 2]) + 0.5, float(matrix[1, 2]) + 0.5
    lens = Lens(float(matrix[0, 0]), middle, float(matrix[1, 1] / matrix[0, 0]), bend)
    return Photograph(picture, lens, pose, size)


def _bad(path: Path, reason: str) -> UserError:
    return UserError(
        ErrorCode.BAD_FILE, f"{shown(path)} does not hold FaceScape's cameras: {reason}.", "Unpack it again."
    )
