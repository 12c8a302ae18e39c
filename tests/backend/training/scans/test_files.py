"""Scans and landmarks are read from what people have, and refused in words."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from backend.errors import UserError
from backend.head_model.converters.obj import read_obj
from backend.head_model.rigid import Similarity
from backend.training.scans.landmarks import NAMES, LandmarkFile, preselected, read_landmarks, write_landmarks
from backend.training.scans.mesh import metres_per_unit, read_scan
from backend.training.scans.registered import read_registered, write_registered

from .people import HEAD, person, truth_of

OBJ = """mtllib face.mtl
v 0 0 0
v 1 0 0
v 1 1 0
v 0 1 0
vt 0 0
vt 0.5 0
vt 0.5 1
vt 0 1
f 1/1 2/2 3/3 4/4
f -4/-4 -3/-3 -2/-2
"""


def test_an_obj_brings_its_picture_and_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "face.obj").write_text(OBJ)
    (tmp_path / "face.mtl").write_text("newmtl skin\nmap_Kd maps\\skin.png\n")
    cv2.imwrite(str(tmp_path / "skin.png"), np.full((4, 8, 3), (10, 20, 30), np.uint8))
    mesh = read_scan(tmp_path / "face.obj")
    assert mesh.triangles.tolist() == [[0, 1, 2], [0, 2, 3], [0, 1, 2]]
    assert mesh.corner_uv is not None and mesh.texture is not None
    assert mesh.corner_uv[1].tolist() == [[0, 0], [0.5, 1], [0, 1]]
    assert mesh.corner_uv[2].tolist() == mesh.corner_uv[0].tolist()
    assert mesh.texture.shape == (4, 8, 3) and mesh.texture[0, 0].tolist() == [30, 20, 10]


def test_plys_are_read_in_all_three_formats(tmp_path: Path) -> None:
    points = np.array([[0, 0, 0], [1, 0, 0.5], [0, 2, 0]], np.float32)
    for name, order in (("ascii", ""), ("binary_little_endian", "<"), ("binary_big_endian", ">")):
        header = (
            f"ply\nformat {name} 1.0\ncomment made by hand\nelement vertex 3\nproperty float x\nproperty float y\n"
            "property float z\nproperty uchar red\nproperty uchar green\nproperty uchar blue\nelement face 1\n"
            "property list uchar int vertex_indices\nend_header\n"
        )
        if order:
            body = (
                b"".join(np.asarray(row, f"{order}f4").tobytes() + bytes([255, 0, 51]) for row in points)
                + b"\x03"
                + np.array([0, 1, 2], f"{order}i4").tobytes()
            )
        else:
            body = "".join(f"{x} {y} {z} 255 0 51\n" for x, y, z in points).encode() + b"3 0 1 2\n"
        path = tmp_path / f"{name}.ply"
        path.write_bytes(header.encode() + body)
        mesh = read_scan(path)
        assert np.array_equal(mesh.vertices, points) and mesh.triangles.tolist() == [[0, 1, 2]]
        assert mesh.colors is not None and np.allclose(mesh.colors[1], [1, 0, 0.2])


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.ply", b"ply\nformat ascii 1.0\nelement vertex 99999999999\nend_header\n", "claims"),
        ("b.ply", b"ply\nformat binary_little_endian 1.0\nelement vertex 5\nproperty float x\nend_header\n", "cut off"),
        ("c.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nf 1/9 2/1 3/1\n", "texture"),
        ("d.glb", b"glTF", "neither"),
    ],
)
def test_damaged_scans_are_refused_by_name(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_scan(path)
    assert caught.value.code == "bad_mesh" and name in caught.value.message and why in caught.value.message


def test_units_are_words_or_lengths() -> None:
    assert metres_per_unit("mm") == 0.001 and metres_per_unit("0.05") == 0.05
    for wrong in ("inch", "-1", "nan", "0"):
        with pytest.raises(UserError, match="unit"):
            metres_per_unit(wrong)


def test_landmarks_come_back_as_they_were_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    position = rng.normal(size=(len(NAMES), 3))
    position[NAMES.index("nose_3")] = np.nan
    vertices = preselected(HEAD)[:5]
    places = rng.normal(size=(5, 3))
    sigma = np.full(len(NAMES) + 5, 0.002)
    path = tmp_path / "marks.json"
    write_landmarks(path, LandmarkFile(position, "mediapipe", vertices, places, sigma))
    again = read_landmarks(path, HEAD.vertex_count)
    assert again.by == "mediapipe" and np.array_equal(again.vertices, vertices)
    assert np.array_equal(again.position, position, equal_nan=True) and np.array_equal(again.places, places)
    on = again.on_head(HEAD)
    assert len(on.on) == len(NAMES) - 1 + 5 and np.allclose(on.sigma, 0.002)
    corner = HEAD.triangles[on.on.triangle[-1]][on.on.barycentric[-1].argmax()]
    assert corner == vertices[-1]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ([], "no “landmarks”"),
        ({"landmarks": {"chin": [0, 0, 0]}}, "chin"),
        ({"landmarks": {"nose_1": [0, 0]}}, "three numbers"),
        ({"landmarks": {"nose_1": [0, 0, 0]}}, "at least 12"),
        ({"landmarks": {}, "vertices": {"99999": [0, 0, 0]}}, "no vertex"),
    ],
)
def test_wrong_landmarks_are_refused(tmp_path: Path, value: object, why: str) -> None:
    path = tmp_path / "marks.json"
    path.write_text(json.dumps(value))
    with pytest.raises(UserError) as caught:
        read_landmarks(path, HEAD.vertex_count)
    assert caught.value.code == "bad_file" and why in caught.value.message


def test_the_preselected_are_spread_over_the_face_and_away_from_rims() -> None:
    chosen = preselected(HEAD)
    points = HEAD.template[chosen].astype(float)
    assert len(chosen) == 120 and HEAD.regions["face"][chosen].all()
    apart = np.linalg.norm(points[:, None] - points[None], axis=2) + np.eye(len(chosen))
    assert apart.min() > 0.004
    assert not HEAD.regions["eye_sockets"][chosen].any() and not HEAD.regions["mouth_bag"][chosen].any()


def test_a_registered_scan_comes_back_with_its_scan(tmp_path: Path) -> None:
    (tmp_path / "face.obj").write_text(OBJ)
    cv2.imwrite(str(tmp_path / "skin.png"), np.full((4, 8, 3), 77, np.uint8))
    found = replace(truth_of(person()), unit=0.01, move=Similarity(0.9, np.eye(3)[[1, 2, 0]], np.arange(3.0)))
    write_registered(tmp_path / "out", HEAD, found, tmp_path / "face.obj", tmp_path / "skin.png", "mediapipe")
    again = read_registered(tmp_path / "out", HEAD)
    assert again.name == "out" and again.by == "mediapipe" and again.found.report == found.report
    assert np.array_equal(again.found.vertices, found.vertices) and np.array_equal(again.found.known, found.known)
    assert again.found.move.scale == 0.9 and np.array_equal(again.found.move.rotation, found.move.rotation)
    assert again.mesh.texture is not None and again.mesh.texture.max() == 77
    # the head lies on the scan in the scan's own unit
    mesh = read_obj(tmp_path / "out" / "registered.obj")
    assert np.allclose(mesh.vertices, found.vertices * 100, atol=1e-4) and len(mesh.triangles) == len(HEAD.triangles)
    about = tmp_path / "out" / "registered.json"
    about.write_text(about.read_text().replace(HEAD.hash, "0" * 16))
    with pytest.raises(UserError) as caught:
        read_registered(tmp_path / "out", HEAD)
    assert caught.value.code == "other_head"
