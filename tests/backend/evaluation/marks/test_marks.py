"""Marks on clips of known motion: the true track has no error, a shifted one just that, and noise is told from rest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from backend.cli import app
from backend.evaluation.marks.bind import bind, project
from backend.evaluation.marks.follow import FollowedMarks, LucasKanade, follow_clip, still_stretches
from backend.evaluation.marks.record import figures, jitter, reprojected
from backend.evaluation.types import MeshSequence
from backend.footage.encode import encode_evenly
from backend.head_model.appearance import paint_texture
from backend.head_model.library import load_head
from backend.head_model.render import HeadRenderer, look_at_head
from tests.backend.evaluation.patches import grid

F64 = NDArray[np.float64]

FRAMES, SIDE, UNIT = 31, 240, 100.0
STILL = 12  # the frame from which nothing moves
CORNERS = np.array([[x, y] for x in (60.5, 100.25, 140.5) for y in (70.5, 110.75, 150.5)])


def moved(frame: int) -> F64:
    """(2,) pixels by which everything has moved."""
    t = min(frame, STILL)
    return np.array([1.3 * t, 4 * np.sin(t / 5)])


@pytest.fixture(scope="module")
def pictures() -> list[NDArray[np.uint8]]:
    """Fine texture that moves as a whole."""
    noise = np.random.default_rng(3).normal(size=(SIDE, SIDE)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    texture = np.clip(128 + 40 * smooth / smooth.std(), 0, 255).astype(np.float32)
    shown = []
    for frame in range(FRAMES):
        x, y = moved(frame)
        affine = np.array([[1, 0, x], [0, 1, y]])
        shown.append(cv2.warpAffine(texture, affine, (SIDE, SIDE), flags=cv2.INTER_CUBIC).round().astype(np.uint8))
    return shown


@pytest.fixture(scope="module")
def followed(pictures: list[NDArray[np.uint8]]) -> FollowedMarks:
    seen, returned = LucasKanade(pictures, UNIT).from_frame(0, CORNERS)
    count = len(CORNERS)
    still = still_stretches(seen, UNIT, 25.0)
    return FollowedMarks(
        start=np.zeros(count, np.int64),
        seen=seen,
        region=np.zeros(count, np.int64),
        returned=returned,
        unit=np.array(UNIT),
        still=still,
        grid=CORNERS + moved(FRAMES),
        grid_still=np.zeros(count, np.int64),
    )


def tracked(offset: F64) -> MeshSequence:
    """A flat mesh that moves with the texture, and besides by ``offset (T,2)`` pixels."""
    material, triangles = grid(5, 4)
    places = np.array([moved(frame) for frame in range(FRAMES)]) + offset
    image = material * SIDE / 2 + SIDE / 2 + places[:, None]
    focal, centre = 500.0, np.full(2, SIDE / 2)
    flat = np.concatenate([(image - centre) / focal, np.ones((*image.shape[:2], 1))], axis=2)
    return MeshSequence(
        vertices=flat.astype(np.float32),
        triangles=triangles,
        focal_px=np.full(FRAMES, focal),
        principal_point=centre,
        image_size=(SIDE, SIDE),
        frame_rate=25.0,
        tracked=np.ones(FRAMES, bool),
    )


def test_the_true_track_has_no_error_and_a_shifted_one_its_own(followed: FollowedMarks) -> None:
    assert np.isfinite(followed.returned).all()
    still = np.zeros((FRAMES, 2))
    true = figures(followed, reprojected(tracked(still), followed))
    assert true["bound"] == len(CORNERS)
    assert true["error"]["p90"] < 0.1
    shift = np.where(np.arange(FRAMES)[:, None] >= 1, [1.2, 1.6], 0.0)  # 2 pixels
    wrong = figures(followed, reprojected(tracked(still + shift), followed))
    assert wrong["error"]["median"] == pytest.approx(2.0, abs=0.1)
    assert wrong["horizons"]["15"]["mean"] == pytest.approx(2.0, abs=0.1)
    assert wrong["horizons"]["60"]["count"] == 0
    lost = replace(tracked(still), tracked=np.arange(FRAMES) > 0)
    assert figures(followed, reprojected(lost, followed))["bound"] == 0


def test_a_mark_that_is_covered_does_not_return(pictures: list[NDArray[np.uint8]]) -> None:
    noise = np.random.default_rng(7).integers(0, 256, (80, 80)).astype(np.uint8)
    covered = [picture.copy() for picture in pictures]
    for frame in range(10, FRAMES):
        covered[frame][80:160, 120:200] = cv2.GaussianBlur(noise, (0, 0), 2.0)
    at = np.array([[140.5, 110.5], [60.5, 70.5]])
    seen, returned = LucasKanade(covered, UNIT).from_frame(0, at)
    assert np.isnan(returned[0]) and np.isnan(seen[0]).all()
    assert np.isfinite(returned[1])


def test_jitter_is_that_of_the_stretch_in_which_the_footage_rests(followed: FollowedMarks) -> None:
    assert followed.still.shape == (1, 2)
    assert abs(followed.still[0, 0] - STILL) <= 4 and followed.still[0, 1] == FRAMES - 1
    noise = np.random.default_rng(1).normal(size=(FRAMES, 2)) * 0.5
    rest, shaken = (jitter(tracked(amount), followed) for amount in (0 * noise, noise))
    assert rest["jitter"] < 0.02
    assert shaken["jitter"] == pytest.approx(0.5 * np.sqrt(2), rel=0.4)  # of few frames
    assert shaken["jitter_beyond"] == pytest.approx(shaken["jitter"], rel=0.1)  # nothing of it is in the footage
    assert shaken["jitter_of_marks"] == rest["jitter_of_marks"] < 0.1


def test_the_nearer_of_two_surfaces_is_bound() -> None:
    near = tracked(np.zeros((FRAMES, 2)))
    far = np.concatenate([near.vertices * 2, near.vertices], axis=1)  # the same picture from twice as far
    both = np.concatenate([near.triangles, near.triangles + near.vertices.shape[1]])
    mesh = replace(near, vertices=far, triangles=both.astype(np.int32))
    at = np.array([[100.0, 60.0], [-500.0, 0.0]])
    points = bind(mesh, 3, at)
    assert points.triangle[0] >= len(near.triangles)
    assert points.triangle[1] == -1
    back = project(mesh, points, np.array([3]))
    np.testing.assert_allclose(back[0, 0], at[0], atol=1e-3)
    assert np.isnan(back[1]).all()


@pytest.fixture(scope="module")
def turning(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, MeshSequence]:
    """A clip of the open head with freckles that turns slowly, and its true mesh."""
    head, path = load_head("open"), tmp_path_factory.mktemp("clip") / "turning.mp4"
    texture = paint_texture(head)
    spots = np.random.default_rng(2).normal(size=texture.shape[:2])
    spots = cv2.GaussianBlur(spots, (0, 0), 3.0)
    painted = np.clip(texture[..., :3] + 25 * (spots / spots.std())[..., None], 0, 255).astype(np.uint8)
    cameras = [look_at_head(0.6, np.deg2rad(0.5 * frame)) for frame in range(17)]
    with HeadRenderer((320, 320)) as renderer:
        pictures = [
            renderer.render(
                head.template,
                head.triangles,
                texture=painted,
                corner_uv=head.uv_vertices[head.uv_triangles],
                focal_px=700.0,
                principal_point=(160.0, 160.0),
                world_to_camera=camera,
            )
            for camera in cameras
        ]
    encode_evenly(path, pictures, 25.0)
    seen = np.stack([head.template @ camera[:, :3].T + camera[:, 3] for camera in cameras])
    mesh = MeshSequence(
        vertices=seen.astype(np.float32),
        triangles=head.triangles,
        focal_px=np.full(len(seen), 700.0),
        principal_point=np.full(2, 160.0),
        image_size=(320, 320),
        frame_rate=25.0,
        tracked=np.ones(len(seen), bool),
    )
    return path, mesh


def test_marks_are_found_on_a_face_and_follow_its_truth(turning: tuple[Path, MeshSequence], tmp_path: Path) -> None:
    clip, mesh = turning
    found = follow_clip(clip, tmp_path)
    assert len(found.start) > 15
    assert len(np.unique(found.region)) >= 3
    told = figures(found, reprojected(mesh, found))
    assert told["error"]["median"] < 0.5
    again = follow_clip(clip, tmp_path)  # from the cache
    np.testing.assert_array_equal(again.seen, found.seen)


@pytest.mark.slow
def test_one_command_measures_marks_and_draws_them(turning: tuple[Path, MeshSequence], tmp_path: Path) -> None:
    clip, out = turning[0], tmp_path / "out"
    wanted = ["--marks", "--clip", str(clip), "--trackers", "mediapipe-mesh", "--data", str(tmp_path), "-o", str(out)]
    told = CliRunner().invoke(app, ["evaluate", *wanted])
    assert told.exit_code == 0, told.output
    tables = (out / "tables.md").read_text()
    assert "## Marks of real skin: reprojection through the tracked head" in tables
    sheet = cv2.imread(str(out / "sheets" / "turning_mediapipe-mesh_marks.png"))
    assert sheet.shape[0] > 700
