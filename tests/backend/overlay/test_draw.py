from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from backend.errors import Cancelled, UserError
from backend.footage import open_footage, probe
from backend.overlay.draw import OverlayTake, write_overlay
from backend.overlay.wireframe import _edges, diagonals, visible_edges
from tests.backend.footage.clips import write_video

F64 = NDArray[np.float64]
GREY = 90


def ball(rings: int = 12, sectors: int = 24) -> tuple[F64, NDArray[np.int32]]:
    """A unit sphere of quads cut in two, counter-clockwise seen from outside."""
    polar = np.linspace(0.15, np.pi - 0.15, rings)
    around = np.arange(sectors) * 2 * np.pi / sectors
    p, a = np.meshgrid(polar, around, indexing="ij")
    vertices = np.stack([np.sin(p) * np.cos(a), np.cos(p), np.sin(p) * np.sin(a)], axis=-1).reshape(-1, 3)
    triangles = []
    for ring in range(rings - 1):
        for sector in range(sectors):
            q = [ring * sectors + sector, ring * sectors + (sector + 1) % sectors]
            q += [q[1] + sectors, q[0] + sectors]
            triangles += [(q[0], q[1], q[2]), (q[0], q[2], q[3])]
    return vertices, np.array(triangles, np.int32)


def seen(vertices: F64, centre: tuple[float, float, float], radius: float, focal: float = 400.0) -> F64:
    """Sphere vertices in head axes (y up, z towards the camera) as pixels and distance; centre in metres."""
    x, y, z = (vertices * (1, -1, -1) * radius + centre).T
    return np.column_stack([160 + focal * x / z, 120 + focal * y / z, z])


def take_of(count: int, **changes: object) -> OverlayTake:
    vertices, triangles = ball()
    everything = {
        "numbers": np.arange(1, count + 1),
        "vertices_at": lambda t: seen(vertices, (0.02 * t, 0, 1.0), 0.1),
        "triangles": triangles,
        "landmarks": np.full((count, 1, 2), (40.5, 40.5), np.float32),
        "tracked": np.ones(count, bool),
        "error_percent_iod": np.full(count, 0.87, np.float32),
    }
    return OverlayTake(**{**everything, **changes})  # type: ignore[arg-type]


def grey_video(path: Path, count: int, width: int = 640, height: int = 480, **options: object) -> Path:
    return write_video(path, [np.full((height, width, 3), GREY, np.uint8)] * count, **options)  # type: ignore[arg-type]


def touched(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.abs(picture.astype(int) - GREY).max(axis=-1) > 25


def test_every_edge_of_a_ball_faces_the_camera_or_is_hidden() -> None:
    vertices, triangles = ball()
    edges, owners = _edges(triangles)
    assert len(edges) == len({tuple(edge) for edge in edges})
    shown = visible_edges(seen(vertices, (0, 0, 1.0), 0.1), triangles, edges, owners)
    front = (vertices[edges, 2] > 0.2).all(axis=1)
    back = (vertices[edges, 2] < 0.0).all(axis=1)
    assert shown[front].mean() > 0.97
    assert not shown[back].any()


def test_what_lies_behind_is_not_drawn() -> None:
    vertices, triangles = ball()
    both = np.concatenate([triangles, triangles + len(vertices)]).astype(np.int32)
    edges, owners = _edges(both)
    near, far = seen(vertices, (0, 0, 1.0), 0.1), seen(vertices, (0, 0, 1.5), 0.05)
    of_far = (edges >= len(vertices)).all(axis=1)
    assert not visible_edges(np.concatenate([near, far]), both, edges, owners)[of_far].any()
    aside = seen(vertices, (0.4, 0, 1.5), 0.05)
    assert visible_edges(np.concatenate([near, aside]), both, edges, owners)[of_far].sum() > 100
    behind_camera = far * (1, 1, -1)
    assert not visible_edges(np.concatenate([near, behind_camera]), both, edges, owners)[of_far].any()


def test_quads_lose_their_diagonals_only() -> None:
    x, y = np.meshgrid(np.arange(5.0) * 10, np.arange(4.0) * 10)
    vertices = np.column_stack([x.ravel(), y.ravel(), np.ones(20)])
    corners = [(r * 5 + c, r * 5 + c + 1, (r + 1) * 5 + c + 1, (r + 1) * 5 + c) for r in range(3) for c in range(4)]
    triangles = np.array([t for a, b, c, d in corners for t in ((a, b, c), (a, c, d))], np.int32)
    edges, _ = _edges(triangles)
    assert len(edges) == 4 * 4 + 3 * 5 + 12
    slanted = (vertices[edges[:, 0], :2] != vertices[edges[:, 1], :2]).all(axis=1)
    np.testing.assert_array_equal(diagonals(vertices, triangles, edges), slanted)


def test_an_overlay_has_the_footage_frames_and_draws_where_the_head_is(tmp_path: Path) -> None:
    footage = open_footage(grey_video(tmp_path / "clip.mp4", 6))
    progress: list[tuple[int, int]] = []
    out = write_overlay(
        tmp_path / "out" / "overlay.mp4", footage, take_of(6), on_progress=lambda *p: progress.append(p)
    )
    assert out == tmp_path / "out" / "overlay.mp4"
    assert [file.name for file in out.parent.iterdir()] == ["overlay.mp4"]
    assert progress == [(n, 6) for n in range(1, 7)]
    info = probe(out)
    assert (info.frame_count, info.frame_rate, info.width, info.height) == (6, 25, 640, 480)
    assert (info.codec, info.pixel_format) == ("h264", "yuv420p")
    vertices, _ = ball()
    for t, frame in enumerate(open_footage(out)):
        marks = touched(frame.image)
        assert marks[36:46, 36:46].any()  # the landmark
        marks[:70, :200] = False  # the text and the landmark
        rows, columns = np.nonzero(marks)
        expected = seen(vertices, (0.02 * t, 0, 1.0), 0.1)[:, :2]
        np.testing.assert_allclose((columns.min(), columns.max()), (expected[:, 0].min(), expected[:, 0].max()), atol=6)
        np.testing.assert_allclose((rows.min(), rows.max()), (expected[:, 1].min(), expected[:, 1].max()), atol=6)


def test_frames_without_a_face_look_different(tmp_path: Path) -> None:
    tracked = np.array([True, False, True])
    landmarks = np.zeros((3, 1, 2), np.float32)
    landmarks[[0, 2]] = 500.0
    error = np.array([0.5, np.nan, 0.5], np.float32)
    footage = open_footage(grey_video(tmp_path / "clip.mp4", 4))
    take = take_of(3, tracked=tracked, landmarks=landmarks, error_percent_iod=error)
    pictures = [f.image.astype(int) for f in open_footage(write_overlay(tmp_path / "o.mp4", footage, take))]
    balls = [picture[70:200, 100:300] for picture in pictures]
    redder = [float((b[..., 0] - b[..., 2])[np.abs(b - GREY).max(axis=-1) > 25].mean()) for b in balls[:3]]
    assert redder[1] > 20 > -20 > max(redder[0], redder[2])
    assert not (np.abs(balls[3] - GREY) > 25).any()  # a frame that the take does not know has no wireframe


def test_odd_sizes_are_padded_and_small_pictures_enlarged(tmp_path: Path) -> None:
    picture = np.full((481, 641, 3), GREY, np.uint8)
    odd = write_video(tmp_path / "odd.mkv", [picture] * 2, codec="ffv1", pixel_format="yuv444p")
    info = probe(write_overlay(tmp_path / "odd.mp4", open_footage(odd), take_of(2)))
    assert (info.width, info.height) == (642, 482)
    small = grey_video(tmp_path / "small.mp4", 2, 160, 120)
    info = probe(write_overlay(tmp_path / "large.mp4", open_footage(small), take_of(2)))
    assert (info.width, info.height) == (640, 480)


def test_varying_times_and_ranges_are_kept(tmp_path: Path) -> None:
    times = [Fraction(t, 25) for t in (0, 1, 2, 6, 7, 12)]
    footage = open_footage(grey_video(tmp_path / "vfr.mp4", 6, times=times), (2, 6))
    out = write_overlay(tmp_path / "o.mp4", footage, take_of(6))
    got = [frame.time for frame in open_footage(out)]
    np.testing.assert_allclose(got, [float(t - times[1]) for t in times[1:]], atol=2e-3)


def test_a_still_becomes_a_picture(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "face.png"), np.full((480, 640, 3), GREY, np.uint8))
    out = write_overlay(tmp_path / "overlay.mp4", open_footage(tmp_path / "face.png"), take_of(1))
    assert out == tmp_path / "overlay.png"
    (frame,) = open_footage(out)
    assert frame.image.shape == (480, 640, 3)
    assert touched(frame.image)[80:160, 120:200].sum() > 300


def stop_after(count: int) -> Callable[[], bool]:
    asked = iter(range(10_000))
    return lambda: next(asked) >= count


def test_cancelling_leaves_nothing_behind(tmp_path: Path) -> None:
    footage = open_footage(grey_video(tmp_path / "clip.mp4", 20))
    out = tmp_path / "out" / "overlay.mp4"
    with pytest.raises(Cancelled):
        write_overlay(out, footage, take_of(20), should_cancel=stop_after(5))
    assert list(out.parent.iterdir()) == []


def test_heads_partly_or_wholly_outside_do_not_harm(tmp_path: Path) -> None:
    vertices, _ = ball()
    places = [(0.55, 0.0, 1.0), (9.0, 0.0, 1.0), (0.0, 0.0, 0.05), (0.0, 0.0, -1.0)]
    footage = open_footage(grey_video(tmp_path / "clip.mp4", 4))
    take = take_of(4, vertices_at=lambda t: seen(vertices, places[t], 0.1), landmarks=None)
    assert probe(write_overlay(tmp_path / "o.mp4", footage, take)).frame_count == 4


def test_an_overlay_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    footage = open_footage(grey_video(tmp_path / "clip.mp4", 2))
    (tmp_path / "taken").write_text("a file where a folder should be")
    with pytest.raises(UserError) as caught:
        write_overlay(tmp_path / "taken" / "overlay.mp4", footage, take_of(2))
    assert caught.value.code == "output_unwritable"
    assert "taken" in caught.value.message
