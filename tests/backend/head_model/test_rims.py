"""Rims of mouth and eyes: closed rings, places along them, and one mesh's ring laid on another's."""

import numpy as np
import pytest

from backend.head_model.library import load_head
from backend.head_model.registration.parts import parts_of_open_head
from backend.head_model.rims import match_ring, places, walk_rim


@pytest.fixture(scope="module")
def mouth():
    head = load_head("open")
    own = parts_of_open_head(head)
    return head.template.astype(float), walk_rim(head.triangles, own["outer"], own["mouth_bag"], 4)


def funnel(sides, rings):
    """An opening around the origin, as (points, triangles): ``rings`` rings of ``sides`` points, the first inmost."""
    around = np.pi - 2 * np.pi * np.arange(sides) / sides  # from the corner towards −x, over the top
    radius = 1 + np.arange(rings)
    points = np.stack(
        [np.outer(radius, np.cos(around)), np.outer(radius, np.sin(around)), 0 * np.outer(radius, around)], 2
    )
    k = np.arange(sides)
    quads = [
        np.stack(
            [n * sides + k, n * sides + (k + 1) % sides, (n + 1) * sides + (k + 1) % sides, (n + 1) * sides + k], 1
        )
        for n in range(rings - 1)
    ]
    quad = np.concatenate(quads)
    return points.reshape(-1, 3), np.concatenate([quad[:, [0, 1, 2]], quad[:, [0, 2, 3]]]).astype(np.int32)


def test_rings_run_around_the_mouth_and_go_outwards(mouth):
    template, rim = mouth
    assert len(rim.outward) == len(rim.inward) == 4
    for ring in (*rim.outward, *rim.inward):
        steps = np.linalg.norm(template[ring] - template[np.roll(ring, 1)], axis=1)
        assert len(np.unique(ring)) == len(ring) and steps.max() < 0.012, "neighbours follow each other"
    width = [np.ptp(template[rim.at(n), 0]) for n in (1, 2, 3)]
    assert width == sorted(width)


def test_places_run_over_the_upper_lip_and_back_below(mouth):
    template, rim = mouth
    ring = rim.at(1)
    along = places(template[ring])
    assert template[ring[along == 0], 0] < -0.02 and template[ring[along == 1], 0] > 0.02
    middle = np.abs(template[ring, 0]) < 0.004
    assert (np.abs(np.where(along > 1, along - 1.5, along - 0.5))[middle] < 0.1).all()
    below = template[ring[along > 1]]
    opened = load_head("open").expression_basis[load_head("open").expression_names.index("jawOpen")]
    drop = -opened[ring, 1]
    assert drop[middle & (along > 1)].min() > 5 * drop[middle & (along < 1)].max() and len(below) > 10


def test_a_ring_lies_between_two_rings_of_a_finer_mesh():
    points, triangles = funnel(12, 4)
    finer, its_triangles = funnel(36, 6)
    cavity, its_cavity = np.arange(len(points)) < 12, np.arange(len(finer)) < 36
    rim = walk_rim(triangles, ~cavity, cavity, 3)
    its_rim = walk_rim(its_triangles, ~its_cavity, its_cavity, 4)
    assert np.array_equal(np.sort(its_rim.at(-1)), np.arange(36))
    ring = rim.at(0)
    rows = match_ring(ring, points, (1.5, 1.0, 0.0), its_rim, finer)
    assert np.allclose(rows.sum(axis=1), 1)
    found = rows @ finer
    radius = np.linalg.norm(found, axis=1)
    along = places(points[ring])
    assert radius[along == 0.5] == pytest.approx(3.5, rel=0.01), "rings 0, 1, 2 … of it have radii 2, 3, 4 …"
    assert radius[along == 1.0] == pytest.approx(3.0, rel=0.01) and radius[along == 1.5] == pytest.approx(2, rel=0.01)
    turned = np.arctan2(found[:, 1], found[:, 0]) - np.arctan2(points[ring, 1], points[ring, 0])
    assert np.abs(np.angle(np.exp(1j * turned))).max() < 0.01


def test_what_is_no_ring_is_refused():
    points, triangles = funnel(12, 3)
    cavity = np.zeros(len(points), bool)
    cavity[:5] = True
    with pytest.raises(ValueError, match="closed ring"):
        walk_rim(triangles, ~cavity, cavity, 2)
