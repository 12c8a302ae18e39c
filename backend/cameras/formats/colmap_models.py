"""COLMAP's camera models and its cameras, as its text and its binary files both hold them.

COLMAP counts pixels from the corner of the image, as we do, and its unit of length is arbitrary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from backend.cameras.formats.lens_models import lens_of_parameters
from backend.cameras.named import NamedCamera, bad_calibration, named_camera, quoted
from protocol.messages import DistortionModel

UNIT = "unknown"
MAX_LENS_BYTES = 64 << 20
MAX_IMAGE_BYTES = 4 << 30
"""The images' file lists every point of every picture; those are passed over, not kept."""

PARAMETERS: dict[str, tuple[str, ...]] = {
    "SIMPLE_PINHOLE": ("f", "cx", "cy"),
    "PINHOLE": ("fx", "fy", "cx", "cy"),
    "SIMPLE_RADIAL": ("f", "cx", "cy", "k1"),
    "RADIAL": ("f", "cx", "cy", "k1", "k2"),
    "OPENCV": ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2"),
    "OPENCV_FISHEYE": ("fx", "fy", "cx", "cy", "k1", "k2", "k3", "k4"),
    "FULL_OPENCV": ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"),
    "FOV": ("fx", "fy", "cx", "cy", "omega"),
    "SIMPLE_RADIAL_FISHEYE": ("f", "cx", "cy", "k1"),
    "RADIAL_FISHEYE": ("f", "cx", "cy", "k1", "k2"),
    "THIN_PRISM_FISHEYE": ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3", "k4", "sx1", "sy1"),
}
"""Parameters of COLMAP's camera models, in its order; a model's place is its number (src/colmap/sensor/models.h)."""
NOT_MODELLED = ("FOV",)
MODELS = tuple(model for model in PARAMETERS if model not in NOT_MODELLED)
"""The models that are read; THIN_PRISM_FISHEYE where its prism and tangential terms are 0."""


@dataclass(frozen=True)
class ColmapLens:
    """A lens: its model, image size and parameters by name."""

    model: str
    size: tuple[int, int]
    values: dict[str, float]


def require_model(path: Path, where: str, model: str) -> tuple[str, ...]:
    """The names of a model's parameters; raises UserError ``bad_calibration`` where the model is not read."""
    if model not in MODELS:
        raise bad_calibration(
            path,
            f"{where} has the camera model {quoted(model)}; known are {', '.join(MODELS)}",
            "Undistort the images in COLMAP, which leaves pinhole cameras, and export those.",
        )
    return PARAMETERS[model]


def lens_camera(path: Path, key: str, lens: ColmapLens) -> NamedCamera:
    """A lens whose place is not known."""
    return _named(path, key, lens, None, picture=False)


def image_camera(
    path: Path, where: str, name: str, lens: ColmapLens, quaternion: Sequence[float], shift: Sequence[float]
) -> NamedCamera:
    """The camera of a picture; ``quaternion`` is w, x, y, z and, with ``shift``, world to camera.

    Raises:
        UserError: ``bad_calibration``.
    """
    numbers = np.array([*quaternion, *shift])
    length = float(np.linalg.norm(quaternion)) if np.isfinite(numbers).all() else 0.0
    if not 1e-6 < length < 1e6:
        raise bad_calibration(path, f"{where} has a rotation or translation that is none")
    w, x, y, z = numbers[:4]
    rotation = Rotation.from_quat([x, y, z, w]).as_matrix()
    matrix = np.concatenate([rotation, numbers[4:, None]], axis=1)
    return _named(path, name, lens, matrix, picture=True)


def _named(
    path: Path,
    name: str,
    lens: ColmapLens,
    matrix: np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None,
    *,
    picture: bool,
) -> NamedCamera:
    model = DistortionModel.FISHEYE if "FISHEYE" in lens.model else DistortionModel.BROWN_CONRADY
    numbers = lens_of_parameters(path, name, lens.values, model, centred_pixels=False)
    return named_camera(path, name, lens.size, numbers, matrix, picture=picture)
