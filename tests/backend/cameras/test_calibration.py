"""Calibration files as OpenCV, ROS, COLMAP and we write them come back as the cameras that were written."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from backend.cameras.calibration import camera_for_size, cameras_for_views, load_calibration
from backend.cameras.formats.colmap_models import MODELS
from backend.errors import UserError
from protocol.messages import CameraSpec

SIZE = (1920, 1080)
K = np.array([[1500.0, 0, 955.5], [0, 1510.0, 541.25], [0, 0, 1]])
D = np.array([0.1, -0.2, 0.001, -0.002, 0.05])
R = Rotation.from_rotvec([0.1, -0.4, 0.05]).as_matrix()
T = np.array([0.3, -0.02, 1.2])


def written(tmp_path, name, content):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def opencv_file(path, **values):
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for name, value in values.items():
        storage.write(name, value)
    storage.release()
    return path


def assert_is(spec, *, centred=True, distortion=D, placed=True, translation=T):
    shift = 0.5 if centred else 0.0
    assert spec.image_size == SIZE
    assert spec.focal_px == pytest.approx(1500.0) and spec.focal_ratio == pytest.approx(1510 / 1500)
    assert spec.principal_point == pytest.approx((955.5 + shift, 541.25 + shift))
    np.testing.assert_allclose(spec.distortion, distortion)
    if placed:
        np.testing.assert_allclose(
            np.reshape(spec.world_to_camera, (3, 4)), np.column_stack([R, translation]), atol=1e-9
        )
    else:
        assert spec.world_to_camera is None


@pytest.mark.parametrize("suffix", ["yml", "yaml", "xml", "json"])
def test_what_opencv_writes(tmp_path, suffix):
    path = opencv_file(
        tmp_path / f"left.{suffix}",
        **{"image_width": 1920, "image_height": 1080, "camera_matrix": K, "distortion_coefficients": D[:, None]},
        **{"R": R, "T": T[:, None] * 1000},
    )
    calibration = load_calibration([path], "mm")
    assert [camera.name for camera in calibration.cameras] == ["left"] and calibration.metric
    assert_is(calibration.cameras[0].spec)


def test_ros_camera_info(tmp_path):
    text = f"""image_width: 1920
image_height: 1080
camera_name: narrow_stereo
camera_matrix:
  rows: 3
  cols: 3
  data: {[float(x) for x in K.ravel()]}
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: {[float(x) for x in D]}
rectification_matrix:
  rows: 3
  cols: 3
  data: [1, 0, 0, 0, 1, 0, 0, 0, 1]
"""
    calibration = load_calibration([written(tmp_path, "ost.yaml", text)])
    assert calibration.cameras[0].name == "narrow_stereo"
    assert_is(calibration.cameras[0].spec, placed=False)
    assert calibration.metric, "without positions there is no scale to be told"


def test_a_stereo_pair(tmp_path):
    path = opencv_file(
        tmp_path / "stereo.yml",
        **{"M1": K, "D1": D, "M2": K, "D2": D, "R": R, "T": T, "image_width": 1920, "image_height": 1080},
    )
    calibration = load_calibration([path])
    first, second = (camera.spec for camera in calibration.cameras)
    assert not calibration.metric, "OpenCV's unit is that of the board's squares, which the file does not name"
    assert_is(second)
    np.testing.assert_array_equal(np.reshape(first.world_to_camera, (3, 4)), np.eye(3, 4))


def test_lists_of_cameras(tmp_path):
    content = {
        "names": ["a", "b"],
        "image_size": [1920, 1080],
        "Ks": [np.eye(3).tolist(), K.tolist()],
        "distortions": [[0, 0, 0, 0, 0], D.tolist()],
        "Rs": [[0, 0, 0], Rotation.from_matrix(R).as_rotvec().tolist()],
        "Ts": [[0, 0, 0], T.tolist()],
    }
    cameras = load_calibration([written(tmp_path, "rig.json", content)], "m").cameras
    assert [camera.name for camera in cameras] == ["a", "b"]
    assert_is(cameras[1].spec)


OWN = {
    "unit": "cm",
    "cameras": [
        {"name": "left", "width": 1920, "height": 1080, "K": K.tolist(), "distortion": D.tolist()},
        {"image": "right.mp4", "image_size": [1920, 1080], "K": K.tolist(), "R": R.tolist(), "t": (T * 100).tolist()},
    ],
}


def test_our_own_form(tmp_path):
    calibration = load_calibration([written(tmp_path, "rig.json", OWN)])
    assert calibration.metric and [camera.name for camera in calibration.cameras] == ["left", "right.mp4"]
    assert_is(calibration.cameras[0].spec, centred=False, placed=False)
    assert_is(calibration.cameras[1].spec, centred=False, distortion=())
    # What is said on the command line counts for more than what the file says.
    assert_is(
        load_calibration([written(tmp_path, "rig.json", OWN)], "m").cameras[1].spec,
        **{"centred": False, "distortion": (), "translation": T * 100},
    )
    mapped = {"cameras": {"right": {**OWN["cameras"][0], "pixel_origin": "centre"}}}
    assert_is(load_calibration([written(tmp_path, "map.json", mapped)]).cameras[0].spec, placed=False)


def test_a_file_for_each_camera(tmp_path):
    (tmp_path / "rig").mkdir()
    for name in ("a", "b"):
        opencv_file(tmp_path / "rig" / f"{name}.yml", camera_matrix=K, image_width=1920, image_height=1080)
    in_folder = load_calibration([tmp_path / "rig"])
    assert [camera.name for camera in in_folder.cameras] == ["a", "b"]
    assert load_calibration([tmp_path / "rig" / "a.yml", tmp_path / "rig" / "b.yml"]) == in_folder


PARAMETERS = {"f": 1500.0, "fx": 1500.0, "fy": 1510.0, "cx": 955.5, "cy": 541.25}
PARAMETERS |= {"k1": 0.1, "k2": -0.2, "p1": 0.001, "p2": -0.002, "k3": 0.05, "k4": 0.01, "k5": 0.02, "k6": 0.03}


@pytest.mark.parametrize("model", MODELS)
def test_colmap_text(tmp_path, model):
    values = " ".join(str(PARAMETERS[name]) for name in MODELS[model])
    written(tmp_path, "cameras.txt", f"# Camera list\n3 {model} 1920 1080 {values}\n")
    x, y, z, w = Rotation.from_matrix(R).as_quat()
    image = f"7 {w} {x} {y} {z} {T[0]} {T[1]} {T[2]} 3"
    written(tmp_path, "images.txt", f"# Images\n{image} cam a/left.jpg\n1.0 2.0 -1\n{image} right.jpg\n\n")
    for path in (tmp_path, tmp_path / "cameras.txt", tmp_path / "images.txt"):
        calibration = load_calibration([path])
        assert [camera.name for camera in calibration.cameras] == ["cam a/left.jpg", "right.jpg"]
        assert not calibration.metric
        spec = calibration.cameras[0].spec
        assert spec.image_size == SIZE and spec.principal_point == (955.5, 541.25) and spec.focal_px == 1500
        assert spec.focal_ratio == pytest.approx(1510 / 1500 if "fy" in MODELS[model] else 1.0)
        np.testing.assert_allclose(np.reshape(spec.world_to_camera, (3, 4)), np.column_stack([R, T]), atol=1e-12)
        expected = [
            PARAMETERS[n] if n in MODELS[model] else 0 for n in ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
        ]
        np.testing.assert_allclose(np.pad(spec.distortion, (0, 8 - len(spec.distortion))), expected)
    (tmp_path / "images.txt").unlink()
    lens_only = load_calibration([tmp_path])
    assert lens_only.cameras[0].name == "3" and lens_only.cameras[0].spec.world_to_camera is None and lens_only.metric


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"camera_matrix": K.tolist()}, "does not say for which image size"),
        ({"camera_matrix": K.tolist(), "image_width": 1920}, "does not say for which image size"),
        ({"camera_matrix": K.tolist(), "image_width": 0, "image_height": 4}, "image size"),
        ({"camera_matrix": [[1, 2], [3, 4]], "image_size": [4, 4]}, "camera matrix"),
        ({"camera_matrix": (K * [-1, 1, 1]).tolist(), "image_size": [4, 4]}, "“rig” must have a focal"),
        ({"camera_matrix": [[9, 1, 0], [0, 9, 0], [0, 0, 1]], "image_size": [4, 4]}, "fx 0 cx"),
        ({"camera_matrix": "x", "image_size": [4, 4]}, "not a matrix of numbers"),
        ({"K": K.tolist(), "image_size": [4, 4], "R": R.tolist()}, "without a translation"),
        ({"K": K.tolist(), "image_size": [4, 4], "R": (2 * R).tolist(), "t": [0, 0, 0]}, "is not one"),
        ({"K": K.tolist(), "image_size": [4, 4], "R": (-R).tolist(), "t": [0, 0, 0]}, "mirrors the world"),
        ({"K": K.tolist(), "image_size": [4, 4], "R": R.tolist(), "t": [0, 0]}, "translation"),
        ({"K": K.tolist(), "image_size": [4, 4], "distortion": [0] * 8 + [0.1, 0, 0, 0]}, "thin prism"),
        ({"K": K.tolist(), "image_size": [4, 4], "distortion_model": "equidistant"}, "fisheye"),
        ({"cameras": [{"name": "a", "K": K.tolist()}, {"name": "a", "K": K.tolist()}]}, "one name"),
        ({"cameras": []}, "no camera"),
        ({"something": 1}, "no camera matrix"),
        ([1, 2], "not a map"),
        ("{", "not JSON"),
        ("[" * 100000, "not JSON"),
    ],
)
def test_what_is_no_calibration_is_refused_in_words(tmp_path, content, words):
    with pytest.raises(UserError, match=words) as caught:
        load_calibration([written(tmp_path, "rig.json", content)])
    assert caught.value.code in ("bad_calibration", "calibration_image_size") and "rig.json" in caught.value.message


def test_other_files_are_refused_in_words(tmp_path):
    cases = {
        "gone.json": (None, "no calibration file"),
        "rig.txt": ("hello", "ends in none of"),
        "rig.yml": ("%YAML:1.0\n---\na: [1, 2", "not YAML"),
        "rig.xml": ("<opencv_storage><a>", "not YAML or XML"),
        "empty.yml": ("", "empty"),
        "c/cameras.txt": ("1 OPENCV_FISHEYE 4 4 1 1 1 1 0 0 0 0", "OPENCV_FISHEYE"),
        "d/cameras.txt": ("1 PINHOLE 4 4 1 1 1", "line 1 is not ID PINHOLE"),
        "e/cameras.txt": ("", "holds no camera"),
    }
    for name, (content, words) in cases.items():
        path = tmp_path / name if content is None else written(tmp_path, name, content)
        with pytest.raises(UserError, match=words):
            load_calibration([path])
    written(tmp_path, "c/images.txt", "1 1 0 0 0 0 0 0 1 a.jpg\n\n")
    written(tmp_path, "c/cameras.txt", "2 PINHOLE 4 4 1 1 1 1")
    with pytest.raises(UserError, match=r"line 1 is not an image of a camera in cameras\.txt"):
        load_calibration([tmp_path / "c"])
    with pytest.raises(UserError, match="no unit"):
        load_calibration([written(tmp_path, "rig.json", OWN)], "inch")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.data())
def test_damaged_files_only_raise_user_errors(tmp_path, data):
    text = json.dumps(OWN)
    at = data.draw(st.integers(0, len(text)))
    broken = text[:at] + data.draw(st.text(max_size=4)) + text[at + data.draw(st.integers(0, 6)) :]
    try:
        calibration = load_calibration([written(tmp_path, "rig.json", broken)])
        assert calibration.cameras
    except UserError as error:
        assert error.code in ("bad_calibration", "calibration_image_size", "bad_unit")


def rig(*names):
    return load_calibration_of({name: {"K": [[500 + i, 0, 4], [0, 500, 4], [0, 0, 1]]} for i, name in enumerate(names)})


def load_calibration_of(cameras):
    with tempfile.TemporaryDirectory() as folder:
        content = {"cameras": {name: {"image_size": [8, 8], **fields} for name, fields in cameras.items()}}
        return load_calibration([written(Path(folder), "rig.json", content)])


@pytest.mark.parametrize(
    ("names", "views", "expected"),
    [
        (("b", "a"), (("/x/A.mp4", "one"), ("/x/b.mp4", "two")), (501, 500)),
        (("b.png", "a.png"), (("/x/a.mp4", "one"), ("/x/b.mp4", "two")), (501, 500)),
        (("two", "one"), (("/x/a.mp4", "one"), ("/x/b.mp4", "two")), (501, 500)),
        (("left", "right"), (("/x/right_0001.png", "1"), ("/x/left_0001.png", "2")), (501, 500)),
        (("cam2", "cam1"), (("/x/cam1/0001.png", "1"), ("/x/cam2/0001.png", "2")), (501, 500)),
        (("cam2/0001.png", "cam1/0001.png"), (("/x/cam1/0001.png", "1"), ("/x/cam2/0001.png", "2")), (501, 500)),
        (("p", "q"), (("/x/a.mp4", "one"), ("/x/b.mp4", "two")), (500, 501)),
        (("p", "b", "a"), (("/x/a.mp4", "one"), ("/x/b.mp4", "two")), (502, 501)),
    ],
)
def test_cameras_find_their_views(names, views, expected):
    assert tuple(spec.focal_px for spec in cameras_for_views(rig(*names), views)) == expected


def test_views_without_a_camera_are_named():
    with pytest.raises(UserError, match=r"no camera for /x/b\.mp4; it has “a”, “c”"):
        cameras_for_views(rig("a", "c"), (("/x/a.mp4", "one"), ("/x/b.mp4", "two")))
    with pytest.raises(UserError, match="2 views, and cameras “p”, “q”, “r”"):
        cameras_for_views(rig("p", "q", "r"), (("/x/a.mp4", "one"), ("/x/b.mp4", "two")))


def test_another_image_size_is_scaled_or_refused():
    spec = CameraSpec((1920, 1080), 1500.0, 1.01, (960.0, 530.0), (0.1, 0.0, 0.0, 0.0))
    half = camera_for_size(spec, (960, 540), "left")
    assert half == replace(spec, image_size=(960, 540), focal_px=750.0, principal_point=(480.0, 265.0))
    assert camera_for_size(spec, (1920, 1080), "left") is spec
    for size in ((1080, 1920), (1280, 700), (1920, 1088)):
        with pytest.raises(UserError, match="calibrated for 1920 × 1080") as caught:
            camera_for_size(spec, size, "left")
        assert caught.value.code == "calibration_image_size" and "“left”" in caught.value.message


def test_the_scan(shared_data):
    folder = shared_data / "scan" / "lee_perry_smith"
    calibration = load_calibration([folder / "cameras.json"])
    views = [(str(path), path.stem) for path in sorted(folder.glob("view_*.jpg"))]
    specs = cameras_for_views(calibration, views)
    assert len(specs) == 10 and not calibration.metric
    assert all(spec.image_size == (768, 1024) and spec.principal_point == (384.0, 512.0) for spec in specs)
