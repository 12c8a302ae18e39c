"""Calibrated photographs become samples: what the labels name is where the picture shows it."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from backend.errors import UserError
from backend.head_model.registration.parts import parts_of_open_head
from backend.head_model.rigid import Similarity
from backend.training.config import CONFIGS
from backend.training.data.shards import Shard
from backend.training.scans.cli import app
from backend.training.scans.layouts.famos import read_tka
from backend.training.scans.layouts.registry import read_layout
from backend.training.scans.layouts.types import Photograph
from backend.training.scans.photographs import PhotographSource, photographed, resampled
from backend.training.scans.register import Registered
from backend.training.scans.registered import read_registered, write_registered
from backend.training.synthetic.views import Camera

from .people import HEAD, UNREPORTED, person, scanned
from .test_layouts import TKA, touched

LEVEL = cv2.Rodrigues(np.array([0.3, -0.7, 0.2]))[0]  # the head in the scan's frame
SHIFT = np.array([0.4, -0.2, 0.9])  # metres; the scan's unit is a millimetre
K = np.array([[2600.0, 0, 780], [0, 2626.0, 610], [0, 0, 1]])
BENT = (-0.5, 0.3, 0.004, -0.003, 0.1)
SIZE = (1600, 1200)
MARKS = (4, 152, 10, 168, 280)  # MediaPipe's nose, chin, forehead, between the eyes, left cheek


def on_scan(head: np.ndarray) -> np.ndarray:
    """Millimetres in the scan's frame of metres in the head's."""
    return (head @ LEVEL.T + SHIFT) * 1000


def camera(yaw: float, place: tuple[float, float, float], roll: float = 90.0) -> np.ndarray:
    """(3,4) on the scan, from ``yaw`` degrees at the head's left; the camera lies on its side."""
    turn = cv2.Rodrigues(np.array([0, np.deg2rad(-yaw), 0]))[0]
    rotation = cv2.Rodrigues(np.array([0, 0, np.deg2rad(roll)]))[0] @ np.diag([1.0, -1, -1]) @ turn @ LEVEL.T
    return np.column_stack([rotation, np.array(place) * 1000 - rotation @ SHIFT * 1000])


VIEWS = {
    "0": camera(40, (0.09, -0.05, 1.1)),
    "1": camera(180, (0, 0, 1.1)),
    "2": camera(0, (3, 0, 1.1)),  # it looks past the face
}


def spot_vertices() -> np.ndarray:
    landmarks = HEAD.landmarks["mediapipe478"]
    corner = landmarks.barycentric.argmax(axis=1)
    return HEAD.triangles[landmarks.triangle, corner][list(MARKS)]


def hues() -> np.ndarray:
    """Directions of colours (5,3) without grey, far from each other."""
    angle = np.arange(len(MARKS))[:, None] * 2 * np.pi / len(MARKS) + np.array([0, 2, 4]) * np.pi / 3
    return np.cos(angle)


def shown_at(vertices: np.ndarray) -> np.ndarray:
    """Where the first view shows vertices (n,3), as OpenCV has it: whole numbers are pixels' centres."""
    pose = VIEWS["0"]
    places, _ = cv2.projectPoints(on_scan(vertices), cv2.Rodrigues(pose[:, :3])[0], pose[:, 3], K, np.array(BENT))
    return places[:, 0]


def photograph(vertices: np.ndarray) -> np.ndarray:
    """Grey, with a soft spot of its own colour where OpenCV says that the lens shows each of the vertices."""
    places = shown_at(vertices[spot_vertices()])
    row, column = np.mgrid[: SIZE[1], : SIZE[0]]
    picture = np.full((*row.shape, 3), 128.0)
    for (x, y), hue in zip(places, hues(), strict=True):
        picture += 110 * np.exp(-((column - x) ** 2 + (row - y) ** 2) / (2 * 8.0**2))[..., None] * hue
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)


def write_ply(path: Path, vertices: np.ndarray, triangles: np.ndarray) -> None:
    header = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {len(vertices)}\nproperty float x\nproperty float y\n"
        f"property float z\nelement face {len(triangles)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    faces = np.empty(len(triangles), [("n", "u1"), ("v", "<i4", 3)])
    faces["n"], faces["v"] = 3, triangles
    path.parent.mkdir(parents=True)
    path.write_bytes(header.encode() + vertices.astype("<f4").tobytes() + faces.tobytes())


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """FaceScape's two folders with one person, and the scan registered as it is."""
    folder = tmp_path_factory.mktemp("facescape")
    head = person()
    take = folder / "images" / "7" / "1_neutral"
    table = {}
    for view, pose in VIEWS.items():
        one = {"K": K.tolist(), "Rt": pose.tolist(), "distortion": BENT, "valid": True}
        table |= {f"{view}_{key}": value for key, value in (one | {"width": SIZE[0], "height": SIZE[1]}).items()}
        touched(take / f"{view}.jpg")
    touched(take / "params.json", json.dumps(table))
    fine = (cv2.IMWRITE_JPEG_QUALITY, 100, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
    cv2.imwrite(str(take / "0.jpg"), photograph(head)[..., ::-1], fine)
    scan = folder / "meshes" / "7" / "1_neutral.ply"
    write_ply(scan, on_scan(head), scanned(head).triangles)
    known = parts_of_open_head(HEAD)["outer"]
    found = Registered(on_scan(head) / 1000, known, 0.001, Similarity(1.0, LEVEL, SHIFT), UNREPORTED)
    write_registered(folder / "registered", HEAD, found, scan, None, "annotated")
    return folder


def layout(folder: Path):
    return read_layout("facescape", [folder / "images", folder / "meshes"])


@pytest.fixture(scope="module")
def scans(folder):
    found, left_out = photographed(layout(folder), [read_registered(folder / "registered", HEAD)], HEAD)
    assert not left_out
    return found


def test_views_from_behind_and_past_the_face_are_left_out(scans) -> None:
    assert [(one.person, [view.path.name for view in one.photographs]) for one in scans] == [("7", ["0.jpg"])]


def test_labels_lie_where_the_picture_shows_them(scans) -> None:
    with PhotographSource(scans) as source:
        sample = source.sample(5, np.random.default_rng(0))
    assert sample.image.shape == (288, 288, 3) and sample.source == "photograph 7/registered/0"
    spots = spot_vertices()
    row, column = np.mgrid[:288, :288] + 0.5
    shades = sample.image - sample.image.mean(axis=2, keepdims=True)
    for vertex, hue in zip(spots, hues(), strict=True):
        like = shades @ hue
        share = np.clip(like - 0.6 * like.max(), 0, None)
        place = np.array([(column * share).sum(), (row * share).sum()]) / share.sum()
        assert np.linalg.norm(place - sample.mu[vertex]) < 0.05
    assert sample.visible[spots].all() and (sample.weight[spots] == 1).all()
    assert (
        sample.foreground[np.floor(sample.mu[spots, 1]).astype(int), np.floor(sample.mu[spots, 0]).astype(int)] == 255
    ).all()
    assert abs(sample.crop.roll) < 0.5 and sample.crop.side == pytest.approx(192, rel=0.02)  # upright again
    ears = HEAD.regions["ears"] & parts_of_open_head(HEAD)["outer"]
    right = np.flatnonzero(ears & (HEAD.template[:, 0] < 0))
    left = np.flatnonzero(ears & (HEAD.template[:, 0] > 0))
    assert not sample.visible[right].any() and sample.visible[left].mean() > 0.3
    assert np.isfinite(sample.mu).all()


def test_what_is_beyond_the_pictures_edge_is_not_seen(scans, tmp_path) -> None:
    whole = scans[0].photographs[0]
    across = shown_at(person())[:, 0]
    edge = int(np.median(across[spot_vertices()]))
    picture = cv2.imread(str(whole.path))[:, :edge]
    cv2.imwrite(str(tmp_path / "part.png"), picture)
    with PhotographSource(scans) as source:
        before, cut = (
            source.cut(0, one) for one in (whole, replace(whole, path=tmp_path / "part.png", size=(edge, 1200)))
        )
    beyond = across > edge
    vertices = slice(HEAD.vertex_count)
    assert before.visible[vertices][beyond].sum() > 500 and not cut.visible[vertices][beyond].any()
    near = across < edge - 1
    assert np.array_equal(before.visible[vertices][near], cut.visible[vertices][near])
    assert np.array_equal(before.mu, cut.mu)
    column, row = np.floor(cut.mu[vertices][(across > edge + 9) & before.visible[vertices]]).astype(int).T
    inside = (column >= 0) & (column < 288) & (row >= 0) & (row < 288)
    assert not cut.image[row[inside], column[inside]].any()


def test_the_command_fills_a_pool_that_is_not_taken_for_one_of_drawn_scans(folder, tmp_path) -> None:
    config = tmp_path / "few.toml"
    text = (CONFIGS / "scans.toml").read_text().replace("per_shard = 64", "per_shard = 1")
    text = text.replace("\nshards = 2", "\nshards = 1").replace("first_shards = 2", "first_shards = 1")
    config.write_text(text.replace("dev_samples = 32", "dev_samples = 1"))
    places = [str(folder / name) for name in ("images", "meshes")]
    given = ["--registered", str(folder / "registered"), "--out", str(tmp_path / "pool"), "--config", str(config)]
    shown = CliRunner().invoke(app, ["photographs", "facescape", *places, *given])
    assert shown.exit_code == 0, shown.output
    assert "photographs: 1, of registered scans: 1" in shown.output
    assert Shard(tmp_path / "pool" / "train" / "shard-00000")
    again = CliRunner().invoke(app, ["render", str(folder / "registered"), *given[2:]])
    assert isinstance(again.exception, UserError) and again.exception.code == "other_pool"


def test_scans_of_elsewhere_are_refused_by_name(folder, tmp_path) -> None:
    elsewhere = tmp_path / "meshes" / "7" / "1_neutral.ply"
    elsewhere.parent.mkdir(parents=True)
    elsewhere.write_bytes((folder / "meshes" / "7" / "1_neutral.ply").read_bytes())
    known = read_registered(folder / "registered", HEAD)
    write_registered(tmp_path / "other", HEAD, known.found, elsewhere, None, "annotated")
    with pytest.raises(UserError) as caught:
        photographed(layout(folder), [read_registered(tmp_path / "other", HEAD)], HEAD)
    assert caught.value.code == "no_photos" and str(elsewhere) in caught.value.message


def test_smaller_copies_are_read_and_cut_ones_refused(tmp_path) -> None:
    touched(tmp_path / "a.tka", TKA.replace("K: 0.001", "K: 0.0"))
    lens = read_tka(tmp_path / "a.tka")
    view = Photograph(tmp_path / "a.png", lens.lens, lens.world_to_camera, lens.size)
    # a quarter of the calibrated 1600×1200, in colours that count its columns and rows
    row, column = np.mgrid[:300, :400]
    picture = np.stack([column % 256, row % 256, 0 * row], axis=2).astype(np.uint8)
    # its own pixels, as focal length and middle are a quarter too, from column 180 and row 140 on
    camera = Camera(500.0, (200.0 - 180, 150.0 - 140))
    seen = resampled(picture, view, camera, np.eye(3), 32)
    assert np.array_equal(seen, picture[140:172, 180:212])
    with pytest.raises(UserError, match="400×200 pixels") as caught:
        resampled(picture[:200], view, camera, np.eye(3), 32)
    assert caught.value.code == "bad_file"


def test_tsais_form_shows_nothing_beyond_its_fold(tmp_path) -> None:
    touched(tmp_path / "a.tka", TKA.replace("K: 0.001", "K: -0.015625"))  # r_u = r_d (1 - r_d²), at most 0.3849
    pixels = read_tka(tmp_path / "a.tka").through_lens(np.array([[0.375, 0.0], [0.4, 0.0], [0.0, -0.9], [0.0, 0.0]]))
    assert np.allclose(pixels[0], [800 + 2000 * 0.5, 600]) and np.allclose(pixels[3], [800, 600])
    assert np.isnan(pixels[1:3]).all()
