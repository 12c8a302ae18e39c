"""An object between the lamp and a wall shades it, where geometry says and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.training.samples import SAMPLE_SIDE
from backend.training.synthetic.lighting import LAMPS, Lighting
from backend.training.synthetic.stage import Stage, Surface
from backend.training.synthetic.views import Camera

CELLS, WALL, REACH = 120, 1.0, 0.15  # the wall is a grid of 120² cells, 1 m away, 30 cm wide
CARD_AWAY, CARD = 0.9, 0.02  # metres: a square card 4 cm wide hangs before it
CAMERA = Camera(focal_px=3.0 * SAMPLE_SIDE, principal_point=(SAMPLE_SIDE / 2, SAMPLE_SIDE / 2))
ASIDE = np.array((-0.6, 0.0, -0.8))  # towards the lamp: from the left, before the wall


def _grid(side: float, z: float, cells: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Vertices and triangles of a square across the view, its front towards the camera."""
    place = np.linspace(-side, side, cells + 1)
    x, y = np.meshgrid(place, place)
    number = np.arange((cells + 1) ** 2).reshape(cells + 1, cells + 1)
    a, b, c, d = number[:-1, :-1].ravel(), number[:-1, 1:].ravel(), number[1:, :-1].ravel(), number[1:, 1:].ravel()
    triangles = np.concatenate([np.column_stack([a, b, c]), np.column_stack([b, d, c])])
    vertices = np.column_stack([x.ravel(), y.ravel(), np.full(x.size, z)])
    return vertices.astype(np.float32), triangles.astype(np.int32)


def _picture(lighting: Lighting) -> NDArray[np.float64]:
    """(S,S) brightness of the wall with the card before it."""
    background = np.zeros((SAMPLE_SIDE, SAMPLE_SIDE, 3), np.uint8)
    surfaces = []
    with Stage() as stage:
        stage.add_texture("white", np.full((4, 4, 4), 255, np.uint8))
        for name, (vertices, triangles) in {
            "wall": _grid(REACH, WALL, CELLS),
            "card": _grid(CARD, CARD_AWAY, 4),
        }.items():
            count = len(vertices)
            stage.add_mesh(name, np.zeros((count, 2), np.float32), np.zeros(count, np.float32), {"all": triangles})
            normals = np.tile(np.array([0, 0, -1], np.float32), (count, 1))
            surfaces.append(Surface(name, vertices, normals, "white", two_sided=True))
        return stage.draw(surfaces, CAMERA, lighting, background)[0][..., 1].astype(float)


@pytest.fixture(scope="module")
def lighting() -> Lighting:
    dark, directions = np.zeros((LAMPS, 3)), np.tile(ASIDE, (LAMPS, 1))
    dark[0] = 0.7
    return Lighting(np.column_stack([np.full(3, 0.1), np.zeros((3, 3))]), directions, dark, 0.0, 1.0, 0.001)


def test_a_card_s_shadow_falls_where_the_lamp_s_rays_say(lighting: Lighting) -> None:
    shaded, plain = _picture(lighting), _picture(replace(lighting, shadow=0.0))
    darker = (plain - shaded) > 30
    row, column = np.nonzero(darker)
    pixel = CAMERA.focal_px / WALL
    # The rays run to the right as they go on to the wall; the card hides none of its shadow but the part behind itself.
    moved = ASIDE[0] / ASIDE[2] * (WALL - CARD_AWAY)
    left, right = (moved - CARD) * pixel, (moved + CARD) * pixel
    covered = CARD * CAMERA.focal_px / CARD_AWAY
    middle = SAMPLE_SIDE / 2
    assert moved > 0 and left > covered  # the whole of it is seen
    assert column.mean() - middle == pytest.approx((left + right) / 2, abs=2)
    assert row.mean() - middle == pytest.approx(0, abs=2)
    assert darker.sum() == pytest.approx((2 * CARD * pixel) ** 2, rel=0.15)


def test_nothing_else_is_shaded(lighting: Lighting) -> None:
    shaded, plain = _picture(lighting), _picture(replace(lighting, shadow=0.0))
    pixel, middle = CAMERA.focal_px / WALL, SAMPLE_SIDE // 2
    shadow = round(0.075 * pixel), round(0.035 * pixel)
    kept = np.ones_like(plain, bool)
    kept[middle - shadow[1] : middle + shadow[1], middle + round(0.04 * pixel) : middle + round(0.115 * pixel)] = False
    np.testing.assert_array_equal(shaded[kept], plain[kept])


def test_a_softer_lamp_has_a_wider_edge(lighting: Lighting) -> None:
    def edge(penumbra: float) -> int:
        shaded = _picture(replace(lighting, penumbra=penumbra))[SAMPLE_SIDE // 2]
        dark, light = shaded[shaded > 0].min(), shaded.max()
        return int(np.sum((shaded > dark + 0.2 * (light - dark)) & (shaded < dark + 0.8 * (light - dark))))

    assert edge(0.03) > edge(0.001) + 4
