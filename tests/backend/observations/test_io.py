"""Alignments on disk come back whole, and damage is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.errors import UserError
from backend.head_model.model import SurfacePoints
from backend.observations import AlignedFrame, Alignment, FaceBox, PointSet, PointSetId, ViewAlignment
from backend.observations.io import (
    SET_SHAPES,
    SHAPES,
    load_alignment,
    load_alignments,
    save_alignment,
    save_alignments,
)
from protocol.face_actions import ARKIT_ACTIONS

FIRST = PointSetId("mediapipe478", "mediapipe")
NETWORK = PointSetId("dense", "flowface")
POINTS = 5


def frame(number: int, found: bool = True) -> AlignedFrame:
    random = np.random.default_rng(number)
    seen = PointSet.of(
        "mediapipe478",
        random.normal(size=(POINTS, 2)).astype(np.float32),
        random.uniform(1, 2, POINTS).astype(np.float32),
        random.uniform(size=POINTS) > 0.3,
        "mediapipe",
    )
    alignment = Alignment(
        (seen,),
        FaceBox(1.5, 2.5, 30.0, 40.0, 0.75, 0.125 * number),
        random.uniform(size=len(ARKIT_ACTIONS)).astype(np.float32) if number % 5 else None,
    )
    return AlignedFrame(number, number / 25, float(number), alignment if found else None, number % 3)


def stacked(frames, ids=(FIRST,), aligner="mediapipe"):
    return ViewAlignment.stacked(frames, ids, aligner=aligner, image_size=(640, 480), frame_rate=24.0)


def test_whose_points_they_are_is_kept(tmp_path):
    view = stacked([frame(1)], [NETWORK], "flowface")
    save_alignments([view, view], tmp_path / "both.npz")
    for saved in load_alignments(tmp_path / "both.npz"):
        assert (saved.ids, saved.aligner) == ((NETWORK,), "flowface")
        assert (saved.image_size, saved.frame_rate) == ((640, 480), 24.0)


def test_files_made_before_there_was_a_choice_are_mediapipes(tmp_path):
    save_alignment(stacked([frame(1)]), tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as data:
        np.savez(tmp_path / "old.npz", **{n: data[n] for n in SHAPES}, **{n: data[f"set0/{n}"] for n in SET_SHAPES})
    old = load_alignment(tmp_path / "old.npz")
    assert (old.ids, old.aligner) == ((FIRST,), "mediapipe")


def test_every_view_comes_back(tmp_path):
    views = [stacked([frame(10 * count + n) for n in range(count)]) for count in (2, 3)]
    save_alignments(views, tmp_path / "alignments.npz")
    back = load_alignments(tmp_path / "alignments.npz")
    assert [view.numbers.tolist() for view in back] == [[20, 21], [30, 31, 32]]
    for view, again in zip(views, back, strict=True):
        for name in (*SHAPES, *SET_SHAPES):
            if name != "lid_closure":
                np.testing.assert_array_equal(getattr(view, name), getattr(again, name))
    assert load_alignment(tmp_path / "alignments.npz").numbers.tolist() == [20, 21]


def test_lids_of_old_files_are_closed_open_or_unknown(tmp_path):
    view = stacked([frame(0), frame(1)])
    save_alignment(replace(view, lid_closure=np.float32([[0, 0.5], [1, np.nan]])), tmp_path / "whole.npz")
    np.testing.assert_array_equal(load_alignment(tmp_path / "whole.npz").lid_closure, [[0, 0.5], [1, np.nan]])
    with np.load(tmp_path / "whole.npz") as data:
        oldest = {name: data[name] for name in data.files if "lid_closure" not in name}
    np.savez(tmp_path / "oldest.npz", **oldest)
    assert np.isnan(load_alignment(tmp_path / "oldest.npz").lid_closure).all(), "from before anyone looked at lids"
    np.savez(tmp_path / "old.npz", lids_closed=np.array([[True, False], [False, False]]), **oldest)
    assert load_alignment(tmp_path / "old.npz").lid_closure.tolist() == [[1, 0], [0, 0]]


def test_free_points_and_several_sets_come_back(tmp_path):
    free = SurfacePoints(np.array([4, 9], np.int32), np.array([[1, 0, 0], [0.25, 0.5, 0.25]], np.float32))
    pins = PointSet.unseen(PointSetId("pins", "the animator"), 2, 2, free)
    pins.mu[1, 0], pins.valid[1, 0] = (3.5, 4.5), True
    save_alignment(stacked([frame(1), frame(2)]).with_point_set(pins), tmp_path / "a.npz")
    back = load_alignment(tmp_path / "a.npz")
    assert back.ids == (PointSetId("mediapipe478", "mediapipe"), PointSetId("pins", "the animator"))
    again = back.point_sets[1]
    assert again.points is not None and back.point_sets[0].points is None
    np.testing.assert_array_equal(again.points.triangle, free.triangle)
    np.testing.assert_array_equal(again.points.barycentric, free.barycentric)
    np.testing.assert_array_equal(again.valid, pins.valid)
    assert back.mu.shape == (2, POINTS + 2, 2) and back.mu[1, POINTS].tolist() == [3.5, 4.5]


@pytest.mark.parametrize("name", [*SHAPES, *(f"set0/{name}" for name in SET_SHAPES)])
def test_a_damaged_file_is_refused(tmp_path, name):
    save_alignment(stacked([frame(1), frame(2)]), tmp_path / "whole.npz")
    with np.load(tmp_path / "whole.npz") as data:
        arrays = {key: data[key] for key in data.files}
    absent = [] if name in ("lid_closure", "shot_numbers", "action_scores") else [None]
    for wrong in [*absent, arrays[name][:1], arrays[name].astype(np.complex64).real[..., None]]:
        damaged = arrays | {name: wrong} if wrong is not None else {k: v for k, v in arrays.items() if k != name}
        np.savez(tmp_path / "a.npz", **damaged)
        with pytest.raises(UserError) as caught:
            load_alignment(tmp_path / "a.npz")
        assert caught.value.code == "bad_alignment"
