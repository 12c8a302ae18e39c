"""FaMoS: FLAME registrations of performances, with calibrated colour cameras.

As its authors' own code reads it (github.com/TimoBolkart/TEMPEH, datasets/face_align_dataset_mpi.py, utils/camera.py):
``IMAGES/person/sequence/frame/sequence.frame.view.png``, ``CALIBRATIONS/person/sequence/view.tka``,
``REGISTRATIONS/person/sequence/sequence.frame.ply``. Views with ``_C`` in their name are the colour ones. Registrations
are in metres, calibrations in millimetres; pictures come smaller than the size that the calibration is for.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backend.cameras.distortion import Lens
from backend.errors import ErrorCode, UserError
from backend.reading import is_file, is_folder, read_bounded, shown
from backend.training.scans.layouts.types import MAX_SIDE, Folder, Photograph, Take, entries, folders, nothing_there

EVERY = 10
"""Of a sequence's frames, every tenth is kept (seeds/000 D)."""
COLOUR = "_C"
COLOUR_VIEWS = 6
MAX_TKA = 1 << 16
_LINES = 16


def read_famos(images: Path, calibrations: Path, registrations: Path, every: int = EVERY) -> Folder:
    """Every tenth frame of each sequence with its registration and colour views. Raises UserError ``bad_file``."""
    takes, missing = list[Take](), list[str]()
    for person in folders(registrations):
        for sequence in folders(person):
            cameras = _cameras(calibrations / person.name / sequence.name, missing)
            if not cameras:
                continue
            frames = [path for path in entries(sequence) if path.suffix == ".ply"]
            takes += [_take(person.name, frame, images, cameras, missing) for frame in frames[::every]]
    if not takes:
        where = f"(missing: {missing[0]})" if missing else "in it"
        expected = f"expected person/sequence/sequence.000001.ply {where}"
        raise nothing_there(registrations, "FaMoS's registrations", expected)
    return Folder(tuple(takes), 1.0, tuple(missing))


def _cameras(folder: Path, missing: list[str]) -> dict[str, Photograph]:
    files = [path for path in entries(folder) if path.suffix == ".tka"] if is_folder(folder) else []
    colour = [path for path in files if COLOUR in path.stem]
    if len(colour) < COLOUR_VIEWS:
        missing.append(f"{COLOUR_VIEWS - len(colour)} of {COLOUR_VIEWS} colour calibrations in {shown(folder)}")
    return {path.stem: read_tka(path) for path in colour}


def _take(person: str, frame: Path, images: Path, cameras: dict[str, Photograph], missing: list[str]) -> Take:
    sequence, _, number = frame.stem.rpartition(".")
    folder = images / person / frame.parent.name / number
    kept = []
    for view, camera in cameras.items():
        picture = folder / f"{sequence}.{number}.{view}.png"
        if not is_file(picture):
            missing.append(f"the picture {shown(picture)}")
            continue
        kept.append(Photograph(picture, camera.lens, camera.world_to_camera, camera.size, camera.tsai))
    return Take(person, frame.stem, registration=frame, photographs=tuple(kept))


def read_tka(path: Path) -> Photograph:
    """A camera in Tsai's form: rotation, centre (mm), focal length, κ1, κ2, pixel size, principal point, picture size.

    Its line numbers tell what is what. The coefficients go from distorted to undistorted places.
    Raises UserError ``bad_file``.
    """
    text = read_bounded(path, "calibration", MAX_TKA).decode("utf-8", "replace")
    lines = text.splitlines()
    try:
        turn = np.array([[float(x) for x in line.split()] for line in lines[1:4]])
        centre, values = np.array([_value(line) for line in lines[4:7]]), [_value(line) for line in lines[7:15]]
        focal, first, second, _, wide, high, middle_x, middle_y = values
        size = tuple(int(x) for x in lines[15].partition(":")[2].split())
        if len(lines) < _LINES or turn.shape != (3, 3) or len(size) != 2 or min(focal, wide, high) <= 0:
            raise ValueError("its numbers are not those of a camera")
        if not np.isfinite([*turn.ravel(), *centre, *values]).all() or not all(1 <= side <= MAX_SIDE for side in size):
            raise ValueError("its numbers are not finite, or its pictures are too large")
    except (ValueError, IndexError) as error:
        raise UserError(
            ErrorCode.BAD_FILE, f"{shown(path)} is not a calibration of FaMoS: {error}.", "Unpack it again."
        ) from error
    pose = np.column_stack([turn, -turn @ centre / 1000])
    lens = Lens(focal / wide, (middle_x, middle_y), wide / high)
    return Photograph(path, lens, pose, (size[0], size[1]), (first * focal**2, second * focal**4))


def _value(line: str) -> float:
    return float(line.partition(":")[2])
