"""The open head's teeth: single ones of human sizes where its bands were, some on the skull and some on the jaw."""

import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from backend.head_model.builder.mouth import upper_teeth
from backend.head_model.library import load_head
from backend.head_model.teeth import LOWER, UPPER, teeth_of
from tests.backend.heads import small_head

MM = 1000.0


@pytest.fixture(scope="module")
def head():
    return load_head("open")


def tooth_numbers(piece):
    """The number of the tooth that each vertex (N,) is of."""
    quads = piece.quads
    pairs = (quads.ravel(), np.roll(quads, 1, axis=1).ravel())
    return connected_components(coo_matrix((np.ones(quads.size), pairs), [len(piece.share)] * 2), directed=False)[1]


def single(piece, head):
    """The vertices of each tooth (K,n,3), metres, on the mean head."""
    numbers = tooth_numbers(piece)
    return np.array([piece.on(head.template)[numbers == k] for k in range(numbers.max() + 1)])


def test_each_row_has_single_teeth_of_human_sizes_alike_on_both_sides(head):
    teeth, gums = teeth_of(head)
    found = single(teeth, head) * MM
    assert len(found) == 2 * (len(UPPER) + len(LOWER))
    middles = found.mean(axis=1)
    assert cKDTree(middles).query(middles * (-1, 1, 1))[0].max() < 0.1
    front = found[middles[:, 2] > np.sort(middles[:, 2])[-4]]
    width, height, _ = np.ptp(front, axis=1).T
    assert (width < 11).all() and (width > 4).all() and (height > 8).all() and (height < 13).all()
    upper = middles[:, 1] > np.median(middles[:, 1])
    central = [np.abs(middles[row, 0]).min() for row in (upper, ~upper)]
    assert central[0] > 1.3 * central[1], "upper incisors are wider than lower ones"
    assert np.abs(np.sort(gums.on(head.template)[:, 0]) + np.sort(-gums.on(head.template)[:, 0])[::-1]).max() < 1e-4


def test_they_stand_where_the_bands_stood(head):
    """On the band's front, and no further out than a band that just stays behind the lips."""
    teeth, _ = teeth_of(head)
    band = head.template[head.regions["teeth"]]
    placed = teeth.on(head.template)
    assert placed[:, 2].max() < band[:, 2].max() + 0.0005
    assert cKDTree(band).query(placed)[0].max() * MM < 10
    for axis in range(3):
        assert placed[:, axis].max() < band[:, axis].max() + 0.002
        assert placed[:, axis].min() > band[:, axis].min() - 0.002


def test_upper_ones_stay_and_lower_ones_go_with_the_jaw(head):
    own = upper_teeth(head.triangles, head.regions["teeth"], head.template)
    lower_own = head.regions["teeth"] & ~own
    for piece in teeth_of(head):
        shown = piece.hair(head, head.template)
        upper = np.abs(piece.share[:, own[piece.own]]).sum(axis=1) > 0.5
        assert upper.any() and (~upper).any()
        for name in ("jawOpen", "jawLeft"):
            moved = shown.deltas[head.expression_names.index(name)]
            assert np.abs(moved[upper]).max() * MM < 1e-3
            system = np.c_[head.template[lower_own], np.ones(lower_own.sum())]
            jaw = np.linalg.lstsq(
                system, head.expression_basis[head.expression_names.index(name)][lower_own], rcond=None
            )[0]
            expected = np.c_[shown.neutral[~upper], np.ones((~upper).sum())] @ jaw
            assert np.abs(moved[~upper] - expected).max() * MM < 0.1
            assert np.linalg.norm(moved[~upper], axis=1).max() * MM > 5
        assert np.abs(shown.weights.sum(axis=1) - 1).max() < 1e-3


def test_faces_look_outwards_and_light_falls_off(head):
    teeth, gums = teeth_of(head)
    for piece in (teeth, gums):
        depth = piece.on(head.template)[:, 2]
        order = np.argsort(-depth)
        assert (np.diff(piece.light[order]) <= 1e-6).all() and piece.light.min() < 0.3
    placed = teeth.on(head.template)
    numbers = tooth_numbers(teeth)
    middle = np.array([placed[numbers == k].mean(axis=0) for k in range(numbers.max() + 1)])
    corners = placed[teeth.quads]
    normal = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    outwards = (normal * (corners.mean(axis=1) - middle[numbers[teeth.quads[:, 0]]])).sum(axis=1)
    assert (outwards > 0).mean() > 0.95


def test_other_heads_keep_their_own():
    assert teeth_of(small_head()) == ()
