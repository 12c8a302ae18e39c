"""OpenCV's lens models and spellings, ROS's and ORB-SLAM's, are read as what they are or refused by name."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import yaml

from backend.cameras.calibration import load_calibration
from protocol.messages import DistortionModel
from tests.backend.cameras.written import FISHEYE, SIZE, D, K, R, T, assert_is, opencv_file, refusal, written

WIDE = DistortionModel.FISHEYE


def camera(path):
    (only,) = load_calibration([path]).cameras
    return only.spec


def ordinary(**fields):
    return {"K": K.tolist(), "image_size": list(SIZE), **fields}


@pytest.mark.parametrize("suffix", ["yml", "xml", "json"])
@pytest.mark.parametrize("shape", [(1, 4), (4, 1)])
def test_the_calibration_samples_fisheye_is_one(tmp_path, suffix, shape):
    sample = {
        "image_width": 1920,
        "image_height": 1080,
        "camera_matrix": K,
        "distortion_coefficients": FISHEYE.reshape(shape),
    }
    path = opencv_file(tmp_path / f"cam.{suffix}", calibration_time="now", fisheye_model=1, **sample)
    assert_is(camera(path), distortion=FISHEYE, placed=False, model=WIDE)
    plain = opencv_file(tmp_path / f"plain.{suffix}", fisheye_model=0, **sample)
    assert_is(camera(plain), distortion=FISHEYE, placed=False)


@pytest.mark.parametrize(
    "head", ["%YAML:1.0\n---\n", "%YAML:1.0\r\n", "%YAML 1.0\n---\n", "%YAML 1.2\n---\n", "\ufeff%YAML:1.0\n---\n", ""]
)
def test_versions_of_yaml(tmp_path, head):
    text = head + yaml.safe_dump(ordinary(distortion=D.tolist()))
    assert_is(camera(written(tmp_path, "a.yml", text)), placed=False)


def test_an_equidistant_lens_without_terms_is_no_pinhole(tmp_path):
    spec = camera(written(tmp_path, "a.json", ordinary(D=[0, 0, 0, 0], distortion_model="equidistant")))
    assert spec.distortion == (0, 0, 0, 0) and spec.distortion_model is WIDE


@pytest.mark.parametrize("suffix", ["yml", "xml", "json"])
@pytest.mark.parametrize("numbers", [np.float64, np.int32])
def test_what_the_interactive_calibration_writes(tmp_path, suffix, numbers):
    matrix = opencv_file(
        tmp_path / f"matrix.{suffix}", cameraResolution=np.array(SIZE, numbers), cameraMatrix=K, dist_coeffs=D
    )
    assert_is(camera(matrix), placed=False)
    storage = cv2.FileStorage(str(tmp_path / f"size.{suffix}"), cv2.FILE_STORAGE_WRITE)
    storage.startWriteStruct("cameraResolution", cv2.FILE_NODE_SEQ)
    for side in SIZE:
        storage.write("", float(side) if numbers is np.float64 else side)
    storage.endWriteStruct()
    storage.write("cameraMatrix", K)
    storage.write("dist_coeffs", D)
    storage.release()
    assert_is(camera(tmp_path / f"size.{suffix}"), placed=False)


@pytest.mark.parametrize(
    "size",
    [
        {"imageSize": [1920, 1080]},
        {"Image_Size": [1920.0, 1080.0]},
        {"resolution": {"width": 1920, "height": 1080}},
        {"img_size": "1920x1080"},
        {"DIM": [1920, 1080]},
        {"w": 1920, "h": 1080},
        {"imageWidth": 1920, "ImageHeight": 1080.0},
        {"width": 1920, "height": 1080, "resolution": [1920, 1080]},
    ],
)
def test_spellings_of_the_image_size(tmp_path, size):
    assert_is(camera(written(tmp_path, "a.json", {"K": K.tolist(), "D": D.tolist(), **size})), placed=False)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"image_size": [1920, 1080], "width": 1080, "height": 1920}, "twice, and differently"),
        ({"image_size": [1920, 1080, 3]}, "not a width and a height"),
        ({"image_size": "large"}, "not a width and a height"),
        ({"image_size": [1920.5, 1080]}, "whole numbers"),
        ({"width": True, "height": 4}, "whole numbers"),
        ({"distortion_model": "equisolid"}, "distortion_model “equisolid”"),
        ({"camera_model": "omni"}, "camera_model “omni”"),
        ({"model": "inverse_brown_conrady"}, "“inverse_brown_conrady”, which is not known"),
        ({"distortion_model": 7}, "distortion_model “7”"),
        ({"fisheye_model": 2}, "neither 0 nor 1"),
        ({"fisheye_model": 1, "distortion_model": "plumb_bob", "D": [0] * 4}, "contradict"),
        ({"fisheye_model": 1, "D": [0.1] * 5}, "5 distortion numbers, not 4"),
        ({"fisheye_model": 1}, "0 distortion numbers, not 4"),
        ({"xi": 1.2}, "omnidirectional"),
        ({"D": [0.1] * 3}, "3 distortion numbers"),
        ({"D": [0.1] * 6}, "6 distortion numbers"),
        ({"D": [0.1] * 12}, "thin prism"),
        ({"D": [0] * 12 + [0.01, 0]}, "tilted sensor"),
        ({"D": [0.1, float("nan"), 0, 0]}, "distortion of “a” has numbers that are not finite"),
        ({"K": [[float("inf"), 0, 1], [0, 1, 1], [0, 0, 1]]}, "camera matrix of “a” has numbers that are not finite"),
        ({"K": [["1", "0", "1"], ["0", "1", "1"], ["0", "0", "1"]]}, "not a matrix of numbers"),
        ({"R": R.tolist(), "t": [1e12, 0, 0]}, "translation of “a”"),
        ({"pixel_origin": "left"}, "pixel_origin"),
    ],
)
def test_what_is_not_known_is_refused_by_name(tmp_path, fields, words):
    size = {} if {"width", "image_size"} & set(fields) else {"image_size": list(SIZE)}
    assert words in refusal(written(tmp_path, "a.json", {"K": K.tolist(), **size, **fields}))


@pytest.mark.parametrize(
    ("name", "distortion", "model"),
    [
        ("plumb_bob", D, DistortionModel.BROWN_CONRADY),
        ("rational_polynomial", [*D, 0.01, 0.02, 0.03], DistortionModel.BROWN_CONRADY),
        ("equidistant", FISHEYE, WIDE),
        ("Kannala-Brandt", FISHEYE, WIDE),
        ("radial-tangential", D[:4], DistortionModel.BROWN_CONRADY),
    ],
)
def test_ros_camera_info_as_a_message_and_as_ordinary_yaml(tmp_path, name, distortion, model):
    # A message's R turns the picture for stereo: it is no position.
    message = {"height": 1080, "width": 1920, "distortion_model": name, "D": [float(d) for d in distortion]}
    message |= {"K": K.ravel().tolist(), "R": np.eye(3).ravel().tolist(), "P": [0.0] * 12, "binning_x": 0}
    for number, text in enumerate((yaml.safe_dump(message), yaml.safe_dump(message, default_flow_style=True))):
        path = written(tmp_path, f"{number}.yaml", text)
        assert_is(camera(path), distortion=distortion, placed=False, model=model)


def test_binned_pictures_are_refused(tmp_path):
    for fields, words in (({"binning_x": 2}, "binning_x"), ({"roi": {"x_offset": 8, "width": 4}}, "roi")):
        message = {**ordinary(D=[0.0] * 5), "P": [0.0] * 12, **fields}
        assert words in refusal(written(tmp_path, "a.yaml", yaml.safe_dump(message)))


def test_intrinsics_by_name(tmp_path):
    names = {"fx": 1500.0, "fy": 1510.0, "cx": 955.5, "cy": 541.25}
    terms = dict(zip(("k1", "k2", "p1", "p2", "k3"), D.tolist(), strict=True))
    nested = {"intrinsics": names, "distortion": terms, "resolution": [1920, 1080]}
    assert_is(camera(written(tmp_path, "nested.yaml", yaml.safe_dump(nested))), placed=False)
    flat = {f"Camera.{k}": v for k, v in (names | terms | {"width": 1920, "height": 1080}).items()}
    assert_is(camera(written(tmp_path, "flat.yaml", "%YAML:1.0\n---\n" + yaml.safe_dump(flat))), placed=False)
    wide = names | dict(zip(("k1", "k2", "k3", "k4"), FISHEYE.tolist(), strict=True)) | {"type": "KannalaBrandt8"}
    fields = {f"Camera1.{k}": v for k, v in (wide | {"width": 1920, "height": 1080}).items()}
    fields["Camera.type"] = fields.pop("Camera1.type")
    spec = camera(written(tmp_path, "slam.yaml", yaml.safe_dump(fields)))
    assert_is(spec, distortion=FISHEYE, placed=False, model=WIDE)
    second = written(tmp_path, "two.yaml", yaml.safe_dump({**fields, "Camera2.fx": 1.0}))
    assert "no camera matrix" in refusal(second)


def test_a_rig_of_ordinary_yaml_with_anchors(tmp_path):
    size = [1920, 1080]
    rig = {
        "unit": "m",
        "cameras": {
            name: {"resolution": size, "K": K.tolist(), "D": D.tolist(), "R": R.tolist(), "t": T.tolist()}
            for name in "ab"
        },
    }
    text = yaml.safe_dump(rig)
    assert "&id" in text and "*id" in text
    calibration = load_calibration([written(tmp_path, "rig.yaml", text)])
    assert calibration.metric and [c.name for c in calibration.cameras] == ["a", "b"]
    for found in calibration.cameras:
        assert_is(found.spec, centred=False)


def test_a_model_said_once_is_every_cameras(tmp_path):
    pair = {"M1": K, "M2": K, "D1": FISHEYE, "D2": FISHEYE, "R": R, "T": T, "image_width": 1920, "image_height": 1080}
    first, second = load_calibration([opencv_file(tmp_path / "pair.yml", fisheye_model=1, **pair)]).cameras
    assert first.spec.distortion_model is WIDE
    assert_is(second.spec, distortion=FISHEYE, model=WIDE)
