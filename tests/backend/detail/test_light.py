"""Light and bumps by hand: a lamp over blotched skin is found again, and transposes are transposes."""

from __future__ import annotations

import numpy as np

from backend.detail.band import Band, slope, slope_transposed
from backend.detail.light import Light, fit_light, harmonics, shading_change


def test_harmonics_of_a_corner():
    np.testing.assert_allclose(harmonics(np.array([0.0, 0.6, 0.8])), [1, 0, 0.6, 0.8, 0, 0.48, 0, -0.36, 0.92])


def test_shading_changes_as_its_difference_says():
    random = np.random.default_rng(1)
    normals, light = random.normal(size=(5, 3)), random.normal(size=9)
    for axis in range(3):
        step = 1e-5 * np.eye(3)[axis]
        numeric = (harmonics(normals + step) - harmonics(normals - step)) @ light / 2e-5
        np.testing.assert_allclose(shading_change(normals, light)[:, axis], numeric, atol=1e-8)


def test_a_lamp_is_found_under_other_exposures_blotches_and_a_shadow():
    random = np.random.default_rng(3)
    turned = random.normal(size=(6, 500, 3)) * (1, 1, 0.5) + (0, 0, 1.5)
    normals = turned / np.linalg.norm(turned, axis=-1, keepdims=True)
    truth = np.array([0.6, 0.2, -0.3, 0.4, 0, 0, 0, 0, 0])
    shading = harmonics(normals) @ truth
    color = np.exp(0.1 * random.normal(size=500))
    exposure = np.array([1.0, 1.3, 0.8, 1, 1.1, 0.9])[:, None]
    picture = (shading * color * exposure).astype(np.float32)
    picture[2, :60] *= 0.3
    light = fit_light(normals.astype(np.float32), picture, np.ones_like(picture))
    found = light.shading(normals)
    ratio = found / shading / np.median(found / shading)
    assert np.abs(np.log(ratio)).mean() < 0.03


def test_even_light_is_what_is_beyond_a_lamps_mean():
    """0.6 less half of √(0.2² + 0.3² + 0.4²) = 0.539 leaves 0.331 of the 1.0 that falls on a normal along z."""
    light = Light(np.array([0.6, 0.2, -0.3, 0.4, 0, 0, 0, 0, 0]), 1.0)
    assert abs(float(light.even_share(np.array([0.0, 0.0, 1.0]))) - 0.3307) < 1e-3
    assert float(Light(np.array([0.3, 0, 0, 1.0, 0, 0, 0, 0, 0]), 1.0).even_share(np.array([0.0, 0, 1]))) == 0


def test_bumps_have_variance_one_and_are_their_own_transpose():
    random = np.random.default_rng(5)
    band = Band(0.6)
    one, other = random.normal(size=(2, 300, 300)).astype(np.float32)
    made = band.bumps(one)
    assert abs(made[40:-40, 40:-40].std() - 1) < 0.06
    np.testing.assert_allclose(np.vdot(made, other), np.vdot(one, band.bumps(other)), rtol=2e-3)
    np.testing.assert_allclose(np.vdot(band.stands_out(one), other), np.vdot(one, band.stands_out(other)), rtol=2e-3)
    across, down = slope(one)
    back = slope_transposed(other, made)
    np.testing.assert_allclose(np.vdot(across, other) + np.vdot(down, made), np.vdot(one, back), rtol=1e-3)


def test_a_slope_is_by_the_texel():
    depth = np.add.outer(3.0 * np.arange(5), 2.0 * np.arange(6)).astype(np.float32)
    across, down = slope(depth)
    assert (across[:, 1:-1] == 2).all() and (down[1:-1] == 3).all()
