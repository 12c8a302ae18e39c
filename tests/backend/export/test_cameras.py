"""Camera files, read as their formats say and used to project the head: its pixels are the take's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.cameras.formats.colmap_text import read_colmap_text
from backend.export.registry import export_track
from backend.export.takes import ExportTake
from backend.head_model.library import load_head
from tests.backend.export.made_takes import FRAMES, PIXELS, exported, in_world, made_take, seen

F64 = NDArray[np.float64]
NAMES = [f"{frame:06d}.png" for frame in FRAMES]
FOLDERS = ("front", "le_ft")


@pytest.fixture(scope="module", params=["open", "flame"])
def take(request: pytest.FixtureRequest) -> ExportTake:
    return made_take(request.param)


def lines(path: Path) -> list[str]:
    return [line for line in path.read_text().split("\n") if not line.startswith("#")]


def turn(quaternion: list[float]) -> F64:
    """The rotation of a unit quaternion w, x, y, z."""
    w, x, y, z = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def colmap_pictures(folder: Path) -> dict[str, tuple[F64, F64, list[str]]]:
    """By name: rotation and translation to the camera, and the fields of its lens."""
    lenses = {line.split()[0]: line.split()[1:] for line in lines(folder / "cameras.txt") if line}
    rows = lines(folder / "images.txt")
    assert rows[1::2] == [""] * (len(rows) // 2), "each picture has its line of points, an empty one"
    out = {}
    for number, row in enumerate(rows[:-1:2], start=1):
        fields = row.split(" ")
        assert int(fields[0]) == number and len(fields) == 10
        numbers = [float(field) for field in fields[1:8]]
        out[fields[9]] = turn(numbers[:4]), np.array(numbers[4:]), lenses[fields[8]]
    return out


def projected(world: F64, rotation: F64, translation: F64, lens: list[str]) -> F64:
    model, width, height, *numbers = lens
    fx, fy, cx, cy = (float(number) for number in numbers)
    assert (model, width, height) == ("PINHOLE", "640", "480")
    x, y, z = (world @ rotation.T + translation).T
    return np.stack([fx * x / z + cx, fy * y / z + cy], axis=1)


def test_colmap_in_the_takes_world(take: ExportTake, tmp_path: Path) -> None:
    folder = exported(take, "colmap", tmp_path / "out")
    pictures, world = colmap_pictures(folder), in_world(take)
    assert list(pictures) == [f"{view}/{name}" for view in FOLDERS for name in NAMES]
    for view, name in enumerate(FOLDERS):
        for index, truth in enumerate(seen(take, view)):
            found = projected(world[index], *pictures[f"{name}/{NAMES[index]}"])
            assert np.abs(found - truth).max() < PIXELS
    assert len([line for line in lines(folder / "cameras.txt") if line]) == 1 + 4, "one lens, and one that zooms"
    assert lines(folder / "points3D.txt") == [""]
    assert [camera.name for camera in read_colmap_text(folder)] == [*pictures], "--calibration takes it, too"


def test_colmap_round_a_head_that_stands_still(take: ExportTake, tmp_path: Path) -> None:
    calm = replace(take, track=replace(take.track, expression=np.zeros_like(take.track.expression)))
    calm = replace(calm, track=replace(calm.track, gaze=np.zeros_like(calm.track.gaze)))
    folder = exported(calm, "colmap_head", tmp_path / "out")
    rows = [line.split() for line in lines(folder / "points3D.txt") if line]
    assert [row[0] for row in rows] == [str(n + 1) for n in range(calm.head.vertex_count)] and len(rows[0]) == 8
    points, pictures = np.array([[float(field) for field in row[1:4]] for row in rows]), colmap_pictures(folder)
    for view, name in enumerate(FOLDERS):
        for index, truth in enumerate(seen(calm, view)):
            found = projected(points, *pictures[f"{name}/{NAMES[index]}"])
            assert np.abs(found - truth).max() < PIXELS


def rotated(axis: str, degrees: float) -> F64:
    """A right-handed turn about x, y or z, as textbooks have it."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rows = {"x": [[1, 0, 0], [0, c, -s], [0, s, c]], "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]]}
    return np.array(rows.get(axis, [[c, -s, 0], [s, c, 0], [0, 0, 1]]))


def test_chan_as_nuke_reads_it(take: ExportTake, tmp_path: Path) -> None:
    folder = exported(take, "chan", tmp_path / "out")
    assert sorted(path.name for path in folder.iterdir()) == ["README.txt", "front.chan", "le_ft.chan"]
    world = in_world(take) * [1, -1, -1]
    for view, name in enumerate(FOLDERS):
        rows = [line.split("\t") for line in (folder / f"{name}.chan").read_text().splitlines()]
        assert [row[0] for row in rows] == [str(frame) for frame in FRAMES]
        cx, cy = take.track.cameras[view].principal_point
        for row, points, truth in zip(rows, world, seen(take, view), strict=True):
            tx, ty, tz, rx, ry, rz, fov = (float(field) for field in row[1:])
            to_world = rotated("y", ry) @ rotated("x", rx) @ rotated("z", rz)  # ZXY: z acts first
            x, y, z = ((points - [tx, ty, tz]) @ to_world).T
            focal = 480 / 2 / np.tan(np.radians(fov) / 2)
            found = np.stack([cx + focal * x / -z, cy - focal * y / -z], axis=1)
            assert np.abs(found - truth).max() < PIXELS
    said = (folder / "README.txt").read_text()
    assert "(325.000, 230.000)" in said and "5.000 pixels right of the middle and 10.000 above" in said


def test_angles_go_on_where_a_camera_turns_round(tmp_path: Path) -> None:
    take = made_take("flame")
    poses = [np.c_[rotated("y", angle), np.zeros(3)] for angle in (170, 178, 186, 194)]
    front = replace(take.track.cameras[0], world_to_camera=np.array(poses))
    folder = exported(replace(take, track=replace(take.track, cameras=(front,))), "chan", tmp_path / "out")
    table = np.loadtxt(folder / "front.chan")
    np.testing.assert_allclose(np.abs(np.diff(table[:, 5])), 8, atol=1e-4)


def test_nerfstudios_transforms() -> None:
    take = made_take()
    read = json.loads(export_track(replace(take.track, head_hash=load_head().hash), "camera_nerfstudio"))
    world = in_world(take) @ np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])  # (x, y, z) -> (x, z, -y): z is up
    assert [frame["file_path"] for frame in read["frames"]] == [f"images/{v}/{n}" for v in FOLDERS for n in NAMES]
    for number, frame in enumerate(read["frames"]):
        view, index = divmod(number, 4)
        assert (frame["frame"], frame["time"]) == (FRAMES[index], take.track.times[index])
        matrix = np.array(frame["transform_matrix"])
        x, y, z = ((world[index] - matrix[:3, 3]) @ matrix[:3, :3]).T
        found = np.stack([frame["cx"] + frame["fl_x"] * x / -z, frame["cy"] - frame["fl_y"] * y / -z], axis=1)
        assert np.abs(found - seen(take, view)[index]).max() < PIXELS
        assert (frame["w"], frame["h"]) == (640, 480)


def test_what_a_cameras_footage_lacks_is_no_picture(tmp_path: Path) -> None:
    take = made_take("flame")
    front, left = take.track.cameras
    cameras = (front, replace(left, footage_frames=np.array([5, -1, 6, 7])))
    folder = exported(replace(take, track=replace(take.track, cameras=cameras)), "colmap", tmp_path / "out")
    assert list(colmap_pictures(folder))[4:] == [f"le_ft/{NAMES[index]}" for index in (0, 2, 3)]


def test_one_cameras_pictures_need_no_folder_and_names_alike_stay_apart(tmp_path: Path) -> None:
    take = made_take("flame")
    front = take.track.cameras[0]
    alone = replace(take, track=replace(take.track, cameras=(front,)))
    assert list(colmap_pictures(exported(alone, "colmap", tmp_path / "one"))) == NAMES
    cameras = (replace(front, name="a b"), replace(front, name="A_b"))
    folder = exported(replace(take, track=replace(take.track, cameras=cameras)), "chan", tmp_path / "two")
    assert sorted(path.name for path in folder.glob("*.chan")) == ["A_b_2.chan", "a_b.chan"]
