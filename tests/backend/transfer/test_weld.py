"""Seams of a split mesh close; a mouth does not."""

import numpy as np

from backend.head_model.library import load_head
from backend.transfer.weld import weld


def test_a_mesh_of_single_triangles_becomes_whole_but_for_sharp_edges():
    head = load_head("open")
    skin = head.triangles[head.regions["face"][head.triangles].all(axis=1)]
    vertices = head.template.astype(np.float64)[skin].reshape(-1, 3)
    number = weld(vertices, np.arange(len(vertices), dtype=np.int32).reshape(-1, 3))
    assert np.unique(skin).size <= number.max() + 1 < 1.05 * np.unique(skin).size
    places = np.zeros((number.max() + 1, 3))
    places[number] = vertices
    assert np.array_equal(places[number], vertices)  # what became one was at one place


def test_a_whole_mesh_stays_as_it_is():
    head = load_head("open")
    number = weld(head.template.astype(np.float64), head.triangles)
    assert number.max() + 1 == head.vertex_count


def test_lips_that_touch_stay_two():
    """Two sheets that meet at right angles along one border, as closed lips without a mouth behind them do."""
    upper = np.array([[0, 0, 1], [1, 0, 1], [0, 1, 0], [1, 1, 0]], np.float64)
    lower = upper * [1, -1, 1]
    vertices = np.concatenate([upper, lower])
    triangles = np.array([[0, 1, 2], [1, 3, 2], [4, 6, 5], [5, 6, 7]], np.int32)
    assert weld(vertices, triangles).max() == 7
    flat = vertices * [1, 1, 0.2]
    assert weld(flat, triangles).max() == 5
