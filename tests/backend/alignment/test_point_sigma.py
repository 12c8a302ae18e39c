from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.alignment.measure_sigma import main, mirror_index
from backend.alignment.measure_yaw import first_hits
from backend.alignment.point_sigma import load_point_sigma
from backend.evaluation.splits import person_number

RIGHT_CHEEK, LEFT_CHEEK, NOSE_TIP = 234, 454, 1


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


def test_a_table_survives_its_file(tmp_path: Path) -> None:
    table = load_point_sigma()
    table.save(tmp_path / "again.npz")
    again = load_point_sigma(tmp_path / "again.npz")
    np.testing.assert_array_equal(again.pixels(0.4, 80), table.pixels(0.4, 80))


def test_rays_hit_a_plane_where_geometry_says() -> None:
    vertices = np.array([[-9.0, -9, 2], [9, -9, 2], [0, 18, 2], [-9, -9, 5], [9, -9, 5], [0, 18, 5]])
    faces = np.array([[0, 1, 2], [3, 4, 5]])
    rays = np.array([[0.1, 0.2, 1.0], [0, 0, -1.0], [50.0, 0, 1]])
    hits = first_hits(vertices, faces, np.zeros(3), rays)
    np.testing.assert_allclose(hits[0], (0.2, 0.4, 2.0))
    assert np.isnan(hits[1:]).all()


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
    main(shared_data / "photos", shared_data / "scan" / "lee_perry_smith", tmp_path / "again.npz", every=1)
    again, table = load_point_sigma(tmp_path / "again.npz"), load_point_sigma()
    np.testing.assert_allclose(again.sigma_fraction, table.sigma_fraction, rtol=0.05)
    np.testing.assert_allclose(again.side_factor, table.side_factor, rtol=0.05)
    np.testing.assert_array_equal(again.mirror, table.mirror)
