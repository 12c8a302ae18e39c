"""The outline of people in pictures."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from backend.alignment.landmarks.networks import network_bytes
from backend.alignment.people.outline import NAME, NETWORK, SHA256, PersonOutline, guided
from backend.head_model.appearance import default_colors
from backend.head_model.library import load_head
from backend.head_model.render import HeadRenderer, look_at_head
from backend.synthesis.clip import textured_wall

SIZE = (320, 240)


@pytest.fixture(scope="module")
def drawn() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A head before a wall, and where it is."""
    open_head = load_head("open")
    with HeadRenderer(SIZE) as renderer:
        camera = look_at_head(0.75)
        centre = (160.0, 120.0)
        wall = textured_wall(SIZE, 3)
        vertices, triangles = open_head.template, open_head.triangles
        picture = renderer.render(
            vertices,
            triangles,
            default_colors(open_head),
            focal_px=420.0,
            principal_point=centre,
            world_to_camera=camera,
            background=wall,
        )
        surface = renderer.surface(vertices, triangles, focal_px=420.0, principal_point=centre, world_to_camera=camera)
    return picture, surface.triangle >= 0


def overlap(alpha: NDArray[np.float32], head: NDArray[np.bool_]) -> float:
    """Intersection over union down to the chin: below, the network sees shoulders where this head has none."""
    person, head = alpha[:175] > 0.5, head[:175]
    return float((person & head).sum() / (person | head).sum())


def test_a_head_is_told_from_the_wall(drawn: tuple[NDArray[np.uint8], NDArray[np.bool_]]) -> None:
    picture, head = drawn
    alpha = PersonOutline().alpha(picture)
    assert alpha.shape == head.shape and alpha.min() >= 0 and alpha.max() <= 1
    assert overlap(alpha, head) > 0.9
    assert alpha[:40].max() < 0.1


def test_only_the_box_is_looked_at(drawn: tuple[NDArray[np.uint8], NDArray[np.bool_]]) -> None:
    picture, head = drawn
    alpha = PersonOutline().alpha(picture, (40, -30, 280, 400))
    assert not alpha[:, :40].any() and not alpha[:, 280:].any()
    assert overlap(alpha, head) > 0.9
    assert not PersonOutline().alpha(picture, (400, 0, 500, 100)).any()


def test_soft_outlines_move_to_the_edges_of_the_picture() -> None:
    edge = np.zeros((64, 64), np.float32)
    edge[:, 30:] = 0.8
    soft = np.clip((np.arange(64) - 20) / 20, 0, 1)[None].repeat(64, 0).astype(np.float32)
    sharp = guided(soft, edge, 6)[32]
    # He et al. eqs. 5, 6: across an edge far above epsilon the output jumps where the guide does
    assert sharp[30] - sharp[29] > 0.25 > soft[32, 30] - soft[32, 29]
    flat = guided(np.full((64, 64), 0.25, np.float32), edge, 6)
    assert np.allclose(flat, 0.25, atol=1e-6)


def test_the_network_needs_no_operators_of_others() -> None:
    model = schema.ModelT.InitFromPackedBuf(network_bytes(NETWORK, SHA256)[NAME], 0)
    assert [code.customCode for code in model.operatorCodes if code.customCode] == [b"Convolution2DTransposeBias"]
    used = {int(operator.opcodeIndex) for operator in model.subgraphs[0].operators}
    assert all(not model.operatorCodes[index].customCode for index in used)
