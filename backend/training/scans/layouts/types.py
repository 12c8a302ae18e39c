"""What a folder of scans holds, and the calibrated photographs of a scan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.cameras.distortion import Lens, distort
from backend.errors import ErrorCode, UserError
from backend.reading import shown

F64 = NDArray[np.float64]

YAW, PITCH = 90.0, 45.0
"""Degrees from the front up to which photographs are kept (seeds/000 D)."""
MAX_ENTRIES = 20_000
"""Of one folder; the largest, a FaMoS sequence, has some hundred."""
MAX_SIDE = 16_384


@dataclass(frozen=True, eq=False)
class Photograph:
    """One calibrated picture: ``lens``, ``world_to_camera (3,4)`` in the scan's unit, ``size`` (w,h) of that lens.

    ``tsai`` are the coefficients of r_u = r_d (1 + a r_d² + b r_d⁴) where the camera was calibrated so; the lens then
    has none of its own.
    """

    path: Path
    lens: Lens
    world_to_camera: F64
    size: tuple[int, int]
    tsai: tuple[float, float] = (0.0, 0.0)

    def project(self, points: F64) -> tuple[F64, F64]:
        """Pixels (n,2) of that size, as the lens bends them, and depths (n,) of points (n,3)."""
        camera = points @ self.world_to_camera[:, :3].T + self.world_to_camera[:, 3]
        return self.through_lens(camera[:, :2] / camera[:, 2:]), camera[:, 2]

    def through_lens(self, flat: F64) -> F64:
        """Pixels (n,2) of that size that show the directions ``flat`` (n,2), x/z and y/z; NaN beyond the lens."""
        if any(self.tsai):
            flat = _bent(flat, self.tsai)
        return distort(flat * self.lens.focal_px + self.lens.principal_point, self.lens)

    def angles(self, turn: F64, middle: F64) -> tuple[float, float]:
        """Degrees by which it sees a face from its left and from above; ``turn (3,3)`` is the head's."""
        pose = self.world_to_camera
        eye = (-pose[:, 3] @ pose[:, :3] - middle) @ turn
        yaw, pitch = np.arctan2(eye[0], eye[2]), np.arctan2(eye[1], np.hypot(eye[0], eye[2]))
        return float(np.rad2deg(yaw)), float(np.rad2deg(pitch))


def from_the_front(photographs: Sequence[Photograph], turn: F64, middle: F64) -> list[Photograph]:
    """Those at most ``YAW`` to a side and ``PITCH`` above or below the front of a face at ``middle (3,)``."""
    kept = []
    for photograph in photographs:
        yaw, pitch = photograph.angles(turn, middle)
        if abs(yaw) <= YAW and abs(pitch) <= PITCH:
            kept.append(photograph)
    return kept


@dataclass(frozen=True, eq=False)
class Take:
    """One expression or frame of a person: a ``scan`` or a ``registration`` file, with its picture or photographs."""

    person: str
    name: str
    scan: Path | None = None
    texture: Path | None = None
    registration: Path | None = None
    photographs: tuple[Photograph, ...] = ()
    neutral: bool = False


@dataclass(frozen=True, eq=False)
class Folder:
    """What was found, ``unit`` metres of its scans', and what should be there and is not."""

    takes: tuple[Take, ...]
    unit: float | None
    missing: tuple[str, ...] = field(default=())

    @property
    def people(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(take.person for take in self.takes))


def entries(folder: Path) -> list[Path]:
    """What is in a folder, sorted. Raises UserError ``bad_file`` where there is none, ``too_large``."""
    try:
        found = list(islice(folder.iterdir(), MAX_ENTRIES + 1))
    except OSError as error:
        raise UserError(
            ErrorCode.BAD_FILE, f"{shown(folder)} is no folder that can be read: {error.strerror}.", "Check the path."
        ) from error
    if len(found) > MAX_ENTRIES:
        raise UserError(ErrorCode.TOO_LARGE, f"{shown(folder)} holds more than {MAX_ENTRIES:,} files.")
    return sorted(found, key=_natural)


def folders(folder: Path) -> Iterator[Path]:
    """The folders in a folder, 2 before 10."""
    return (path for path in entries(folder) if path.is_dir())


def _natural(path: Path) -> tuple[int, str]:
    digits = path.name.split("_")[0]
    return (int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else 1 << 40, path.name)


def nothing_there(folder: Path, what: str, expected: str) -> UserError:
    """The refusal of a folder that is not laid out as ``what``."""
    return UserError(
        ErrorCode.BAD_FILE, f"{shown(folder)} is not laid out as {what}: {expected}.", "Give the folder it unpacks to."
    )


def _bent(flat: F64, tsai: tuple[float, float]) -> F64:
    """Distorted directions (n,2) of undistorted ones, by Newton's steps on the radius; NaN where there are none."""
    radius = np.linalg.norm(flat, axis=1)
    bent = radius.copy()
    a, b = tsai
    for _ in range(12):
        square = bent**2
        wrong = bent * (1 + a * square + b * square**2) - radius
        slope = 1 + 3 * a * square + 5 * b * square**2
        bent -= wrong / np.where(np.abs(slope) < 1e-6, 1.0, slope)
    square = bent**2
    left = bent * (1 + a * square + b * square**2) - radius
    # beyond the fold the steps end nowhere, or on a place that another direction has already
    good = (np.abs(left) < 1e-9 * (1 + radius)) & (bent >= 0) & (1 + 3 * a * square + 5 * b * square**2 > 0)
    bent = np.where(good, bent, np.nan)
    return np.asarray(flat * (bent / np.maximum(radius, 1e-12))[:, None])
