"""How much texture that lies a little off its place changes a picture: by its slope, and by how far skin slides."""

from __future__ import annotations

import numpy as np
import pytest

from backend.detail.slide import LEFT, STEADY_MM, Slides

TEXEL_MM = 0.5
HIGH, LONG = 0.2, 8.0
"""Stripes' amplitude, and their length in texels."""
SHAPE = (60, 90)


def stripes(off: float = 0.0) -> np.ndarray:
    columns = np.arange(SHAPE[1]) - off
    return np.tile(HIGH * np.sin(2 * np.pi * columns / LONG), (SHAPE[0], 1)).astype(np.float32)


def test_texture_that_stays_changes_by_its_slope_squared_times_the_error_of_place():
    weight = [np.ones(SHAPE, np.float32)] * 2
    change = Slides(2, SHAPE, TEXEL_MM).false_change(stripes(), weight)
    # central differences of a sine of period 8 rise by sin(2π/8) texels⁻¹ at most; half of its square on average
    slope = HIGH * np.sin(2 * np.pi / LONG) / TEXEL_MM
    assert len(change) == 2
    assert float(change[0][10:-10, 16:-18].mean()) == pytest.approx(STEADY_MM**2 * slope**2 / 2, rel=0.02)
    assert not Slides(2, SHAPE, TEXEL_MM).false_change(np.zeros(SHAPE, np.float32), weight)[0].any()


def test_where_skin_slides_less_is_known_of_its_place():
    """Two pictures whose stripes lie a texel off the mean to either side."""
    weight = [np.ones(SHAPE, np.float32)] * 2
    slides = Slides(2, SHAPE, TEXEL_MM)
    before = float(slides.false_change(stripes(), weight)[0].mean())
    for _ in range(4):
        slides.follow([stripes(1.0), stripes(-1.0)], weight, 1e-4, lambda: None)
    after = float(slides.false_change(stripes(), weight)[0][20:-20, 30:-30].mean())
    expected = 1 + (LEFT * 1.0 * TEXEL_MM / STEADY_MM) ** 2
    assert after / before == pytest.approx(expected, rel=0.2)
