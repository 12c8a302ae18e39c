from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.alignment.landmarks.point_sigma import load_point_sigma
from backend.datasets.splits import person_number
from backend.point_calibration.sigma import main, mirror_index
from backend.point_calibration.yaw import TurnedHead, turned_heads, yaw_growth

RIGHT_CHEEK, LEFT_CHEEK, NOSE_TIP, LIP = 234, 454, 1, 14


def test_the_committed_table_is_whole() -> None:
    table = load_point_sigma()
    assert table.sigma_fraction.shape == table.lateral.shape == table.mirror.shape == (478,)
    assert 0.002 < table.sigma_fraction.min() < table.sigma_fraction.max() < 0.1
    np.testing.assert_array_equal(table.mirror[table.mirror], np.arange(478))
    np.testing.assert_allclose(table.sigma_fraction, table.sigma_fraction[table.mirror], rtol=1e-5)
    np.testing.assert_allclose(table.lateral, -table.lateral[table.mirror], atol=1e-6)
    assert table.lateral[LEFT_CHEEK] > 0.8
    assert len(table.about) > 20


def test_what_is_well_defined_is_surer_than_what_slides() -> None:
    sigma = load_point_sigma().pixels(0.0, 100.0)
    eye_corners, oval = [33, 133, 362, 263], [127, 234, 93, 132, 454, 323, 361, 58, 288]
    assert sigma[eye_corners].mean() < 0.7 * sigma[oval].mean()


@given(st.floats(0, 1.5), st.floats(0, 1.5))
def test_turning_further_is_never_surer(a: float, b: float) -> None:
    table = load_point_sigma()
    less, more = sorted((a, b))
    assert (table.pixels(less, 100) <= table.pixels(more, 100) + 1e-4).all()
    assert (table.pixels(-less, 100) <= table.pixels(-more, 100) + 1e-4).all()


@given(st.floats(-1.5, 1.5))
def test_turning_right_mirrors_turning_left(yaw: float) -> None:
    table = load_point_sigma()
    np.testing.assert_allclose(table.pixels(yaw, 100), table.pixels(-yaw, 100)[table.mirror], rtol=1e-3)


def test_sigma_grows_with_the_face_but_not_below_the_grid() -> None:
    table = load_point_sigma()
    assert table.pixels(0, 200)[NOSE_TIP] == pytest.approx(2 * table.pixels(0, 100)[NOSE_TIP], rel=0.02)
    assert table.pixels(0, 1e-6).min() == pytest.approx(table.floor_px, rel=1e-3)


def test_sigma_grows_where_the_two_looks_disagree_and_about_there() -> None:
    table = load_point_sigma()
    usual = table.pixels(0.0, 100.0)
    np.testing.assert_allclose(table.pixels(0.0, 100.0, np.full((478, 2), 0.001)), usual, rtol=1e-6)
    mouth = np.linalg.norm(table.place - table.place[LIP], axis=1) < 0.25
    apart = np.where(mouth[:, None], 0.06, 0.0) * np.ones(2)
    grown = table.pixels(0.0, 100.0, apart) / usual
    assert (grown >= 1).all()
    assert grown[mouth].min() > 1.5
    assert grown[np.linalg.norm(table.place - table.place[LIP], axis=1) > 0.8].max() < 1.02


def test_a_table_survives_its_file(tmp_path: Path) -> None:
    table = load_point_sigma()
    table.save(tmp_path / "again.npz")
    again = load_point_sigma(tmp_path / "again.npz")
    apart = np.full((478, 2), 0.03)
    np.testing.assert_array_equal(again.pixels(0.4, 80, apart), table.pixels(0.4, 80, apart))


def test_growth_is_told_from_the_bias_of_the_side_that_turns_away() -> None:
    """Points of the far side are off by three σ on heads turned 50°, those of the near side by one, the middle not."""
    rng = np.random.default_rng(8)
    lateral, sigma = rng.uniform(-1, 1, 478), np.full(478, 0.01)
    heads = []
    for yaw in np.radians(rng.uniform(46, 54, 40)) * rng.choice((-1, 1), 40):
        away = lateral * np.sign(yaw)
        size = 0.01 * np.where(np.abs(away) < 0.2, 0.0, np.where(away > 0, 3.0, 1.0))
        heads.append(TurnedHead(float(yaw), rng.normal(size=(478, 2)) * size[:, None]))
    knots = np.radians([-90.0, -50, 0, 50, 90])
    side, middle = yaw_growth(heads, sigma, lateral, knots)
    np.testing.assert_allclose(side, np.sqrt([2, 2, 1, 10, 10]), rtol=0.06)
    np.testing.assert_allclose(middle, 1)


def test_a_rendered_head_is_seen_turning_and_its_points_are_biased_ever_further(shared_data: Path) -> None:
    heads = list(turned_heads(shared_data / "ict" / "ict_facekit.npz", load_point_sigma().mirror, people=1))
    yaws = np.degrees([head.yaw for head in heads])
    assert (yaws < -50).any()
    assert (yaws > 50).any()
    bias = np.array([np.nanmedian(np.linalg.norm(head.bias, axis=1)) for head in heads])
    little, far = bias[np.abs(yaws) < 25], bias[np.abs(yaws) > 45]
    assert 0 < np.median(little) < 0.025
    assert np.median(far) > 2 * np.median(little)


def test_mirror_pairs_of_a_symmetric_shape() -> None:
    rng = np.random.default_rng(3)
    half = rng.uniform(5, 50, (239, 2)) * (1, 2)
    shape = np.concatenate([half, half * (-1, 1)])
    index = mirror_index(np.stack([shape * 1.5 + 40, shape + 7]))
    np.testing.assert_array_equal(index, np.roll(np.arange(478), 239))


def test_people_are_told_apart_by_number() -> None:
    assert person_number(Path("photos/london_neutral/142_03.jpg")) == 142
    assert person_number(Path("photos/canada/010f.jpg")) == 10


@pytest.mark.build
def test_measuring_again_gives_the_committed_table(shared_data: Path, tmp_path: Path) -> None:
    main(shared_data / "photos", shared_data / "ict" / "ict_facekit.npz", tmp_path / "again.npz", every=1)
    again, table = load_point_sigma(tmp_path / "again.npz"), load_point_sigma()
    np.testing.assert_allclose(again.sigma_fraction, table.sigma_fraction, rtol=0.05)
    np.testing.assert_allclose(again.side_factor, table.side_factor, rtol=0.05)
    np.testing.assert_array_equal(again.mirror, table.mirror)
