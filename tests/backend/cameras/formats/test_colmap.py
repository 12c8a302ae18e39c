"""COLMAP's text and binary models are the same cameras, whatever their lens; what lies about itself is refused."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from backend.cameras.calibration import load_calibration
from backend.cameras.formats.colmap_models import MODELS, PARAMETERS
from backend.errors import UserError
from protocol.messages import DistortionModel
from tests.backend.cameras.written import SIZE, R, T, written

VALUES = {"f": 1500.0, "fx": 1500.0, "fy": 1510.0, "cx": 955.5, "cy": 541.25}
VALUES |= {"k1": 0.1, "k2": -0.2, "p1": 0.001, "p2": -0.002, "k3": 0.05, "k4": 0.01, "k5": 0.02, "k6": 0.03}
X, Y, Z, W = Rotation.from_matrix(R).as_quat()
NAMES = ("cam a/left.jpg", "right.jpg")


def parameters(model):
    zeros = ("p1", "p2", "sx1", "sy1") if model == "THIN_PRISM_FISHEYE" else ()
    return [0.0 if name in zeros else VALUES[name] for name in PARAMETERS[model]]


def text_model(folder, model="PINHOLE", names=NAMES, points="1.0 2.0 -1"):
    values = " ".join(str(value) for value in parameters(model))
    written(folder, "cameras.txt", f"# Camera list\n3 {model} 1920 1080 {values}\n")
    pose = f"7 {W} {X} {Y} {Z} {T[0]} {T[1]} {T[2]} 3"
    written(folder, "images.txt", "# Images\n" + "".join(f"{pose} {name}\n{points}\n" for name in names))
    return folder


def camera_bytes(model="PINHOLE", kind=None, key=3):
    values = parameters(model)
    kind = list(PARAMETERS).index(model) if kind is None else kind
    return struct.pack(f"<IiQQ{len(values)}d", key, kind, *SIZE, *values)


def image_bytes(name, points=2, claimed=None, key=3):
    head = struct.pack("<I7dI", 7, W, X, Y, Z, *T, key) + name.encode() + b"\0"
    return head + struct.pack("<Q", points if claimed is None else claimed) + bytes(24 * points)


def binary_model(folder, model="PINHOLE", names=NAMES):
    written(folder, "cameras.bin", struct.pack("<Q", 1) + camera_bytes(model))
    images = b"".join(image_bytes(name, points) for points, name in enumerate(names))
    written(folder, "images.bin", struct.pack("<Q", len(names)) + images)
    return folder


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("write", [text_model, binary_model])
def test_every_model_that_is_read(tmp_path, model, write):
    folder = write(tmp_path / "model", model)
    for path in (folder, *sorted(folder.iterdir())):
        calibration = load_calibration([path])
        assert [camera.name for camera in calibration.cameras] == list(NAMES) and not calibration.metric
        spec = calibration.cameras[0].spec
        assert spec.image_size == SIZE and spec.principal_point == (955.5, 541.25) and spec.focal_px == 1500
        assert spec.focal_ratio == pytest.approx(1510 / 1500 if "fy" in PARAMETERS[model] else 1.0)
        np.testing.assert_allclose(np.reshape(spec.world_to_camera, (3, 4)), np.column_stack([R, T]), atol=1e-12)
        wide = "FISHEYE" in model
        assert spec.distortion_model is (DistortionModel.FISHEYE if wide else DistortionModel.BROWN_CONRADY)
        order = ("k1", "k2", "k3", "k4") if wide else ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
        said = dict(zip(PARAMETERS[model], parameters(model), strict=True))
        expected = [said.get(name, 0.0) for name in order]
        np.testing.assert_allclose(np.pad(spec.distortion, (0, len(order) - len(spec.distortion))), expected)
    next(folder.glob("images.*")).unlink()
    lens_only = load_calibration([folder])
    assert lens_only.cameras[0].name == "3" and lens_only.cameras[0].spec.world_to_camera is None and lens_only.metric


def test_binary_counts_where_both_are_there_as_with_colmap(tmp_path):
    text_model(tmp_path, names=("old.jpg",))
    binary_model(tmp_path / "sparse" / "0")
    assert len(load_calibration([tmp_path]).cameras) == 1
    binary_model(tmp_path)
    assert [camera.name for camera in load_calibration([tmp_path]).cameras] == list(NAMES)
    for name in ("cameras.bin", "images.bin", "cameras.txt", "images.txt"):
        (tmp_path / name).unlink()
    assert [camera.name for camera in load_calibration([tmp_path]).cameras] == list(NAMES), "in sparse/0"


def test_lines_of_points_may_have_any_length(tmp_path):
    folder = text_model(tmp_path, points=" ".join(["12.5 7.25 -1"] * 20_000))
    assert [camera.name for camera in load_calibration([folder]).cameras] == list(NAMES)


@pytest.mark.parametrize(
    ("cameras", "images", "words"),
    [
        ("1 FOV 4 4 1 1 1 1 0.5", None, "camera model “FOV”"),
        ("1 DIVISION 4 4 1 1 1 1 0.5", None, "camera model “DIVISION”; known are SIMPLE_PINHOLE, PINHOLE"),
        ("1 THIN_PRISM_FISHEYE 4 4 1 1 1 1 0 0 0 0 0 0 0.1 0", None, "the term sx1"),
        ("1 PINHOLE 4 4 1 1 1", None, "line 1 is not ID PINHOLE"),
        ("1 PINHOLE 4 4 1 1 1 1\n1 PINHOLE 4 4 1 1 1 1", None, "line 2 is a second camera 1"),
        ("1 PINHOLE 4 4 nan 1 1 1", None, "camera matrix of “1”"),
        ("1 PINHOLE 4 4 1 1 1 1", "1 1 0 0 0 0 0 0 2 a.jpg\n\n", "line 1 is not an image"),
        ("1 PINHOLE 4 4 1 1 1 1", "1 0 0 0 0 0 0 0 1 a.jpg\n\n", "line 1 has a rotation"),
        ("1 PINHOLE 4 4 1 1 1 1", "1 1 0 0 0 inf 0 0 1 a.jpg\n\n", "line 1 has a rotation"),
        ("1 PINHOLE 4 4 1 1 1 1", "1 1 0 0 0 0 0 0 1 a.jpg\n2 1 0 0 0 0 0 0 1 b.jpg\n", "line 2 should list points"),
        ("1 PINHOLE 4 4 1 1 1 1", "1 1 0 0 0 0 0 0 1 " + "a" * 20_000, "line 1 is too long"),
        ("1 PINHOLE 4 4 1 1 1 1", "1 1 0 0 0 0 0 0 1 a\n\n" * 2, "two cameras are called “a”"),
    ],
)
def test_text_that_is_refused(tmp_path, cameras, images, words):
    written(tmp_path, "cameras.txt", cameras)
    if images is not None:
        written(tmp_path, "images.txt", images)
    with pytest.raises(UserError) as caught:
        load_calibration([tmp_path])
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("cameras", "images", "words"),
    [
        (struct.pack("<Q", 1) + camera_bytes(kind=7), None, "camera model “FOV”"),
        (struct.pack("<Q", 1) + camera_bytes(kind=40), None, "camera model “number 40”"),
        (struct.pack("<Q", 1) + camera_bytes(kind=-1), None, "camera model “number -1”"),
        (struct.pack("<Q", 1 << 60) + camera_bytes(), None, "ends early"),
        (struct.pack("<Q", 2) + camera_bytes() * 2, None, "second one of number 3"),
        (struct.pack("<Q", 1) + camera_bytes() + b"x", None, "1 bytes are left over"),
        (None, struct.pack("<Q", 1 << 60) + image_bytes("a"), "more than"),
        (None, struct.pack("<Q", 2) + image_bytes("a"), "ends early"),
        (None, struct.pack("<Q", 1) + image_bytes("a", claimed=1 << 61), "ends early"),
        (None, struct.pack("<Q", 1) + image_bytes("a", key=4), "image 1 is of camera 4"),
        (None, struct.pack("<Q", 1) + image_bytes("a" * 5000), "name in it has no end"),
        (None, b"", "empty"),
    ],
)
def test_bytes_that_are_refused(tmp_path, cameras, images, words):
    written(tmp_path, "cameras.bin", cameras or struct.pack("<Q", 1) + camera_bytes())
    if images is not None:
        written(tmp_path, "images.bin", images)
    with pytest.raises(UserError) as caught:
        load_calibration([tmp_path])
    assert words in caught.value.message


def test_a_model_without_lenses(tmp_path):
    (text_model(tmp_path) / "cameras.txt").unlink()
    with pytest.raises(UserError, match=r"no such file beside images\.txt"):
        load_calibration([tmp_path / "images.txt"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.data())
def test_damaged_models_only_raise_user_errors(tmp_path, data):
    name = data.draw(st.sampled_from(["cameras.bin", "images.bin", "cameras.txt", "images.txt"]))
    folder = (binary_model if name.endswith("bin") else text_model)(tmp_path / name[-3:])
    whole = (folder / name).read_bytes()
    at = data.draw(st.integers(0, len(whole)))
    (folder / name).write_bytes(
        whole[:at] + data.draw(st.binary(max_size=6)) + whole[at + data.draw(st.integers(0, 9)) :]
    )
    try:
        assert load_calibration([folder]).cameras
    except UserError as error:
        assert error.code in ("bad_calibration", "calibration_image_size")
