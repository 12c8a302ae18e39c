"""The rendered clip shows the performance: the head is drawn where the truth says, and every frame is in the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.demo.truth import project
from backend.footage import open_footage
from backend.footage.encode import encode_evenly
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel
from backend.synthesis.clip import render_performance, textured_wall
from backend.synthesis.performance import Performance, demo_performance, world_vertices

FRAMES, SIDE = 5, 160


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return load_head("open")


@pytest.fixture(scope="module")
def performance(head: HeadModel) -> Performance:
    return demo_performance(head, frame_count=FRAMES, frame_rate=3.0, side=SIDE, focal_px=220.0)


@pytest.fixture(scope="module")
def pictures(head: HeadModel, performance: Performance) -> np.ndarray:
    return np.stack(list(render_performance(head, performance)))


def test_the_head_is_drawn_where_the_truth_puts_it(
    head: HeadModel, performance: Performance, pictures: np.ndarray
) -> None:
    image = project(world_vertices(head, performance), performance.focal_px, performance.principal_point)
    for frame, points in zip(pictures, image, strict=True):
        drawn = (frame != textured_wall((SIDE, SIDE), 7)).any(axis=-1)
        rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
        edges = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        np.testing.assert_allclose(edges, [*points.min(axis=0), *points.max(axis=0)], atol=1.5)


def test_the_video_holds_every_frame_at_its_time(
    performance: Performance, pictures: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "clip.mp4"
    encode_evenly(path, pictures, performance.frame_rate)
    footage = open_footage(path)
    assert (footage.info.frame_count, footage.info.width, footage.info.height) == (FRAMES, SIDE, SIDE)
    for index, frame in enumerate(footage):
        assert frame.time == pytest.approx(index / performance.frame_rate, abs=1e-3)
        error = np.abs(frame.image.astype(int) - pictures[index]).mean()
        others = [np.abs(frame.image.astype(int) - pictures[i]).mean() for i in range(FRAMES) if i != index]
        assert error < 5
        assert error < min(others)


def test_colours_survive_encoding(performance: Performance, tmp_path: Path) -> None:
    path = tmp_path / "flat.mp4"
    colour = np.array([200, 120, 60])
    flat = np.broadcast_to(colour, (2, SIDE, SIDE, 3)).astype(np.uint8)
    encode_evenly(path, flat, performance.frame_rate)
    decoded = next(iter(open_footage(path))).image
    np.testing.assert_allclose(decoded.reshape(-1, 3).mean(axis=0), colour, atol=4)
