"""COLMAP's text export: ``cameras.txt`` (lenses) and ``images.txt`` (where each picture was taken from)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.cameras.named import NamedCamera, bad_calibration, named_camera

MODELS: dict[str, tuple[str, ...]] = {
    "SIMPLE_PINHOLE": ("f", "cx", "cy"),
    "PINHOLE": ("fx", "fy", "cx", "cy"),
    "SIMPLE_RADIAL": ("f", "cx", "cy", "k1"),
    "RADIAL": ("f", "cx", "cy", "k1", "k2"),
    "OPENCV": ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2"),
    "FULL_OPENCV": ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"),
}
"""Parameters of COLMAP's camera models, in its order (src/colmap/sensor/models.h)."""
DISTORTION = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
MAX_IMAGES = 100_000

Camera = tuple[tuple[int, int], dict[str, float]]  # image size, parameters by name


def read_colmap(path: Path) -> list[NamedCamera]:
    """The cameras of a COLMAP text model: one for each image, named as it; of a lone ``cameras.txt``, one per lens.

    ``path`` is the folder or either of its two files. COLMAP counts pixels from the corner of the image, as we do, and
    its unit of length is arbitrary.

    Raises:
        UserError: ``bad_calibration`` naming the line, or the camera model that is not supported.
    """
    folder = path if path.is_dir() else path.parent
    lenses = _lenses(folder / "cameras.txt")
    images = folder / "images.txt"
    if not images.is_file():
        return [_named(folder / "cameras.txt", key, lens, None) for key, lens in lenses.items()]
    cameras = []
    for number, line in _image_lines(images):
        fields = line.split(maxsplit=9)
        try:
            w, x, y, z, *shift = (float(text) for text in fields[1:8])
            lens, name = lenses[fields[8]], fields[9].strip()
            rotation = Rotation.from_quat([x, y, z, w]).as_matrix()
        except (ValueError, IndexError, KeyError) as error:
            raise bad_calibration(images, f"line {number} is not an image of a camera in cameras.txt") from error
        matrix = np.concatenate([rotation, np.array(shift)[:, None]], axis=1)
        cameras.append(_named(images, name, lens, matrix))
        if len(cameras) > MAX_IMAGES:
            raise bad_calibration(images, f"it has more than {MAX_IMAGES} images")
    return cameras


def _lenses(path: Path) -> dict[str, Camera]:
    if not path.is_file():
        raise bad_calibration(path, "there is no such file beside images.txt", "Export the model as text from COLMAP.")
    lenses: dict[str, Camera] = {}
    for number, line in _lines(path):
        if not line.strip():
            continue
        fields = line.split()
        model = fields[1] if len(fields) > 1 else ""
        if model not in MODELS:
            known = ", ".join(MODELS)
            raise bad_calibration(
                path,
                f"line {number} has the camera model “{model[:40]}”; known are {known}",
                "Undistort the images in COLMAP, which leaves pinhole cameras, and export those.",
            )
        try:
            width, height = int(fields[2]), int(fields[3])
            values = [float(text) for text in fields[4:]]
            lenses[fields[0]] = (width, height), dict(zip(MODELS[model], values, strict=True))
        except (ValueError, IndexError) as error:
            wanted = ", ".join(MODELS[model])
            raise bad_calibration(path, f"line {number} is not ID {model} WIDTH HEIGHT {wanted}") from error
    return lenses


def _named(path: Path, name: str, lens: Camera, extrinsics: NDArray[np.float64] | None) -> NamedCamera:
    size, values = lens
    fx = values.get("fx", values.get("f", 0.0))
    fy = values.get("fy", fx)
    matrix = np.array([[fx, 0, values["cx"]], [0, fy, values["cy"]], [0, 0, 1.0]])
    distortion = [values.get(key, 0.0) for key in DISTORTION]
    while distortion and distortion[-1] == 0:
        distortion.pop()
    return named_camera(path, name, size, matrix, distortion, extrinsics, centred_pixels=False)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines without comments."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if not line.startswith("#"):
                    yield number, line
    except UnicodeDecodeError as error:
        raise bad_calibration(path, "it is not text") from error


def _image_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Every other line: each image is followed by one with its points, which may be empty."""
    wanted = True
    for number, line in _lines(path):
        if wanted and not line.strip():
            continue
        if wanted:
            yield number, line
        wanted = not wanted
