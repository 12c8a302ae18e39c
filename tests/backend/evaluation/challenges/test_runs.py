"""Whole runs of our tracker on rendered pictures in the challenges' layouts: predictions, figures, tables, resuming."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from backend.cli import app
from backend.errors import ErrorCode, UserError
from backend.evaluation.challenges.facescape.run import FaceScapeOptions, run_facescape
from backend.evaluation.challenges.multiface.run import MultifaceOptions, run_multiface
from backend.evaluation.challenges.multiface.topology import read_topology
from backend.evaluation.challenges.now.run import NowOptions, run_now
from backend.evaluation.metrics.rigid_alignment import KEYPOINTS7
from backend.evaluation.trackers.flowface import FlowFace
from backend.head_model.converters.obj import read_obj
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel, surface_positions
from backend.synthesis.clip import render_performance
from backend.synthesis.performance import demo_performance, seen_from, world_vertices
from tests.backend.evaluation.challenges.made import write_lab, write_obj, write_pp, write_subject, write_wild

SIDE, FOCAL = 256, 350.0
INTRINSIC = np.array([[FOCAL, 0, SIDE / 2], [0, FOCAL, SIDE / 2], [0, 0, 1]])
BESIDE = np.array([[0.94, 0, -0.342, 0.188], [0, 1, 0, 0], [0.342, 0, 0.94, 0.033]])
"""[R | t], metres, of a camera that sees the head, 0.55 m away, from 20° to its side."""


@dataclass(frozen=True)
class Film:
    """Two frames of a head: ``vertices (2,V,3)`` metres in the first camera's space; pictures by camera and frame."""

    head: HeadModel
    neutral: NDArray[Any]
    vertices: NDArray[Any]
    pictures: dict[str, list[Path]]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    head, folder = load_head("open"), tmp_path_factory.mktemp("film")
    performance = demo_performance(head, frame_count=2, side=SIDE, focal_px=FOCAL)
    pictures: dict[str, list[Path]] = {}
    for name, seen in (("1", performance), ("2", seen_from(performance, BESIDE, FOCAL))):
        pictures[name] = [folder / f"{name}_{i}.png" for i in range(2)]
        for path, picture in zip(pictures[name], render_performance(head, seen), strict=True):
            Image.fromarray(picture).save(path)
    return Film(head, head.neutral(performance.identity), world_vertices(head, performance), pictures)


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> FlowFace:
    return FlowFace(tmp_path_factory.mktemp("alignments"))


@pytest.fixture(scope="module")
def now_data(film: Film, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One person of two pictures, and a scan that lies elsewhere."""
    folder = tmp_path_factory.mktemp("now")
    lines = [f"P1/multiview_neutral/IMG_{i}.png" for i in range(2)]
    for line, picture in zip(lines, film.pictures["1"], strict=True):
        place = folder / "final_release_version" / "iphone_pictures" / line
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(picture.read_bytes())
    (folder / "imagepathsvalidation.txt").write_text("\n".join(lines))
    elsewhere = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]], np.float64)
    points = surface_positions(film.head.landmarks["ibug68"], film.head.triangles, film.neutral)[list(KEYPOINTS7)]
    within = film.head.regions["mouth_bag"] | film.head.regions["eye_sockets"]
    outside = film.head.regions["skin"] & ~within
    kept = film.head.triangles[outside[film.head.triangles].all(axis=1)]
    scan = film.neutral[outside] * 1000 @ elsewhere + [40, -30, 900]
    write_obj(folder / "scans" / "P1" / "natural.obj", scan, (np.cumsum(outside) - 1)[kept])
    write_pp(folder / "scans_lmks_onlypp" / "P1" / "natural.pp", points * 1000 @ elsewhere + [40, -30, 900])
    return folder


@pytest.mark.slow
def test_now_is_predicted_measured_and_resumed(
    now_data: Path, film: Film, tracker: FlowFace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = NowOptions(now_data, tmp_path / "out")
    told = run_now(options, tracker)
    assert (told["summary"][""]["pictures"], told["summary"][""]["measured"]) == (2, 2)
    assert 0.1 < told["summary"][""]["median"] < told["summary"][""]["mean"] < 2.5
    printed = capsys.readouterr().out
    assert "FlowFace (paper)" in printed and "0.82" in printed and "ours: flowface-mediapipe" in printed
    prediction = tmp_path / "out" / "predicted" / "P1" / "multiview_neutral" / "IMG_1.obj"
    mesh, points = read_obj(prediction), np.load(prediction.with_suffix(".npy"))
    assert len(mesh.vertices) == film.head.vertex_count and points.shape == (7, 3)
    true = surface_positions(film.head.landmarks["ibug68"], film.head.triangles, mesh.vertices)[list(KEYPOINTS7)]
    np.testing.assert_allclose(points, true, atol=1e-5)

    files = [path for path in (tmp_path / "out").rglob("*") if path.suffix in (".obj", ".npy", ".npz")]
    before = {path: path.stat().st_mtime_ns for path in files}
    assert run_now(options, tracker)["summary"] == told["summary"]
    assert len(files) == 6 and {path: path.stat().st_mtime_ns for path in files} == before


@pytest.mark.slow
def test_now_takes_a_person_s_pictures_together(now_data: Path, tracker: FlowFace, tmp_path: Path) -> None:
    told = run_now(NowOptions(now_data, tmp_path / "out", views="multi"), tracker)
    (record,) = told["records"]
    assert record["pictures"] == 2 and record["mean"] < 4.0
    meshes = [read_obj(path).vertices for path in sorted((tmp_path / "out" / "predicted").rglob("*.obj"))]
    np.testing.assert_array_equal(*meshes)


@pytest.mark.slow
def test_facescape_is_measured_beside_the_paper(
    film: Film, tracker: FlowFace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    face = film.head.triangles[film.head.regions["face"][film.head.triangles].all(axis=1)]
    vertices = film.vertices[0] * 1000
    centre = vertices[film.head.regions["skin"]].mean(axis=0)
    write_lab(tmp_path / "fs", "00_0_00", vertices, face, INTRINSIC, np.diag([1.0, -1, -1]), centre)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (pictures / "00_0_00.png").write_bytes(film.pictures["1"][0].read_bytes())
    options = FaceScapeOptions(tmp_path / "fs", tmp_path / "out", pictures=pictures)
    told = run_facescape(options, tracker)["summary"]
    assert 0.1 < told[""]["cd_mm"] < 5.0 and 0.01 < told[""]["mne"] < 0.2 and told[""]["completeness"] > 0.8
    assert told["0°"] == told[""]
    printed = capsys.readouterr().out
    assert "2.21" in printed and "1 of the 660 pictures" in " ".join(printed.split())


@pytest.mark.slow
def test_facescape_s_wild_heads_are_compared_without_perspective(film: Film, tracker: FlowFace, tmp_path: Path) -> None:
    face = film.head.triangles[film.head.regions["face"][film.head.triangles].all(axis=1)]
    x, y, z = film.vertices[0].T
    middle = z.mean()
    half = SIDE / 2
    seen = np.stack([FOCAL * x / z, -FOCAL * y / z, (middle - z) * FOCAL / middle], axis=1) / half - [0, 0, 10]
    centre = seen[film.head.regions["skin"]].mean(axis=0)
    write_wild(tmp_path / "fs", seen, face, np.eye(3), centre, 1000 * middle * half / FOCAL)
    pictures = tmp_path / "fs" / "data" / "wild_img"
    pictures.mkdir()
    (pictures / "000.png").write_bytes(film.pictures["1"][0].read_bytes())
    told = run_facescape(FaceScapeOptions(tmp_path / "fs", tmp_path / "out", "wild"), tracker)["summary"]
    assert 0.1 < told["0 to 5°"]["cd_mm"] < 5.0 and told[""]["completeness"] > 0.8


@pytest.mark.slow
def test_multiface_finds_its_regions_and_tracks_one_camera_or_both(
    film: Film, tracker: FlowFace, tmp_path: Path
) -> None:
    skin = film.head.triangles[film.head.regions["skin"][film.head.triangles].all(axis=1)]
    used = np.unique(skin)
    order = np.random.default_rng(3).permutation(used)
    place = np.zeros(film.head.vertex_count, np.int32)
    place[order] = np.arange(len(order))
    cameras = {"1": np.eye(3, 4), "2": BESIDE * [1, 1, 1, 1000]}
    write_subject(
        tmp_path / "m--20260101--0000--1--GHS",
        "E001_Neutral",
        [mesh[order] * 1000 for mesh in film.vertices],
        place[skin],
        [np.eye(3, 4)] * 2,
        {name: (INTRINSIC, extrinsic) for name, extrinsic in cameras.items()},
        film.pictures,
    )
    options = MultifaceOptions(tmp_path, tmp_path / "out", cameras=2, stride=3)
    told = run_multiface(options, tracker)["summary"]
    topology = read_topology(tmp_path / "out" / "topology.toml")
    for name in ("nose", "mouth", "eyes"):
        true, found = set(place[used[film.head.regions[name][used]]]), set(topology.regions[name].tolist())
        assert len(true & found) / len(true | found) > 0.6, name
    assert told["views"]["cd_mm"]["face"] < 4.0 and told["views"]["ssme"]["face"] < 4.0
    drawn = (tmp_path / "out" / "sequences.toml").read_text()
    (tmp_path / "list.toml").write_text(re.sub("cameras = .*", 'cameras = ["1"]', drawn))
    alone = MultifaceOptions(tmp_path, tmp_path / "out", tmp_path / "list.toml", protocols=("sequence",), stride=3)
    told = run_multiface(alone, tracker)["summary"]
    assert told["sequence"]["cd_mm"]["face"] < 4.0 and told["sequence"]["ssme"]["face"] < 4.0


@pytest.mark.parametrize("name", ["now", "facescape", "multiface"])
def test_a_folder_that_holds_nothing_of_it_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    found = CliRunner().invoke(app, ["challenge", name, str(tmp_path / "empty"), "--out", str(out)])
    assert isinstance(found.exception, UserError) and found.exception.code == ErrorCode.CHALLENGE_LAYOUT
    assert not out.exists()
