"""Quads of the source beside the triangles: found, kept in the file, refused where they contradict the triangles."""

from dataclasses import replace

import numpy as np
import pytest

from backend.errors import UserError
from backend.head_model.io import inconsistency, read_head, save_head
from backend.head_model.library import load_head
from backend.head_model.quads import halves_of, kept_pairs, whole_in_atlas

SQUARES = np.array([[0, 1, 2, 3], [1, 4, 5, 2], [4, 6, 7, -1]], np.int32)
TRIANGLES = np.array([[4, 6, 7], [0, 1, 2], [1, 4, 2], [0, 2, 3], [4, 5, 2]], np.int32)


@pytest.fixture(scope="module")
def head():
    return load_head("open")


def test_halves_are_found_whichever_way_a_quad_is_cut():
    assert halves_of(SQUARES, TRIANGLES).tolist() == [[1, 3], [2, 4]]
    assert halves_of(SQUARES, TRIANGLES[:-1]).tolist() == [[1, 3]], "a half that was cut off leaves a triangle"
    folded = TRIANGLES.copy()
    folded[3] = folded[3, ::-1]
    assert halves_of(SQUARES, folded).tolist() == [[2, 4]], "halves face the same way"
    assert halves_of(np.concatenate([SQUARES, SQUARES]), TRIANGLES).size == 0, "no triangle is half of two quads"


def test_pairs_follow_their_triangles_when_some_go():
    pairs = halves_of(SQUARES, TRIANGLES)
    assert kept_pairs(pairs, np.array([0, 1, 1, 1, 1], bool)).tolist() == [[0, 2], [1, 3]]
    assert kept_pairs(pairs, np.array([1, 1, 0, 1, 1], bool)).tolist() == [[1, 2]]


def test_a_seam_cuts_a_quad_in_two():
    pairs, atlas = halves_of(SQUARES, TRIANGLES), TRIANGLES.copy()
    assert whole_in_atlas(pairs, TRIANGLES, atlas).tolist() == pairs.tolist()
    atlas[3] = (8, 9, 3)
    assert whole_in_atlas(pairs, TRIANGLES, atlas).tolist() == [[2, 4]]


def test_the_open_head_is_quads_but_at_the_cut_and_the_poles(head):
    alone = np.ones(len(head.triangles), bool)
    alone[head.quads] = False
    assert inconsistency(head) == "" and len(head.quads) > 5000
    around_poles = 2 * 2 * 24
    neck = head.template[:, 1] < head.template[head.regions["skin"], 1].min() + 0.04
    at_cut = neck[head.triangles].any(axis=1) & head.regions["skin"][head.triangles].all(axis=1)
    assert (alone & ~at_cut).sum() == around_poles
    assert not np.any([head.regions[p][head.triangles[alone]].any() for p in ("lips", "lids", "teeth", "tongue")])


def test_quads_are_kept_and_change_no_hash(head, tmp_path):
    save_head(head, tmp_path / "quads.npz")
    assert np.array_equal(read_head(tmp_path / "quads.npz").quads, head.quads)
    plain = replace(head, quads=np.zeros((0, 2), np.int32))
    save_head(plain, tmp_path / "plain.npz")
    with np.load(tmp_path / "plain.npz") as data:
        assert "quads" not in data.files, "as in files from before there were any"
    assert len(read_head(tmp_path / "plain.npz").quads) == 0
    assert plain.hash == head.hash, "what coefficients mean stays the same"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda pairs: pairs + 100_000, "quads"),
        (lambda pairs: np.concatenate([pairs, pairs[:1]]), "two quads"),
        (lambda pairs: np.column_stack([pairs[:, 0], np.roll(pairs[:, 1], 1)]), "edge"),
        (lambda pairs: pairs[:, :1], "quads has shape"),
    ],
)
def test_quads_that_contradict_the_triangles_are_refused(change, says, head, tmp_path):
    save_head(replace(head, quads=change(head.quads)), tmp_path / "odd.npz")
    with pytest.raises(UserError) as caught:
        read_head(tmp_path / "odd.npz")
    assert caught.value.code == "head_inconsistent" and says in caught.value.message
