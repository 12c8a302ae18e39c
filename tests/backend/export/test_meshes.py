"""Mesh files of every frame, read back and compared with the take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from backend.errors import Cancelled, UserError
from backend.export.meshes.number_lines import number_lines
from backend.export.meshes.posed import vertex_normals
from backend.export.registry import export_takes
from backend.export.takes import ExportTake
from tests.backend.export.made_takes import BRIDGED, FRAMES, METRES, exported, in_world, made_take
from tests.backend.export.mesh_readers import Mesh, read_glb, read_obj, read_ply

Int = NDArray[np.int64]
F64 = NDArray[np.float64]

READERS: dict[str, Callable[[Path], Mesh]] = {"obj": read_obj, "ply": read_ply, "glb": read_glb}


@pytest.fixture(scope="module", params=["open", "flame"])
def take(request: pytest.FixtureRequest) -> ExportTake:
    return made_take(request.param)


def triangles_of(faces: list[Int]) -> set[tuple[int, ...]]:
    """All triangles into which faces can be cut, each beginning with its least corner."""
    cut = [np.roll(some, -k, axis=1)[:, :3] for some in faces for k in range(some.shape[1])]
    return {tuple(row) for row in begun_with_least(np.concatenate(cut)).tolist()}


def begun_with_least(triangles: Int) -> Int:
    """Triangles (F,3), each turned round until its least corner is the first: none is turned inside out."""
    first = triangles.argmin(axis=1)
    return triangles[np.arange(len(triangles))[:, None], (first[:, None] + np.arange(3)) % 3]


@pytest.mark.parametrize("format", READERS)
def test_each_frame_is_a_mesh_of_the_take(take: ExportTake, format: str, tmp_path: Path) -> None:
    folder = exported(take, format, tmp_path / "out")
    names = [f"head_{frame:06d}.{format}" for frame in FRAMES]
    assert sorted(path.name for path in folder.iterdir()) == ["README.txt", *sorted(names)]
    read, world, head = [READERS[format](folder / name) for name in names], in_world(take), take.head
    for mesh, truth in zip(read, world, strict=True):
        np.testing.assert_allclose(mesh.vertices[: head.vertex_count], truth * [1, -1, -1], atol=METRES, rtol=0)
        for one, other in zip([*mesh.faces, *mesh.uv], [*read[0].faces, *read[0].uv], strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-5)
    apart, owner = cKDTree(read[0].vertices[: head.vertex_count]).query(read[0].vertices)
    assert apart.max() == 0, "what seams split lies where one of the head's own lies"
    faces = [owner[some] for some in read[0].faces]
    own = {tuple(row) for row in begun_with_least(head.triangles).tolist()}
    assert own <= triangles_of(faces), "every triangle is there, its outside outside"
    quads = len(head.quads) if format != "glb" else 0
    assert {some.shape[1]: len(some) for some in faces}.get(4, 0) == quads
    assert sum(map(len, faces)) == len(own) - quads
    if format != "ply":
        _check_seams(take, faces, read[0].uv)
    assert f"bridged: {BRIDGED}." in (folder / "README.txt").read_text()


def _check_seams(take: ExportTake, faces: list[Int], uv: list[F64]) -> None:
    """Of every corner of the head's triangles there is one with its vertex and atlas coordinate, and no other."""
    head = take.head
    found = [
        np.concatenate([some[..., None], places], axis=2).reshape(-1, 3) for some, places in zip(faces, uv, strict=True)
    ]
    corners = head.uv_vertices[head.uv_triangles.ravel()]
    expected = np.concatenate([head.triangles.reshape(-1, 1), corners], axis=1)
    for one, other in ((np.concatenate(found), expected), (expected, np.concatenate(found))):
        apart, _ = cKDTree(one).query(other)
        assert apart.max() < 1e-5


def test_normals_point_out_of_a_box_by_the_areas_around() -> None:
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    triangles = np.array([half for a, b, c, d in faces for half in ((a, b, c), (a, c, d))])
    normals = vertex_normals(np.r_[corners, [[9, 9, 9]]], triangles)
    assert (np.sign(normals[:8]) == np.where(corners > 0, 1, -1)).all()
    assert normals[8].tolist() == [0, 1, 0], "that of no face points somewhere"
    flat = vertex_normals(np.array([[0.0, 0, 0], [2, 0, 0], [0, 3, 0]]), np.array([[0, 1, 2]]))
    np.testing.assert_allclose(flat, [[0, 0, 1]] * 3, atol=1e-7)


def test_numbers_as_lines() -> None:
    rows = np.array([[0.0, -1.5, 12.0000004], [-0.0000004, 0.25, -123.4567891]])
    text = number_lines("v", rows, 6).decode()
    lines = [line.split() for line in text.splitlines()]
    assert [line[0] for line in lines] == ["v", "v"] and text.endswith("\n") and text.count("\n") == 2
    np.testing.assert_allclose([[float(word) for word in line[1:]] for line in lines], np.round(rows, 6), atol=1e-12)
    assert lines[0][1:] == ["000.000000", "-001.500000", "012.000000"] and "-000.000000" not in text
    assert number_lines("v", np.zeros((0, 3)), 6) == b""


def test_a_called_off_export_ends_before_the_next_file(tmp_path: Path) -> None:
    asked = iter([False, True])
    with pytest.raises(Cancelled):
        export_takes([made_take("flame")], "obj", tmp_path, lambda _: None, lambda: next(asked))
    assert [path.name for path in tmp_path.iterdir()] == [f"head_{FRAMES[0]:06d}.obj"]


def test_corrections_of_another_head_are_refused(tmp_path: Path) -> None:
    take = made_take("flame")
    wrong = replace(take, track=replace(take.track, action_corrections=np.zeros((2, 5, 3), np.float16)))
    with pytest.raises(UserError, match="has changed since") as caught:
        export_takes([wrong], "obj", tmp_path, lambda _: None, lambda: False)
    assert caught.value.code == "head_changed"
