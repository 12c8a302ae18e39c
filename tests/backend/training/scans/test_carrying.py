"""Landmarks follow the skin: in pictures whose motion is known, and from one scan to another."""

import numpy as np
import pytest

from backend.training.scans.flow import DisFlow, at, carry
from backend.training.scans.landmarks import NAMES
from backend.training.scans.propagate import Neutral, propagate

from .people import HEAD, person, scanned, speckled_skin, truth_of

SIDE, FRAMES = 160, 16


def motion(points: np.ndarray, number: int) -> np.ndarray:
    """A swing of ten pixels, with a stretch."""
    phase = 2 * np.pi * number / FRAMES
    middle = points - SIDE / 2
    return points + [10 * np.sin(phase), 6 * np.sin(2 * phase)] + middle * 0.06 * np.sin(phase)


def texture_at(points: np.ndarray) -> np.ndarray:
    """A picture without end that has detail of several sizes."""
    rng = np.random.default_rng(1)
    value = np.zeros(points.shape[:-1])
    for _ in range(40):
        wave = rng.normal(size=2) * rng.choice([0.05, 0.15, 0.4])
        value += np.sin(points @ wave + rng.uniform(0, 6.3))
    return value


def picture(number: int) -> np.ndarray:
    """Frame ``number``: each pixel shows what moved there, found by undoing the motion step by step."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    pixels = np.stack([x, y], axis=-1)
    source = pixels.copy()
    for _ in range(8):
        source += pixels - motion(source, number)
    grey = np.clip(128 + 14 * texture_at(source), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def test_points_do_not_drift_and_lost_ones_are_told() -> None:
    y, x = np.mgrid[30 : SIDE - 29 : 20, 30 : SIDE - 29 : 20]
    points = np.column_stack([x.ravel(), y.ravel()]).astype(float)
    start = np.concatenate([points, [[np.nan, np.nan]]])
    frames = [picture(number) for number in range(FRAMES)]
    frames[-1][:, : SIDE // 2] = 90  # something comes in front of the left half
    found = list(carry(frames, start, DisFlow()))
    assert len(found) == FRAMES
    error = np.stack([np.linalg.norm(one.position[:-1] - motion(points, n), axis=1) for n, one in enumerate(found)])
    assert np.median(error[1:-1]) < 0.2
    assert np.median(error[-2]) < 0.3  # the end is no worse than the middle
    assert all(one.followed[:-1].mean() > 0.9 for one in found[:-1])
    assert not any(one.followed[-1] for one in found)
    hidden = motion(points, FRAMES - 1)[:, 0] < SIDE / 2 - 12
    assert not found[-1].followed[:-1][hidden].any()


def test_flow_is_read_between_pixels() -> None:
    flow = np.zeros((4, 6, 2), np.float32)
    flow[..., 0] = np.arange(6) + 0.5  # each pixel's own place
    assert np.allclose(at(flow, np.array([[2.0, 1.0], [3.25, 3.0]]))[:, 0], [2.0, 3.25])


@pytest.mark.slow
def test_a_smile_carries_the_landmarks_with_it() -> None:
    skin = speckled_skin()
    calm = person()
    half = person(mouthSmileLeft=0.3, mouthSmileRight=0.3) + np.array([0.002, 0.0, 0.003])
    smiling = person(mouthSmileLeft=0.6, mouthSmileRight=0.6, browInnerUp=0.5) + np.array([0.004, -0.003, 0.006])
    neutral = Neutral.of(HEAD, scanned(calm, skin), truth_of(calm), "annotated")
    scans = [scanned(half, skin), scanned(smiling, skin)]
    found = list(propagate(neutral, scans, DisFlow, in_time=True, side=384))
    for marks, true_head in zip(found, (half, smiling), strict=True):
        true = true_head[marks.vertices]
        error = np.linalg.norm(marks.places - true, axis=1)
        moved = np.linalg.norm(true - calm[marks.vertices], axis=1)
        assert np.isfinite(error).mean() > 0.8
        assert np.nanmedian(error) < 0.0006 < np.median(moved)
        assert np.isfinite(marks.position).all(axis=1).sum() > 0.7 * len(NAMES)
