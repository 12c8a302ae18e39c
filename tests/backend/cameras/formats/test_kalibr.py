"""Kalibr's camchains: lenses by their names, places along the chain or from the inertial unit."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from scipy.spatial.transform import Rotation

from backend.cameras.calibration import load_calibration
from protocol.messages import DistortionModel
from tests.backend.cameras.written import FISHEYE, SIZE, D, refusal, written


def motion(rotvec, shift):
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = Rotation.from_rotvec(rotvec).as_matrix(), shift
    return matrix


STEPS = (motion((0, 0.3, 0), (-0.1, 0, 0)), motion((0.1, 0.2, 0), (-0.1, 0.02, 0)))
IMU = motion((1.2, -1.2, 1.2), (0.05, 0.02, -0.01))


def camchain(**changes):
    cameras = {}
    for index, (distortion, model) in enumerate(((D[:4], "radtan"), (FISHEYE, "equidistant"), ([0.0] * 4, "equi"))):
        cameras[f"cam{index}"] = {
            "camera_model": "pinhole",
            "intrinsics": [1500.0, 1510.0, 955.5, 541.25],
            "distortion_model": model,
            "distortion_coeffs": [float(number) for number in distortion],
            "resolution": list(SIZE),
            "rostopic": f"/cam{index}/image_raw",
            "timeshift_cam_imu": 0.01,
            **({"T_cn_cnm1": STEPS[index - 1].tolist()} if index else {}),
        }
    for key, value in changes.items():
        name, field = key.split("__")
        cameras[name][field] = value
    return cameras


def placed(camera):
    return np.vstack([np.reshape(camera.spec.world_to_camera, (3, 4)), (0, 0, 0, 1)])


def test_a_chain(tmp_path):
    calibration = load_calibration([written(tmp_path, "camchain.yaml", yaml.safe_dump(camchain()))])
    first, second, third = calibration.cameras
    assert calibration.metric and [camera.name for camera in calibration.cameras] == ["cam0", "cam1", "cam2"]
    np.testing.assert_allclose(placed(first), np.eye(4))
    np.testing.assert_allclose(placed(second), STEPS[0], atol=1e-12)
    np.testing.assert_allclose(placed(third), STEPS[1] @ STEPS[0], atol=1e-12)
    assert first.spec.principal_point == (956.0, 541.75) and first.spec.image_size == SIZE
    assert first.spec.distortion == tuple(D[:4]) and second.spec.distortion == tuple(FISHEYE)
    assert third.spec.distortion == (0, 0, 0, 0)
    models = [camera.spec.distortion_model for camera in calibration.cameras]
    assert models == [DistortionModel.BROWN_CONRADY, DistortionModel.FISHEYE, DistortionModel.FISHEYE]


@pytest.mark.parametrize("key", ["T_cam_imu", "T_imu_cam"])
def test_places_from_the_inertial_unit(tmp_path, key):
    poses = IMU, STEPS[0] @ IMU, STEPS[1] @ STEPS[0] @ IMU
    told = {f"cam{i}__{key}": (p if key == "T_cam_imu" else np.linalg.inv(p)).tolist() for i, p in enumerate(poses)}
    chain = camchain(**told, cam1__T_cn_cnm1=None, cam2__T_cn_cnm1=None)
    cameras = load_calibration([written(tmp_path, "camchain.yaml", yaml.safe_dump(chain))]).cameras
    for camera, pose in zip(cameras, poses, strict=True):
        np.testing.assert_allclose(placed(camera), pose, atol=1e-12)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cam1__camera_model": "omni"}, "“cam1” has the camera_model “omni”"),
        ({"cam1__camera_model": "eucm"}, "“eucm”"),
        ({"cam1__camera_model": "ds"}, "“ds”"),
        ({"cam0__distortion_model": "fov"}, "“cam0” has the distortion_model “fov”"),
        ({"cam0__intrinsics": [0.9, 1.0, 1500.0, 1500.0, 955.5]}, "intrinsics of “cam0”"),
        ({"cam2__T_cn_cnm1": None}, "“cam0” has neither T_cn_cnm1 nor T_cam_imu"),
        ({"cam1__T_cn_cnm1": [[1, 0], [0, 1]]}, "T_cn_cnm1 of “cam1”"),
        ({"cam1__T_cn_cnm1": (2 * np.eye(4)).tolist()}, "T_cn_cnm1 of “cam1”"),
        ({"cam1__resolution": None}, "image size “cam1”"),
    ],
)
def test_what_is_refused(tmp_path, changes, words):
    assert words in refusal(written(tmp_path, "camchain.yaml", yaml.safe_dump(camchain(**changes))))
