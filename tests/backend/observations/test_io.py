"""Alignments on disk: what was added in chunks comes back whole, and damage is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.errors import UserError
from backend.head_model.model import SurfacePoints
from backend.observations import AlignedFrame, Alignment, FaceBox, PointSet, PointSetId
from backend.observations.io import (
    CHUNK_FRAMES,
    SET_SHAPES,
    SHAPES,
    AlignmentChunks,
    load_alignment,
    load_alignments,
    save_alignment,
    save_alignments,
)
from protocol.face_actions import ARKIT_ACTIONS

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


def test_whose_points_they_are_is_kept_and_others_are_not_mixed_in(tmp_path):
    chunks = AlignmentChunks(tmp_path / "a", [NETWORK], "flowface", image_size=(640, 480), frame_rate=24.0)
    chunks.add(frame(1))
    chunks.flush()
    saved = chunks.read()
    assert (saved.ids, saved.aligner) == ((NETWORK,), "flowface")
    assert (saved.image_size, saved.frame_rate) == ((640, 480), 24.0)
    save_alignments([saved, saved], tmp_path / "both.npz")
    assert [view.aligner for view in load_alignments(tmp_path / "both.npz")] == ["flowface", "flowface"]
    with pytest.raises(UserError, match="begun by the aligner “flowface”"):
        AlignmentChunks(tmp_path / "a").read()


def test_an_aligners_free_points_stay_where_they_are_on_the_head(tmp_path):
    """Also in chunks of which the first shows no face."""
    points = SurfacePoints(np.arange(POINTS, dtype=np.int32), np.full((POINTS, 3), 1 / 3, np.float32))
    shown = frame(CHUNK_FRAMES + 1)
    free = replace(shown.alignment.point_sets[0], points=points)
    chunks = AlignmentChunks(tmp_path / "a", [free.id], "mediapipe")
    for number in range(1, CHUNK_FRAMES + 1):
        chunks.add(frame(number, found=False))
    chunks.add(replace(shown, alignment=replace(shown.alignment, point_sets=(free,))))
    chunks.flush()
    (kept,) = chunks.read().point_sets
    np.testing.assert_array_equal(kept.points.triangle, points.triangle)
    np.testing.assert_array_equal(kept.points.barycentric, points.barycentric)
    np.testing.assert_array_equal(kept.mu[-1], free.mu)


def test_files_made_before_there_was_a_choice_are_mediapipes(tmp_path):
    chunks = AlignmentChunks(tmp_path / "a")
    chunks.add(frame(1))
    chunks.flush()
    (chunk,) = (tmp_path / "a").iterdir()
    with np.load(chunk) as data:
        np.savez(chunk, **{n: data[n] for n in SHAPES}, **{n: data[f"set0/{n}"] for n in SET_SHAPES})
    assert (chunks.read().ids, chunks.read().aligner) == ((PointSetId("mediapipe478", "mediapipe"),), "mediapipe")


@pytest.mark.parametrize("count", [1, CHUNK_FRAMES, 2 * CHUNK_FRAMES + 7])
def test_chunks_come_back_whole(tmp_path, count):
    frames = [frame(n, found=n % 5 != 0 or count == 1) for n in range(10, 10 + count)]
    chunks = AlignmentChunks(tmp_path / "alignments")
    for item in frames:
        chunks.add(item)
    written = sum(1 for _ in (tmp_path / "alignments").iterdir())
    assert written == count // CHUNK_FRAMES, "a killed job keeps every full chunk"
    chunks.flush()
    saved = chunks.read()
    assert saved.numbers.tolist() == [f.number for f in frames]
    assert saved.found.tolist() == [f.alignment is not None for f in frames]
    assert saved.faces_seen.tolist() == [f.faces_seen for f in frames]
    for t, item in enumerate(frames):
        if item.alignment is None:
            assert not saved.valid[t].any() and (saved.sigma[t] == 1).all() and not saved.boxes[t].any()
        else:
            for name in SET_SHAPES:
                np.testing.assert_array_equal(getattr(saved, name)[t], getattr(item.alignment, name))
            scores = item.alignment.action_scores
            untold = np.full(len(ARKIT_ACTIONS), np.nan, np.float32)
            np.testing.assert_array_equal(saved.action_scores[t], untold if scores is None else scores)
            assert FaceBox(*saved.boxes[t]) == item.alignment.box


def test_a_chunk_without_any_face_joins_the_others(tmp_path):
    chunks = AlignmentChunks(tmp_path / "alignments")
    for n in range(2 * CHUNK_FRAMES):
        chunks.add(frame(n, found=n >= CHUNK_FRAMES))
    saved = chunks.read()
    assert saved.mu.shape == (2 * CHUNK_FRAMES, POINTS, 2)
    assert saved.found.sum() == CHUNK_FRAMES and (saved.sigma[:CHUNK_FRAMES] == 1).all()


def test_chunks_can_be_removed_once_they_are_one_file(tmp_path):
    chunks = AlignmentChunks(tmp_path / "alignments")
    chunks.add(frame(1))
    chunks.flush()
    save_alignment(chunks.read(), tmp_path / "alignments.npz")
    chunks.remove()
    assert [p.name for p in tmp_path.iterdir()] == ["alignments.npz"]
    assert load_alignment(tmp_path / "alignments.npz").numbers.tolist() == [1]


def test_every_view_comes_back(tmp_path):
    views = []
    for count in (2, 3):
        chunks = AlignmentChunks(tmp_path / "alignments" / str(count))
        for n in range(count):
            chunks.add(frame(10 * count + n))
        chunks.flush()
        views.append(chunks.read())
    save_alignments(views, tmp_path / "alignments.npz")
    back = load_alignments(tmp_path / "alignments.npz")
    assert [view.numbers.tolist() for view in back] == [[20, 21], [30, 31, 32]]
    for view, again in zip(views, back, strict=True):
        for name in (*SHAPES, *SET_SHAPES):
            np.testing.assert_array_equal(getattr(view, name), getattr(again, name))
    assert load_alignment(tmp_path / "alignments.npz").numbers.tolist() == [20, 21]


def test_lids_of_old_files_are_closed_open_or_unknown(tmp_path):
    chunks = AlignmentChunks(tmp_path / "alignments")
    for n in range(2):
        chunks.add(frame(n))
    chunks.flush()
    save_alignment(replace(chunks.read(), lid_closure=np.float32([[0, 0.5], [1, np.nan]])), tmp_path / "whole.npz")
    np.testing.assert_array_equal(load_alignment(tmp_path / "whole.npz").lid_closure, [[0, 0.5], [1, np.nan]])
    with np.load(tmp_path / "whole.npz") as data:
        oldest = {name: data[name] for name in data.files if "lid_closure" not in name}
    np.savez(tmp_path / "oldest.npz", **oldest)
    assert np.isnan(load_alignment(tmp_path / "oldest.npz").lid_closure).all(), "from before anyone looked at lids"
    np.savez(tmp_path / "old.npz", lids_closed=np.array([[True, False], [False, False]]), **oldest)
    assert load_alignment(tmp_path / "old.npz").lid_closure.tolist() == [[1, 0], [0, 0]]


def test_no_chunk_is_said(tmp_path):
    with pytest.raises(UserError) as caught:
        AlignmentChunks(tmp_path / "alignments").read()
    assert caught.value.code == "no_frames"


def test_free_points_and_several_sets_come_back(tmp_path):
    chunks = AlignmentChunks(tmp_path / "a")
    chunks.add(frame(1))
    chunks.add(frame(2))
    chunks.flush()
    free = SurfacePoints(np.array([4, 9], np.int32), np.array([[1, 0, 0], [0.25, 0.5, 0.25]], np.float32))
    pins = PointSet.unseen(PointSetId("pins", "the animator"), 2, 2, free)
    pins.mu[1, 0], pins.valid[1, 0] = (3.5, 4.5), True
    save_alignment(chunks.read().with_point_set(pins), tmp_path / "a.npz")
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
    chunks = AlignmentChunks(tmp_path / "alignments")
    chunks.add(frame(1))
    chunks.add(frame(2))
    chunks.flush()
    save_alignment(chunks.read(), tmp_path / "whole.npz")
    with np.load(tmp_path / "whole.npz") as data:
        arrays = {key: data[key] for key in data.files}
    absent = [] if name in ("lid_closure", "shot_numbers", "action_scores") else [None]
    for wrong in [*absent, arrays[name][:1], arrays[name].astype(np.complex64).real[..., None]]:
        damaged = arrays | {name: wrong} if wrong is not None else {k: v for k, v in arrays.items() if k != name}
        np.savez(tmp_path / "a.npz", **damaged)
        with pytest.raises(UserError) as caught:
            load_alignment(tmp_path / "a.npz")
        assert caught.value.code == "bad_alignment"
