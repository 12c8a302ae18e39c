"""Kalibr's camchain: cam0, cam1 … of a rig, each placed against the one before it or against the inertial unit.

Its unit is metres, and its pixels count from the centre of the first one, as those of OpenCV's corners do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.cameras.formats.fields import Plain, array, image_size, rigid_motion
from backend.cameras.formats.lens_models import distortion_model, matrix_of_four
from backend.cameras.named import LensNumbers, NamedCamera, bad_calibration, named_camera, quoted, require_few

F64 = NDArray[np.float64]

UNIT = "m"
CHAINED, FROM_IMU, TO_IMU = "T_cn_cnm1", "T_cam_imu", "T_imu_cam"


def is_camchain(root: Plain) -> bool:
    """True where the map's entries are Kalibr's cameras."""
    cameras = _cameras(root)
    return bool(cameras) and all("intrinsics" in c and "camera_model" in c for c in cameras.values())


def kalibr_cameras(path: Path, root: Plain) -> Iterator[NamedCamera]:
    """The cameras of a camchain; the first camera is the world, the inertial unit where the chain is not known.

    Raises:
        UserError: ``bad_calibration`` and ``calibration_image_size``.
    """
    cameras = _cameras(root)
    require_few(path, len(cameras))
    for (name, fields), extrinsics in zip(cameras.items(), _extrinsics(path, cameras), strict=True):
        called = quoted(name)
        intrinsics = array(path, fields["intrinsics"], f"intrinsics of {called}")
        model = distortion_model(path, name, fields)
        if intrinsics.shape != (4,):
            raise bad_calibration(path, f"the intrinsics of {called} are not the 4 numbers fx, fy, cx and cy")
        coefficients = array(path, fields.get("distortion_coeffs") or [], f"distortion_coeffs of {called}")
        lens = LensNumbers(matrix_of_four(intrinsics), coefficients.ravel().tolist(), model, centred_pixels=True)
        yield named_camera(path, name, image_size(path, name, fields), lens, extrinsics)


def _cameras(root: Plain) -> dict[str, Plain]:
    found = {key: value for key, value in root.items() if isinstance(value, Mapping) and key.startswith("cam")}
    digits = {key: key.removeprefix("cam") for key in found}
    if not all(text.isdecimal() and len(text) < 6 for text in digits.values()):
        return {}
    return dict(sorted(found.items(), key=lambda item: int(digits[item[0]])))


def _extrinsics(path: Path, cameras: Mapping[str, Plain]) -> list[F64 | None]:
    chained = [name for name, fields in cameras.items() if fields.get(CHAINED) is not None]
    if len(cameras) > 1 and len(chained) >= len(cameras) - 1 and list(cameras)[1:] == chained[-len(cameras) + 1 :]:
        return list(_chain(path, cameras))
    placed = [_from_imu(path, name, fields) for name, fields in cameras.items()]
    if (
        len(cameras) > 1
        and any(matrix is None for matrix in placed)
        and (chained or any(m is not None for m in placed))
    ):
        missing = next(name for name, matrix in zip(cameras, placed, strict=True) if matrix is None)
        raise bad_calibration(path, f"{quoted(missing)} has neither {CHAINED} nor {FROM_IMU}, but others have")
    return placed


def _chain(path: Path, cameras: Mapping[str, Plain]) -> Iterator[F64]:
    here = np.eye(3, 4)
    for index, (name, fields) in enumerate(cameras.items()):
        if index:
            step = rigid_motion(path, fields[CHAINED], f"{CHAINED} of {quoted(name)}")
            with np.errstate(over="ignore", invalid="ignore"):
                here = np.concatenate([step[:, :3] @ here[:, :3], step[:, :3] @ here[:, 3:] + step[:, 3:]], axis=1)
        yield here


def _from_imu(path: Path, name: str, fields: Plain) -> F64 | None:
    for key, inverse in ((FROM_IMU, False), (TO_IMU, True)):
        if fields.get(key) is not None:
            return rigid_motion(path, fields[key], f"{key} of {quoted(name)}", inverse=inverse)
    return None
