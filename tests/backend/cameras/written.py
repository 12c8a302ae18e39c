"""Calibration files made for the tests, and the one camera that they all are of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.cameras.calibration import load_calibration
from backend.errors import UserError
from protocol.messages import CameraSpec, DistortionModel

SIZE = (1920, 1080)
K = np.array([[1500.0, 0, 955.5], [0, 1510.0, 541.25], [0, 0, 1]])
D = np.array([0.1, -0.2, 0.001, -0.002, 0.05])
FISHEYE = np.array([-0.02, 0.004, -0.002, 0.0005])
R = Rotation.from_rotvec([0.1, -0.4, 0.05]).as_matrix()
T = np.array([0.3, -0.02, 1.2])


def written(folder: Path, name: str, content: Any) -> Path:
    """A file of text, bytes, or what JSON can say."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def opencv_file(path: Path, **values: Any) -> Path:
    """A file that OpenCV itself writes, in the format that its suffix says."""
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for name, value in values.items():
        storage.write(name, value)
    storage.release()
    return path


def assert_is(
    spec: CameraSpec,
    *,
    centred: bool = True,
    distortion: Any = D,
    placed: bool = True,
    translation: NDArray[np.float64] = T,
    model: DistortionModel = DistortionModel.BROWN_CONRADY,
) -> None:
    """The camera that K, D, R and T are of."""
    shift = 0.5 if centred else 0.0
    assert spec.image_size == SIZE
    assert spec.focal_px == pytest.approx(1500.0) and spec.focal_ratio == pytest.approx(1510 / 1500)
    assert spec.principal_point == pytest.approx((955.5 + shift, 541.25 + shift))
    assert spec.distortion_model == model
    np.testing.assert_allclose(spec.distortion, distortion)
    if placed:
        found = np.reshape(spec.world_to_camera or (), (3, 4))
        np.testing.assert_allclose(found, np.column_stack([R, translation]), atol=1e-9)
    else:
        assert spec.world_to_camera is None


def refusal(*paths: Path, unit: str = "") -> str:
    """The sentence in which a calibration is refused."""
    with pytest.raises(UserError) as caught:
        load_calibration(paths, unit)
    assert caught.value.code in ("bad_calibration", "calibration_image_size") and paths[0].name in caught.value.message
    return caught.value.message
