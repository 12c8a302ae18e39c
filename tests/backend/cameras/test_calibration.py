"""Calibration files as OpenCV, ROS, COLMAP and we write them come back as the cameras that were written."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from backend.cameras.calibration import camera_for_size, cameras_for_views, load_calibration
from backend.errors import UserError
from protocol.messages import CameraSpec, DistortionModel
from tests.backend.cameras.written import D, K, R, T, assert_is, opencv_file, written


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
        "Ks": [np.diag([900.0, 900.0, 1.0]).tolist(), K.tolist()],
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
        "c/cameras.txt": ("1 FOV 4 4 1 1 1 1 0", "FOV"),
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
    wide = replace(spec, distortion_model=DistortionModel.FISHEYE)
    assert camera_for_size(wide, (960, 540), "left") == replace(half, distortion_model=DistortionModel.FISHEYE)
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
