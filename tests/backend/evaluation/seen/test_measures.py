"""What an animator looks at, on points whose distances are known."""

from __future__ import annotations

import numpy as np
import pytest

from backend.evaluation.seen.measures import GROUPS, MEASURES, Ruler, agree, measures_of
from backend.evaluation.types import MeshSequence


def face(**moved: float) -> np.ndarray:
    """Image points (68,2) of a face 100 px between the outer eye corners, looking into the camera."""
    points = np.zeros((68, 2))
    points[[36, 39, 42, 45]] = [(-50, 0), (-15, 0), (15, 0), (50, 0)]
    points[[17, 18, 19, 20, 21]] = [(-55, -22), (-50, -24), (-40, -26), (-30, -26), (-15, -24)]
    points[[22, 23, 24, 25, 26]] = [(15, -24), (30, -26), (40, -26), (50, -24), (55, -22)]
    points[[37, 38, 41, 40]] = [(-40, -5), (-25, -5), (-40, 4), (-25, 4)]
    points[[43, 44, 47, 46]] = [(25, -5), (40, -5), (25, 4), (40, 4)]
    points[[48, 54]] = [(-28, 70), (28, 70)]
    points[[61, 62, 63]] = [(-10, 68), (0, 68), (10, 68)]
    points[[67, 66, 65]] = [(-10, 68), (0, 68), (10, 68)]
    points[[67, 66, 65], 1] += moved.get("opening", 0)
    points[54, 1] -= moved.get("corner", 0)
    points[8] = (moved.get("aside", 0), 120 + moved.get("opening", 0))
    points[[22, 23], 1] -= moved.get("brow", 0)
    return points


def value(points: np.ndarray, name: str, ruler: Ruler | None = None) -> float:
    ruler = ruler or Ruler(np.array([[1.0, 0.0]]), np.array([100.0]))
    return float(measures_of(points[None], ruler)[0, MEASURES.index(name)])


def test_each_measure_tells_its_own_motion_in_per_cent() -> None:
    rest = face()
    assert value(rest, "mouth opening") == pytest.approx(0)
    assert value(rest, "mouth width") == pytest.approx(56)
    assert value(rest, "lids left") == pytest.approx(9)
    assert value(rest, "corner left") == pytest.approx(-70)
    assert value(face(opening=12), "mouth opening") == pytest.approx(12)
    assert value(face(opening=12), "chin") == pytest.approx(-132)
    assert value(face(corner=6), "corner left") == pytest.approx(-64)
    assert value(face(corner=6), "corner right") == pytest.approx(-70)
    assert value(face(brow=5), "inner brow left") - value(rest, "inner brow left") == pytest.approx(5)
    assert value(face(aside=4), "jaw aside") == pytest.approx(4)


def test_a_tilted_and_enlarged_face_measures_alike() -> None:
    turn = np.deg2rad(30)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    tilted = 2.5 * face(opening=7, corner=3) @ rotation.T + (300, 200)
    ruler = Ruler(np.array([[np.cos(turn), np.sin(turn)]]), np.array([250.0]))
    plain = Ruler(np.array([[1.0, 0.0]]), np.array([100.0]))
    for name in MEASURES:
        assert value(tilted, name, ruler) == pytest.approx(value(face(opening=7, corner=3), name, plain))


def test_the_ruler_is_not_foreshortened() -> None:
    yaw = np.deg2rad(40)
    canthi = np.array([[-0.045, 0, 0], [0.045, 0, 0], [0, 0.01, 0]])
    turned = canthi @ np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]]).T
    weights = np.tile(np.float32([0, 0, 1]), (68, 1))
    weights[36], weights[45] = (1, 0, 0), (0, 1, 0)
    mesh = MeshSequence(
        vertices=np.stack([v + np.array([0, 0, 0.6]) for v in (canthi, turned)]).astype(np.float32),
        triangles=np.array([[0, 1, 2]], np.int32),
        focal_px=np.full(2, 800.0),
        principal_point=np.zeros(2),
        image_size=(100, 100),
        frame_rate=25.0,
        tracked=np.ones(2, bool),
        landmarks68=(np.zeros(68, np.int32), weights),
    )
    ruler = Ruler.of(mesh)
    assert ruler.unit == pytest.approx(800 * 0.09 / 0.6, rel=1e-6)
    assert ruler.across[0] == pytest.approx([1, 0])


def test_agreement_is_told_with_and_without_the_constant() -> None:
    footage = np.array([[0.0, 5.0], [10.0, 5.0], [20.0, 5.2], [10.0, 5.0]])
    head = np.column_stack([0.6 * footage[:, 0] + 3, footage[:, 1]])
    seen = agree(head, footage)
    assert seen.correlation[0] == pytest.approx(1)
    assert seen.slope[0] == pytest.approx(0.6)
    assert seen.constant[0] == pytest.approx(-1)
    assert seen.error[0] == pytest.approx((3 + 1 + 5 + 1) / 4)
    assert seen.error_moving[0] == pytest.approx((4 + 0 + 4 + 0) / 4)
    assert np.isnan(seen.slope[1])  # the footage's second measure hardly moves


def test_every_measure_is_in_one_column_of_the_tables() -> None:
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(MEASURES)
