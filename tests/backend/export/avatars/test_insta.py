"""The export for INSTA, read as INSTA reads it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.errors import Cancelled, ErrorCode, UserError
from backend.export.avatars.codes import principal_actions
from backend.export.registry import export_takes
from backend.progress import JobProgress, never
from backend.track.geometry import seen_vertices
from protocol.arrays import at_frames
from tests.backend.export.avatars.scene import Scene, drawn_again, pinhole, read_json, read_obj, read_picture, shift

FOLDERS = ("00_first", "01_second")


@pytest.fixture(scope="module")
def told() -> list[JobProgress]:
    return []


@pytest.fixture(scope="module")
def exported(scene: Scene, told: list[JobProgress], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("insta")
    export_takes([scene.take], "insta", folder, told.append, never)
    return folder


def test_the_layout_is_instas(exported: Path, told: list[JobProgress]) -> None:
    first = exported / FOLDERS[0]
    names = {path.relative_to(first).as_posix() for path in first.rglob("*") if path.is_file()}
    by_frame = {
        f"{kind}/{n:05d}.{end}"
        for n in range(3)
        for kind, end in (
            ("images", "png"),
            ("seg_mask", "png"),
            ("depth", "png"),
            ("meshes", "obj"),
            ("flame/exp", "txt"),
        )
    }
    masks = {f"mesh_masks/{name}.obj" for name in ("lips", "face", "boundary", "left_ear", "right_ear", "eye_region")}
    lists = {f"transforms{part}.json" for part in ("", "_train", "_val", "_test")}
    assert names == by_frame | masks | lists | {"canonical.obj", "README.txt"}
    split = {
        part: [frame["file_path"] for frame in read_json(first / f"transforms_{part}.json")["frames"]]
        for part in ("train", "val", "test")
    }
    assert split["train"] == ["images/00000.png", "images/00001.png"]
    assert split["val"] == split["test"] == ["images/00002.png"]
    second = read_json(exported / FOLDERS[1] / "transforms.json")["frames"]
    assert [frame["file_path"] for frame in second] == ["images/00000.png", "images/00002.png"]  # it missed a frame
    assert [frame["fl_x"] for frame in second] == [310.0, 340.0]
    assert (told[-1].fraction, told[-1].frames_done, told[-1].frames_total) == (1.0, 5, 5)


def test_meshes_lie_on_the_pictures(scene: Scene, exported: Path) -> None:
    track, head = scene.take.track, scene.take.head
    kept = ~head.regions["lashes"]
    for view, name, step in ((0, FOLDERS[0], 0), (1, FOLDERS[1], 2)):
        content = read_json(exported / name / "transforms.json")
        frame = {**content, **content["frames"][-1 if view else 0]}  # what a frame does not say, its file says for all
        assert frame["file_path"] == f"images/{step:05d}.png"
        vertices, triangles = read_obj(exported / name / frame["mesh_path"])
        wanted = seen_vertices(head, track, np.array([step]), view=view)[0, kept, :2]
        assert np.abs(pinhole(vertices, frame, opengl=False) - wanted).max() < 0.01
        picture = read_picture(exported / name / frame["file_path"])
        again, depth = drawn_again(vertices, triangles, scene.colors[kept], frame, opengl=False)
        assert picture.shape == (200, 240, 4)
        assert shift(picture, again, depth) < 0.2
        millimetres = read_picture(exported / name / frame["depth_path"])
        both = np.isfinite(depth) & (millimetres > 0)
        assert millimetres.dtype == np.uint16 and both.sum() / np.isfinite(depth).sum() > 0.99
        assert np.percentile(np.abs(millimetres[both] * content["integer_depth_scale"] - depth[both]), 99) < 1e-3


def test_half_a_pixel_would_be_seen(scene: Scene, exported: Path) -> None:
    content = read_json(exported / FOLDERS[0] / "transforms.json")
    frame = {**content, **content["frames"][0]}
    vertices, triangles = read_obj(exported / FOLDERS[0] / frame["mesh_path"])
    picture = read_picture(exported / FOLDERS[0] / frame["file_path"])
    other = frame | {"cx": frame["cx"] + 0.5}
    again, depth = drawn_again(
        vertices, triangles, scene.colors[~scene.take.head.regions["lashes"]], other, opengl=False
    )
    assert 0.4 < shift(picture, again, depth) < 0.6


def test_masks_tell_person_and_parts(scene: Scene, exported: Path) -> None:
    track, head = scene.take.track, scene.take.head
    alpha = read_picture(exported / FOLDERS[0] / "images" / "00000.png")[..., 3]
    parts = read_picture(exported / FOLDERS[0] / "seg_mask" / "00000.png")
    assert not parts[..., 1:].any()
    seen = seen_vertices(head, track, np.array([0]))[0, :, :2]

    x, y = np.floor(seen[head.regions["nose"]][head.template[head.regions["nose"], 2].argmax()]).astype(int)
    assert parts[y, x, 0] == 150 and alpha[y, x] == 255
    assert set(np.unique(parts[..., 0])) >= {0, 80, 110, 120, 130, 150, 250}
    rows = {number: np.nonzero(parts[..., 0] == number)[0].mean() for number in (80, 150, 130, 120, 110)}
    assert list(rows.values()) == sorted(rows.values())  # from hair over nose and lips to the neck
    assert alpha[:10].max() < 10 and not parts[:10].any()


def test_meshes_have_one_topology_and_masks_their_colours(exported: Path) -> None:
    first = exported / FOLDERS[0]
    canonical, triangles = read_obj(first / "canonical.obj")
    for name in ("meshes/00001.obj", "mesh_masks/face.obj"):
        assert np.array_equal(read_obj(first / name)[1], triangles)
    red = {name: read_obj(first / "mesh_masks" / f"{name}.obj")[0][:, 3:] for name in ("lips", "boundary", "left_ear")}
    for colors in red.values():
        assert set(map(tuple, colors.tolist())) == {(0.0, 0.0, 0.0), (1.0, 0.0, 0.0)}
    centre = {name: canonical[colors[:, 0] == 1].mean(axis=0) for name, colors in red.items()}
    assert centre["boundary"][1] < centre["lips"][1] - 0.03
    assert centre["left_ear"][0] > 0.05 and abs(centre["lips"][0]) < 0.005
    assert np.abs(canonical).max() < 0.5  # INSTA's cube is a metre wide


def test_codes_say_most_first(scene: Scene, exported: Path) -> None:
    head, track = scene.take.head, scene.take.track
    codes = np.loadtxt(exported / FOLDERS[0] / "flame" / "exp" / "00001.txt")
    moved = np.einsum("k,kvc->vc", track.expression[1], head.expression_basis)[head.regions["face"]]
    # an orthonormal turn of what the actions span: the code is as long as the motion is large
    assert np.linalg.norm(codes) == pytest.approx(1000 * np.sqrt((moved**2).sum(axis=1).mean()), rel=1e-4)
    spread = np.linalg.norm(principal_actions(head), axis=0)
    assert (np.diff(spread) <= 1e-9).all() and (spread[:16] ** 2).sum() / (spread**2).sum() > 0.9


def test_one_camera_is_not_in_a_folder_of_its_own_and_can_be_called_off(scene: Scene, tmp_path: Path) -> None:
    alone = replace(scene.take, track=replace(scene.take.track, cameras=scene.take.track.cameras[:1]))
    calls = iter([False, False, True, True])
    with pytest.raises(Cancelled):
        export_takes([alone], "insta", tmp_path, lambda _: None, lambda: next(calls))
    assert (tmp_path / "images" / "00001.png").is_file() and not (tmp_path / "images" / "00002.png").exists()


def test_a_still_is_refused(scene: Scene, tmp_path: Path) -> None:
    track = replace(scene.take.track, cameras=scene.take.track.cameras[:1])
    with pytest.raises(UserError) as raised:
        export_takes(
            [replace(scene.take, track=at_frames(track, np.array([0])))], "insta", tmp_path, lambda _: None, never
        )
    assert raised.value.code == ErrorCode.BAD_EXPORT and "one frame" in raised.value.message


def test_footage_that_is_gone_is_told_before_anything_is_written(scene: Scene, tmp_path: Path) -> None:
    first, second = scene.take.track.cameras
    gone = replace(scene.take.track, cameras=(first, replace(second, footage="/gone/shot_05.png")))
    with pytest.raises(UserError) as raised:
        export_takes([replace(scene.take, track=gone)], "insta", tmp_path, lambda _: None, never)
    assert raised.value.code == ErrorCode.FOOTAGE_MISSING and "/gone/shot_05.png" in raised.value.message
    assert not list(tmp_path.iterdir())


def test_takes_without_a_face_are_refused(scene: Scene, tmp_path: Path) -> None:
    lost = replace(scene.take, track=replace(scene.take.track, tracked=np.zeros(3, bool)))
    with pytest.raises(UserError) as raised:
        export_takes([lost], "insta", tmp_path, lambda _: None, never)
    assert raised.value.code == ErrorCode.NO_FRAMES
