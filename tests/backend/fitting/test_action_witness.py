"""What a take's pictures tell of the actions, from the open head's own points and the blendshape network's scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.alignment.landmarks.blendshapes import BlendshapeNetwork
from backend.alignment.landmarks.point_sigma import load_point_sigma
from backend.fitting import FitOptions, View, fit_take
from backend.fitting.action_witness import LEAST_FRAMES, action_witness, load_witness_table, told_by
from backend.head_model.library import load_head
from backend.head_model.model import surface_positions
from backend.head_model.opposed_actions import OPPOSED_ACTIONS
from backend.observations import PointSet, ViewAlignment
from protocol.face_actions import ARKIT_ACTIONS
from tests.backend.fitting.small_head import small_head

FRAMES = 40
SIZE = (512, 512)


def take(frames: int = FRAMES, yaw: float = 0.0, **curves: NDArray[np.float64]) -> ViewAlignment:
    """The open head performing ``curves (frames,)``, seen from one metre as MediaPipe's points with a little noise."""
    head = load_head()
    points = surface_positions(
        head.landmarks["mediapipe478"], head.triangles, np.concatenate([head.template[None], head.expression_basis])
    ).astype(np.float64)
    weights = np.zeros((frames, len(head.expression_names)))
    for name, curve in curves.items():
        weights[:, head.expression_names.index(name)] = curve
    posed = points[0] + np.einsum("tk,knc->tnc", weights, points[1:])
    seen = posed @ Rotation.from_euler("Y", yaw, degrees=True).as_matrix().T * (1, -1, -1) + (0, 0, 1.0)
    mu = 1200 * seen[..., :2] / seen[..., 2:] + np.array(SIZE) / 2
    mu += np.random.default_rng(5).normal(scale=0.3, size=mu.shape)
    network = BlendshapeNetwork(load_point_sigma().mirror)
    scores = network(list(mu))
    network.close()
    shape = mu.shape[:2]
    points_seen = PointSet.of(
        "mediapipe478", mu.astype(np.float32), np.full(shape, 1.5, np.float32), np.ones(shape, bool), "mediapipe"
    )
    alignment = ViewAlignment.of(points_seen, image_size=SIZE, frame_rate=25.0)
    return replace(alignment, action_scores=scores)


def swell(start: int, frames: int = FRAMES) -> NDArray[np.float64]:
    """From 0 to 0.9 and back in 12 frames."""
    curve = np.zeros(frames)
    curve[start : start + 12] = 0.9 * np.sin(np.linspace(0, np.pi, 12))
    return curve


@pytest.fixture(scope="module")
def smiling() -> ViewAlignment:
    return take(mouthSmileLeft=swell(10), mouthSmileRight=swell(10), jawOpen=swell(26))


def of(values: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    return values[:, ARKIT_ACTIONS.index(name)]


def test_it_tells_what_is_on_and_when(smiling: ViewAlignment) -> None:
    told = told_by(smiling, load_witness_table())
    for name, on in (("mouthSmileLeft", slice(13, 19)), ("mouthSmileRight", slice(13, 19)), ("jawOpen", slice(29, 35))):
        curve = of(told.target, name)
        assert curve[on].min() > 0.3, name
        assert np.delete(curve, np.r_[on.start - 4 : on.stop + 4]).max() < 0.25, name
    assert told.target[:8].mean() < 0.05, "the take's own rest is rest"
    assert (of(told.precision, "mouthSmileLeft") > 0).all()
    for silent in ("tongueOut", "jawForward"):
        assert not of(told.precision, silent).any()


def test_opposites_are_not_told_together(smiling: ViewAlignment) -> None:
    witness = action_witness(load_head(), [smiling])
    assert witness is not None
    names = load_head().expression_names
    for pair in OPPOSED_ACTIONS:
        one, other = (witness.target[:, names.index(name)] for name in pair)
        assert np.minimum(one, other).max() == 0


def test_several_views_are_no_surer_than_the_best_and_one_from_behind_has_no_say(smiling: ViewAlignment) -> None:
    head = load_head()
    alone, twice = action_witness(head, [smiling]), action_witness(head, [smiling, smiling])
    assert alone is not None and twice is not None
    np.testing.assert_allclose(twice.precision, alone.precision)
    np.testing.assert_allclose(twice.target, alone.target, atol=1e-9)
    aside = told_by(take(yaw=75.0), load_witness_table())
    assert aside.precision.max() == 0


def test_a_short_take_is_compared_with_people_in_general(smiling: ViewAlignment) -> None:
    table = load_witness_table()
    short = told_by(smiling.at(np.arange(8, 8 + LEAST_FRAMES - 2)), table)
    assert of(short.target, "mouthSmileLeft")[4:12].max() > 0.3
    told = np.isfinite(table.sigma)
    assert (short.precision[0, :-1][told] <= told_by(smiling, table).precision[0, :-1][told]).mean() > 0.9


def test_who_cannot_be_told_of_hears_nothing(smiling: ViewAlignment) -> None:
    assert action_witness(load_head(), [replace(smiling, action_scores=None)]) is None
    unseen = replace(smiling, action_scores=np.full((FRAMES, 52), np.nan, np.float32))
    assert action_witness(load_head(), [unseen]) is None
    names = tuple(f"expression{k}" for k in range(len(small_head().expression_names)))
    assert action_witness(replace(small_head(), expression_names=names), [smiling]) is None


def test_an_action_that_a_head_has_for_each_side_is_told_for_both(smiling: ViewAlignment) -> None:
    head = load_head()
    split = tuple("browInnerUpLeft" if name == "browInnerUp" else name for name in head.expression_names)
    whole, half = action_witness(head, [smiling]), action_witness(replace(head, expression_names=split), [smiling])
    assert whole is not None and half is not None
    np.testing.assert_array_equal(whole.precision, half.precision)


@pytest.mark.slow
def test_the_fit_hears_it(smiling: ViewAlignment) -> None:
    """Curves at rest where the face is, and amplitude kept where it moves."""
    head, options = load_head(), FitOptions(device="cpu", max_iterations=15)
    heard = fit_take(head, [View(smiling)], options).expression
    deaf = fit_take(head, [View(replace(smiling, action_scores=None))], options).expression
    looks = ["Look" in name for name in head.expression_names]
    rest, usual = (curves[:8, ~np.array(looks)].sum(axis=1).mean() for curves in (heard, deaf))
    assert rest < 0.5 * usual and rest < 0.3
    smile = head.expression_names.index("mouthSmileLeft")
    assert heard[15, smile] > 0.6
