"""The export for NeRFs, read as nerfstudio's conventions say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from backend.export.registry import export_takes
from backend.progress import never
from backend.track.geometry import neutral_of, seen_vertices
from tests.backend.export.avatars.scene import (
    Scene,
    drawn_again,
    pinhole,
    posed,
    read_json,
    read_obj,
    read_picture,
    shift,
)


@pytest.fixture(scope="module")
def exported(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nerf")
    export_takes([scene.take], "nerf", folder, lambda _: None, never)
    return folder


def test_cameras_see_the_head_where_the_pictures_show_it(scene: Scene, exported: Path) -> None:
    track, head = scene.take.track, scene.take.head
    content = read_json(exported / "transforms.json")
    assert content["camera_model"] == "OPENCV" and not any(content[name] for name in ("k1", "k2", "p1", "p2"))
    frames = content["frames"]
    named = [(frame["timestep_index"], frame["camera_index"]) for frame in frames]
    assert named == [(0, 0), (1, 0), (2, 0), (0, 1), (2, 1)]
    for frame in (frames[2], frames[4]):
        view, step = frame["camera_index"], frame["timestep_index"]
        assert frame["file_path"] == f"images/{step:05d}_{view:02d}.png" and frame["timestep_id"] == "13"
        vertices = posed(scene, step)
        wanted = seen_vertices(head, track, np.array([step]), view=view)[0, :, :2]
        assert np.abs(pinhole(vertices, frame, opengl=True) - wanted).max() < 0.01
        picture = read_picture(exported / frame["file_path"])
        again, depth = drawn_again(vertices, head.triangles, scene.colors, frame, opengl=True)
        assert picture.shape == (200, 240, 3)
        assert shift(picture, again, depth) < 0.2
        mask = read_picture(exported / frame["mask_path"])
        assert mask.shape == (200, 240) and mask[np.isfinite(depth)].mean() > 200 and mask[:10].max() < 10


def test_the_world_is_there_as_well(scene: Scene, exported: Path) -> None:
    track = scene.take.track
    frames = read_json(exported / "transforms_world.json")["frames"]
    assert frames[0]["transform_matrix"] == frames[2]["transform_matrix"]  # the head moves, the camera does not
    turned = Rotation.from_rotvec(track.head_rotation[2].copy()).as_matrix()
    world = posed(scene, 2) @ turned.T + track.head_translation[2]
    wanted = seen_vertices(scene.take.head, track, np.array([2]), view=1)[0, :, :2]
    assert np.abs(pinhole(world, frames[4], opengl=True) - wanted).max() < 0.01


def test_the_person_at_rest_lies_beside_it(scene: Scene, exported: Path) -> None:
    vertices, _ = read_obj(exported / "head.obj")
    kept = ~scene.take.head.regions["lashes"]
    assert np.abs(vertices - neutral_of(scene.take.head, scene.take.track)[kept]).max() < 1e-6
