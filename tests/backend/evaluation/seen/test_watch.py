"""The second detector and the blendshape network on renders of the open head, whose face is known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from backend.evaluation.seen.damping import POSES, pose_weights
from backend.evaluation.seen.measures import MEASURES, Ruler, measures_of
from backend.evaluation.seen.performance import Performance, Portrait
from backend.evaluation.seen.watch import Watcher, watch
from backend.evaluation.types import MeshSequence
from backend.head_model.library import load_head
from protocol.face_actions import ARKIT_ACTIONS

JAW, SMILE = (ARKIT_ACTIONS.index(name) for name in ("jawOpen", "mouthSmileLeft"))


@pytest.fixture(scope="module")
def performance() -> Performance:
    """The open head, at rest and with its jaw open."""
    head = load_head("open")
    offsets = np.stack([np.zeros_like(head.template), head.expression_basis[head.expression_names.index("jawOpen")]])
    facing = (head.template + offsets) @ np.diag([1, -1, -1]).astype(np.float32)
    weights = np.zeros((2, 52), np.float32)
    weights[1, JAW] = 1
    points = head.landmarks["ibug68"]
    mesh = MeshSequence(
        vertices=(facing + np.array([0, 0, 0.7])).astype(np.float32),
        triangles=head.triangles,
        focal_px=np.full(2, 800.0),
        principal_point=np.array([400.0, 300.0]),
        image_size=(800, 600),
        frame_rate=25.0,
        tracked=np.ones(2, bool),
        landmarks68=(points.triangle, points.barycentric),
    )
    return Performance(head, mesh, weights)


@pytest.fixture(scope="module")
def watcher() -> Iterator[Watcher]:
    made = Watcher()
    yield made
    made.close()


def test_the_same_picture_is_seen_alike_and_a_mouth_opens(performance: Performance, watcher: Watcher) -> None:
    small = performance.no_larger_than(400)
    assert small.mesh.image_size == (400, 300)
    with Portrait(small) as portrait:
        shown = [portrait.picture(frame) for frame in range(2)]
    assert shown[0].shape == (300, 400, 3)
    sight = watch(watcher, small, enumerate(shown))
    head = sight.head
    assert sight.frames.tolist() == [0, 1]
    assert head.measures == pytest.approx(sight.footage.measures)
    opening = head.measures[:, MEASURES.index("mouth opening")]
    assert opening[1] > opening[0] + 10
    assert head.scores[1, JAW] > head.scores[0, JAW] + 0.3
    assert head.scores[1, SMILE] < 0.3


def test_what_it_sees_is_near_what_is_so(performance: Performance, watcher: Watcher) -> None:
    with Portrait(performance) as portrait:
        seen = watcher.points68(portrait.picture(0), performance.points(0))
    ruler = Ruler.of(performance.mesh).at(np.array([0]))
    head = performance.head.landmarks["ibug68"]
    corners = performance.mesh.vertices[0][performance.mesh.triangles[head.triangle]].astype(np.float64)
    points = np.einsum("nk,nkc->nc", head.barycentric, corners)
    true = points[:, :2] / points[:, 2:] * 800 + (400, 300)
    off = np.linalg.norm(seen - true, axis=1)[17:] / ruler.unit[0]
    assert off.mean() < 0.06
    assert measures_of(seen[None], ruler)[0, MEASURES.index("mouth width")] == pytest.approx(
        measures_of(true[None], ruler)[0, MEASURES.index("mouth width")], abs=8
    )


def test_without_a_face_nothing_is_seen(performance: Performance, watcher: Watcher) -> None:
    grey = np.full((600, 800, 3), 128, np.uint8)
    assert np.isnan(watcher.points68(grey, performance.points(0))).all()
    assert np.isnan(watcher.scores(grey, performance.points(0))).all()


def test_poses_rise_in_strength_on_both_sides_or_one() -> None:
    poses = pose_weights()
    assert poses.shape == (1 + 3 * len(POSES), 52)
    blink = 1 + 3 * [dict(pose) for pose in POSES].index({"eyeBlink": 1.0})
    closed = [ARKIT_ACTIONS.index(f"eyeBlink{side}") for side in ("Left", "Right")]
    assert poses[blink : blink + 3, closed] == pytest.approx(np.array([[1, 1], [2, 2], [3, 3]]) / 3)
    assert not poses[0].any()
