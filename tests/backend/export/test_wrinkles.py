"""Wrinkles as files, read back: the maps, what they make of each frame, and normals on shapes known by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from backend.detail.io import save_wrinkles
from backend.errors import Cancelled, UserError
from backend.export.registry import export_takes
from backend.export.takes import ExportTake
from backend.export.wrinkles.bake import Bake
from backend.head_model.atlas_texels import AtlasTexels
from backend.head_model.model import HeadModel, posed_vertices
from backend.track.geometry import neutral_of, person_of
from tests.backend.detail.made_up import as_wrinkles, waves
from tests.backend.export.made_takes import FRAMES, exported, made_take
from tests.backend.heads import small_head

SIDE = 64


@pytest.fixture(scope="module")
def take(tmp_path_factory: pytest.TempPathFactory) -> ExportTake:
    """A take with wrinkles beside its track."""
    file = tmp_path_factory.mktemp("take") / "track_2.npz"
    save_wrinkles(as_wrinkles(waves(SIDE)), file.with_name("wrinkles_2.npz"))
    return replace(made_take(), file=file)


@pytest.fixture(scope="module")
def folder(take: ExportTake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(take, "wrinkles", tmp_path_factory.mktemp("out") / "all")


def depths(path: Path, step: float) -> NDArray[np.float64]:
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert picture.dtype == np.uint16 and picture.shape == (SIDE, SIDE)
    return (picture.astype(np.float64) - 32768) * step


def test_the_maps_are_there_with_their_scale(folder: Path) -> None:
    about = json.loads((folder / "wrinkles.json").read_text())
    assert about["frames"] == list(FRAMES) and about["side"] == SIDE and about["zero"] == 32768
    for name, truth in zip(("base", "stretch", "compression"), waves(SIDE), strict=True):
        own = about["maps"][name]
        found = depths(folder / own["file"], own["metres_per_step"])
        np.testing.assert_allclose(found, truth, atol=0.51 * own["metres_per_step"])
        assert own["metres_per_step"] < 2e-7
    assert (cv2.imread(str(folder / about["seen"]), cv2.IMREAD_UNCHANGED) == 255).all()


def test_each_frame_is_displaced_by_its_tension(take: ExportTake, folder: Path) -> None:
    """Of edges gathered face by face, as modelling tools have them."""
    head, track = take.head, take.track
    person, neutral = person_of(head, track), neutral_of(head, track)
    diagonals = [set(map(int, head.triangles[a])) & set(map(int, head.triangles[b])) for a, b in head.quads.tolist()]
    halved = {tuple(sorted(one)) for one in diagonals}
    sides = {tuple(sorted(pair)) for t in head.triangles.tolist() for pair in zip(t, t[1:] + t[:1], strict=True)}
    edges = np.array(sorted(sides - halved))
    posed = posed_vertices(person, neutral, track.expression, track.gaze).astype(np.float64)
    texels = AtlasTexels.of(head, SIDE)
    maps = waves(SIDE)[:, texels.rows, texels.columns]
    step = json.loads((folder / "wrinkles.json").read_text())["displacement"]["metres_per_step"]
    for frame, points in zip(FRAMES, posed, strict=True):
        before, after = (np.linalg.norm(p[edges[:, 0]] - p[edges[:, 1]], axis=1) for p in (neutral, points))
        total = np.bincount(edges.ravel(), np.repeat(after / before - 1, 2), len(points))
        tense = total / np.maximum(np.bincount(edges.ravel(), minlength=len(points)), 1)
        tense = (texels.barycentric * tense[head.triangles[texels.triangle]]).sum(axis=1)
        truth = maps[0] + maps[1] * np.clip(tense, 0, None) + maps[2] * np.clip(-tense, 0, None)
        found = depths(folder / "displacement" / f"displacement_{frame:06d}.png", step)
        np.testing.assert_allclose(found[texels.rows, texels.columns], np.clip(truth, -0.01, 0.01), atol=1e-6)
        assert np.abs(tense).max() > 0.1
        empty = np.ones((SIDE, SIDE), bool)
        empty[texels.rows, texels.columns] = False
        assert not found[empty].any()


def sheet(tilt: float = 0.0) -> HeadModel:
    """A square of 40 cm × 20 cm across the whole atlas, sheared by ``tilt``, as a head of two triangles."""
    corners = np.array([[0, 0, 0], [0.4, 0, 0], [0.4 + tilt, 0.2, 0], [tilt, 0.2, 0]], np.float32)
    uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    return replace(
        small_head(),
        template=corners,
        triangles=faces,
        uv_vertices=uv,
        uv_triangles=faces,
        quads=np.array([[0, 1]], np.int32),
    )


@pytest.mark.parametrize("tilt", [0.0, 0.1])
def test_normals_lean_against_the_slope(tilt: float) -> None:
    """A ramp of 30 mm along x and one of 40 mm up along y: slopes 0.03/0.4 and 0.04/0.2, however v runs."""
    head, side = sheet(tilt), 32
    at = (np.arange(side) + 0.5) / side
    u, v = np.meshgrid(at, at[::-1])
    x, y = 0.4 * u + tilt * v, 0.2 * v
    ramp = (0.03 / 0.4 * x + 0.04 / 0.2 * y).astype(np.float32)
    bake = Bake.of(head, head.template, as_wrinkles(np.stack([ramp, 0 * ramp, 0 * ramp])))
    found = bake.normals(head.template, bake.displacement(head.template))
    truth = np.array([-0.075, -0.2, 1]) / np.linalg.norm([0.075, 0.2, 1])
    np.testing.assert_allclose(found, np.broadcast_to(truth, found.shape), atol=1e-4)


def test_normals_of_what_is_smooth_are_straight(folder: Path, take: ExportTake) -> None:
    picture = cv2.imread(str(folder / "normals" / f"normals_{FRAMES[0]:06d}.png"), cv2.IMREAD_UNCHANGED)[..., ::-1]
    normals = picture / 127.5 - 1
    np.testing.assert_allclose(np.linalg.norm(normals, axis=2), 1, atol=0.02)
    assert normals[..., 2].min() < 0.99
    wrinkles = as_wrinkles(np.zeros((3, SIDE, SIDE), np.float32))
    bake = Bake.of(take.head, take.head.template, wrinkles)
    flat = bake.normals(take.head.template, bake.displacement(take.head.template))
    np.testing.assert_array_equal(flat, np.broadcast_to([0, 0, 1], flat.shape))


def test_without_wrinkles_it_says_so_and_it_can_be_called_off(take: ExportTake, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no wrinkles.*wrinkles\.npz"):
        export_takes([made_take()], "wrinkles", tmp_path, lambda _: None, lambda: False)
    with pytest.raises(Cancelled):
        export_takes([take], "wrinkles", tmp_path, lambda _: None, lambda: True)
