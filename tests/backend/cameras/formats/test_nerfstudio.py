"""transforms.json: OpenGL's camera-to-world matrices become OpenCV's world-to-camera, lenses for all or for each."""

from __future__ import annotations

import numpy as np
import pytest

from backend.cameras.calibration import cameras_for_views, load_calibration
from protocol.messages import DistortionModel
from tests.backend.cameras.written import FISHEYE, D, R, T, assert_is, refusal, written

LENS = {"fl_x": 1500.0, "fl_y": 1510.0, "cx": 955.5, "cy": 541.25, "w": 1920, "h": 1080}
TERMS = dict(zip(("k1", "k2", "p1", "p2", "k3"), D.tolist(), strict=True))
WIDE = dict(zip(("k1", "k2", "k3", "k4"), FISHEYE.tolist(), strict=True))


def frame(name, **fields):
    to_world = np.eye(4)
    to_world[:3, :3] = R.T @ np.diag([1.0, -1.0, -1.0])
    to_world[:3, 3] = -R.T @ T
    return {"file_path": name, "transform_matrix": to_world.tolist(), **fields}


def cameras(tmp_path, **root):
    return load_calibration([written(tmp_path, "transforms.json", root)]).cameras


def test_a_lens_for_all_pictures(tmp_path):
    frames = [frame("./images/cam0/0001.png"), frame("images/cam1/0001.png")]
    found = cameras(tmp_path, camera_model="OPENCV", **LENS, **TERMS, applied_transform=[[1, 0, 0, 0]], frames=frames)
    assert [camera.name for camera in found] == ["./images/cam0/0001.png", "images/cam1/0001.png"]
    for camera in found:
        assert_is(camera.spec, centred=False)


def test_a_lens_for_each_picture(tmp_path):
    frames = [frame("a.png", **LENS, **TERMS), frame("b.png", **LENS, **WIDE, camera_model="OPENCV_FISHEYE")]
    straight, wide = cameras(tmp_path, frames=frames)
    assert_is(straight.spec, centred=False)
    assert_is(wide.spec, centred=False, distortion=FISHEYE, model=DistortionModel.FISHEYE)


def test_an_angle_of_view_and_a_flag(tmp_path):
    (camera,) = cameras(tmp_path, camera_angle_x=2 * np.arctan(0.5), w=1920.0, h=1080, frames=[frame("train/r_0")])
    assert camera.spec.focal_px == pytest.approx(1920) and camera.spec.principal_point == (960.0, 540.0)
    (wide,) = cameras(tmp_path, is_fisheye=True, **LENS, **WIDE, frames=[frame("train/r_0")])
    assert_is(wide.spec, centred=False, distortion=FISHEYE, model=DistortionModel.FISHEYE)
    (spec,) = cameras_for_views(load_calibration([tmp_path / "transforms.json"]), [("/x/train/r_0.png", "camera")])
    assert spec == wide.spec


@pytest.mark.parametrize(
    ("root", "words"),
    [
        ({"camera_model": "EQUIRECTANGULAR"}, "“EQUIRECTANGULAR”"),
        ({"camera_model": "OPENCV", "k4": 0.1}, "has a k4"),
        ({"camera_model": "OPENCV_FISHEYE", "p1": 0.1}, "the term p1"),
        ({"fl_x": "1500"}, "“fl_x” of “a.png”"),
        ({"fl_x": None}, "neither fl_x nor camera_angle_x"),
        ({"fl_x": None, "camera_angle_x": 4.0}, "camera_angle_x"),
        ({"w": None}, "image size “a.png”"),
        ({"frames": [frame("a.png"), {"file_path": "b.png"}]}, "transform_matrix of “b.png”"),
        ({"frames": [frame("a.png"), frame(7)]}, "frame 2 has no file_path"),
        (
            {"frames": [{"file_path": "a.png", "transform_matrix": (3 * np.eye(4)).tolist()}]},
            "transform_matrix of “a.png”",
        ),
        ({"frames": [frame("a.png"), frame("a.png")]}, "two cameras are called “a.png”"),
    ],
)
def test_what_is_refused(tmp_path, root, words):
    content = {**LENS, "frames": [frame("a.png")], **root}
    assert words in refusal(written(tmp_path, "transforms.json", content))
