"""What the coarse regressor is measured by: known misses come out as they were made, and tables tell them apart."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

import numpy as np
import pytest
from rich.console import Console
from scipy.spatial.transform import Rotation

from backend.alignment.flowface.crop import CropLayout
from backend.fitting import Solution
from backend.fitting.types import FittedCamera
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel
from backend.training.atlas_points import with_landmarks
from backend.training.coarse.config import CoarseNetworkConfig
from backend.training.coarse.known import Known
from backend.training.coarse.measure import KINDS, Judge, Looked, Miss, coarse_table, real_sentence, worsened
from backend.training.coarse.network import CoarseNetwork
from backend.training.samples import Sample
from backend.training.synthetic.views import Camera

CAMERA = Camera(600.0, (144.0, 144.0))
FACING = np.diag([1.0, -1.0, -1.0])
AWAY = np.array([0.0, 0.0, 0.9])


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return load_head("open")


@pytest.fixture(scope="module")
def judge(head: HeadModel) -> Iterator[Judge]:
    judge = Judge(head, CoarseNetwork(CoarseNetworkConfig(identity=4, hidden=8), 52).eval())
    yield judge
    judge.close()


@pytest.fixture(scope="module")
def known(head: HeadModel) -> Known:
    """The mean head, straight ahead."""
    vertices = head.template @ FACING.T + AWAY
    none = np.zeros(len(head.expression_basis))
    everywhere = np.ones(head.vertex_count, bool)
    return Known(np.zeros(4), none, np.zeros((2, 2)), FACING, AWAY, vertices, everywhere, CAMERA)


def _solution(head: HeadModel, action: str | None = None, degrees: float = 0.0, aside: float = 0.0) -> Solution:
    expression = np.zeros((1, 52))
    if action is not None:
        expression[0, head.expression_names.index(action)] = 1.0
    turn = FACING @ Rotation.from_euler("y", degrees, degrees=True).as_matrix()
    camera = FittedCamera(CAMERA.focal_px, CAMERA.principal_point, np.eye(3, 4))
    nothing = np.zeros((head.vertex_count, 3))
    place = (AWAY + np.array([aside, 0, 0]))[None]
    return Solution(np.zeros(100), nothing, expression, turn[None], place, np.zeros((1, 2, 2)), (camera,))


def test_the_truth_misses_nothing(head: HeadModel, judge: Judge, known: Known) -> None:
    miss = judge.miss(_solution(head), known)
    assert max(vars(miss).values()) == pytest.approx(0, abs=1e-3)


def test_a_turn_and_a_shift_are_no_other_shape(head: HeadModel, judge: Judge, known: Known) -> None:
    """10° are 10°; 9 mm at 0.9 m and 600 pixels are 6 pixels where the depth is 0.9, a little more nearer by."""
    turned = judge.miss(_solution(head, degrees=10), known)
    assert turned.turn_deg == pytest.approx(10)
    assert turned.shape_mm == pytest.approx(0, abs=1e-3)
    aside = judge.miss(_solution(head, aside=0.009), known)
    assert aside.place_px == pytest.approx(6, rel=0.15)
    assert max(aside.turn_deg, aside.gaps_mm) == pytest.approx(0, abs=1e-3)


def test_a_blink_closes_gaps_and_an_action_is_a_52nd(head: HeadModel, judge: Judge, known: Known) -> None:
    """Three of the eleven pairs come 8 to 9 mm closer."""
    blink = judge.miss(_solution(head, "eyeBlinkLeft"), known)
    assert blink.actions == pytest.approx(1 / 52)
    assert 3 * 6 / 11 < blink.gaps_mm < 3 * 10 / 11
    jaw = judge.miss(_solution(head, "jawOpen"), known)
    assert jaw.gaps_mm > blink.gaps_mm
    assert jaw.shape_mm > 1


def test_where_the_aligner_sees_no_face_only_the_regressor_answers(head: HeadModel, judge: Judge, known: Known) -> None:
    marks = CAMERA.project(known.vertices)
    points = CAMERA.project(with_landmarks(head, known.vertices)).astype(np.float32)
    grey, ones = np.full((288, 288, 3), 120, np.uint8), np.ones(len(points), bool)
    crop = CropLayout.of(head).crop(marks, 192)
    sample = Sample(grey, points, ones.astype(np.float32), ones, grey[..., 0], crop, "grey 0")
    looked = judge.look(sample, known, "plain", np.random.default_rng(1))
    assert not looked.found
    assert set(looked.misses) == {"coarse"}
    assert looked.yaw == pytest.approx(0)
    # a network that has learnt nothing tells a head that faces the camera where the crop is
    assert looked.misses["coarse"].turn_deg < 10
    assert looked.misses["coarse"].place_px < 40


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_are_worsened_as_said(kind: str) -> None:
    picture = np.random.default_rng(1).integers(60, 200, (96, 96, 3)).astype(np.uint8)
    before = picture.copy()
    worse = worsened(picture, kind, np.random.default_rng(2))
    np.testing.assert_array_equal(picture, before)
    assert worse.shape == picture.shape
    same = float((worse == picture).all(-1).mean())
    spread = float(worse.std() / picture.std())
    expected = {"plain": same == 1, "dark": worse.mean() < 0.2 * picture.mean(), "blurred": spread < 0.2}
    expected["half hidden"] = 0.49 < same < 0.51
    assert expected[kind]


def test_the_table_tells_found_lost_and_turned_apart() -> None:
    good, bad = Miss(1.0, 2.0, 3.0, 4.0, 0.05), Miss(3.0, 2.0, 3.0, 4.0, 0.05)
    ways = {"coarse": good, "first guess": bad, "fit": good, "fit from coarse": good}
    rows = [
        Looked("plain", 0.0, True, ways, (100.0, 90.0), (5, 4)),
        Looked("plain", -50.0, True, ways | {"coarse": bad}, (100.0, 100.5), (5, 6)),
        Looked("plain", 50.0, False, {"coarse": bad}),
    ]
    out = StringIO()
    Console(file=out, width=200).print(coarse_table(rows))
    told = [line.split("│")[1:-1] for line in out.getvalue().splitlines() if "plain" in line]
    cells = {(row[0].strip(), row[1].strip()): [cell.strip() for cell in row[2:]] for row in told}
    assert cells["plain", "coarse"][:2] == ["2", "2.00"]
    assert cells["plain, turned 30°", "coarse"][:2] == ["1", "3.00"]
    assert cells["plain, lost", "coarse"][:2] == ["1", "3.00"]
    assert cells["plain", "fit from coarse"][6:] == ["5.0", "1 : 0"]
    assert cells["plain", "fit"][6] == "5.0"


def test_on_real_pictures_a_first_guess_lies_on_its_own_labels(head: HeadModel, judge: Judge, known: Known) -> None:
    """The mean head far away is what the first guess supposes: it misses nothing."""
    points = with_landmarks(head, known.vertices + np.array([0, 0, 40.0]))  # from afar there is no perspective
    mu = Camera(600.0 * 45, (144.0, 144.0)).project(points).astype(np.float32)
    grey, ones = np.full((288, 288, 3), 120, np.uint8), np.ones(len(points), bool)
    crop = CropLayout.of(head).crop(mu, 192)
    sample = Sample(grey, mu, ones.astype(np.float32), ones, grey[..., 0], crop, "photo a/001_1 1")
    miss = judge.look_at_real(sample)
    assert miss.first_guess_px < 0.5
    assert miss.first_guess_px < miss.coarse_px < 40
    assert "2 real pictures" in real_sentence([miss, miss])
