"""Results of other trackers: what is written is read back, and what is wrong is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from backend.errors import UserError
from backend.evaluation.trackers.results_folder import ResultsFolder, load_meshes, save_meshes
from backend.evaluation.types import MeshSequence


def some_meshes(frames: int = 4) -> MeshSequence:
    random = np.random.default_rng(3)
    vertices = random.normal(size=(frames, 5, 3)).astype(np.float32)
    vertices[..., 2] += 10
    tracked = np.arange(frames) != 1
    vertices[~tracked] = np.nan
    return MeshSequence(
        vertices=vertices,
        triangles=np.array([[0, 1, 2], [2, 3, 4]], np.int32),
        focal_px=np.where(tracked, random.uniform(500, 900, frames), 1.0),
        principal_point=np.array([31.5, 24.25]),
        image_size=(64, 48),
        frame_rate=25.0,
        tracked=tracked,
        neutral=random.normal(size=(5, 3)).astype(np.float32),
        landmarks68=(np.arange(68, dtype=np.int32) % 2, random.uniform(size=(68, 3)).astype(np.float32)),
    )


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    meshes = some_meshes()
    save_meshes(meshes, tmp_path / "someone" / "clip" / "sequence")

    tracker = ResultsFolder("someone", tmp_path / "someone")
    read = tracker.track(tmp_path / "clip.avi", single_image=False)

    np.testing.assert_array_equal(read.vertices, meshes.vertices)
    np.testing.assert_array_equal(read.tracked, [True, False, True, True])
    np.testing.assert_array_equal(read.triangles, meshes.triangles)
    np.testing.assert_allclose(read.focal_px[read.tracked], meshes.focal_px[meshes.tracked], rtol=0)
    np.testing.assert_array_equal(read.principal_point, meshes.principal_point)
    assert (read.image_size, read.frame_rate) == ((64, 48), 25.0)
    assert read.neutral is not None
    np.testing.assert_array_equal(read.neutral, meshes.neutral)
    assert read.landmarks68 is not None
    np.testing.assert_array_equal(read.landmarks68[1], meshes.landmarks68[1])
    assert tracker.has(tmp_path / "clip.avi", single_image=False)
    assert not tracker.has(tmp_path / "clip.avi", single_image=True)


def test_a_rendered_sequence_is_named_by_its_folder(tmp_path: Path) -> None:
    save_meshes(some_meshes(), tmp_path / "someone" / "test_03_speech" / "single", metrical=False)
    tracker = ResultsFolder("someone", tmp_path / "someone")
    assert tracker.has(tmp_path / "test_03_speech" / "clip.mp4", single_image=True)
    assert not tracker.metrical


def rewrite_meta(folder: Path, **changes: object) -> None:
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps(meta | changes))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", "obj"),
        ("version", 2),
        ("frame_count", 0),
        ("frame_count", "4"),
        ("image_size", [64]),
        ("image_size", [64, -1]),
        ("principal_point", [1, None]),
        ("frame_rate", True),
    ],
)
def test_a_wrong_field_of_the_description_is_named(tmp_path: Path, field: str, value: object) -> None:
    save_meshes(some_meshes(), tmp_path)
    rewrite_meta(tmp_path, **{field: value})
    with pytest.raises(UserError) as caught:
        load_meshes(tmp_path)
    assert caught.value.code == "bad_results"
    assert f"“{field}”" in caught.value.message
    assert "meta.json" in caught.value.message


def broken(tmp_path: Path, name: str, **changes: np.ndarray) -> UserError:
    save_meshes(some_meshes(), tmp_path)
    with np.load(tmp_path / name) as data:
        arrays = {key: data[key] for key in data.files}
    np.savez(tmp_path / name, **(arrays | changes))
    with pytest.raises(UserError) as caught:
        load_meshes(tmp_path)
    assert name in caught.value.message
    return caught.value


def test_a_frame_with_other_vertices_is_named(tmp_path: Path) -> None:
    assert "6 vertices" in broken(tmp_path, "frame_00002.npz", vertices=np.ones((6, 3))).message


def test_a_vertex_behind_the_camera_is_refused(tmp_path: Path) -> None:
    assert "in front of the camera" in broken(tmp_path, "frame_00003.npz", vertices=-np.ones((5, 3))).message


def test_a_triangle_without_its_vertex_is_refused(tmp_path: Path) -> None:
    assert "vertices 0 to 4" in broken(tmp_path, "mesh.npz", triangles=np.array([[0, 1, 5]])).message


def test_a_landmark_without_its_triangle_is_refused(tmp_path: Path) -> None:
    message = broken(tmp_path, "mesh.npz", landmark_triangle=np.full(68, 2)).message
    assert "triangles 0 to 1" in message


def test_a_folder_without_a_frame_is_refused(tmp_path: Path) -> None:
    save_meshes(some_meshes(), tmp_path)
    for path in tmp_path.glob("frame_*.npz"):
        path.unlink()
    with pytest.raises(UserError, match="none of its frames 0 to 3"):
        load_meshes(tmp_path)


def test_a_missing_folder_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        ResultsFolder("someone", tmp_path / "nowhere")
    assert caught.value.code == "results_missing"
