"""Alignments on disk: what was added in chunks comes back whole, and damage is named."""

from __future__ import annotations

import numpy as np
import pytest

from backend.alignment.face_following import AlignedFrame
from backend.alignment.io import (
    CHUNK_FRAMES,
    SHAPES,
    AlignmentChunks,
    load_alignment,
    load_alignments,
    save_alignment,
    save_alignments,
)
from backend.alignment.types import Alignment, FaceBox
from backend.errors import UserError

POINTS = 5


def frame(number: int, found: bool = True) -> AlignedFrame:
    random = np.random.default_rng(number)
    alignment = Alignment(
        landmarks="mediapipe478",
        mu=random.normal(size=(POINTS, 2)).astype(np.float32),
        sigma=random.uniform(1, 2, POINTS).astype(np.float32),
        valid=random.uniform(size=POINTS) > 0.3,
        box=FaceBox(1.5, 2.5, 30.0, 40.0, 0.75, 0.125 * number),
        lids_closed=np.array([number % 2 == 0, number % 3 == 0]) if number % 7 else None,
    )
    return AlignedFrame(number, number / 25, float(number), alignment if found else None, number % 3)


def test_whose_points_they_are_is_kept_and_others_are_not_mixed_in(tmp_path):
    chunks = AlignmentChunks(tmp_path / "a", "dense", "flowface")
    chunks.add(frame(1))
    chunks.flush()
    saved = chunks.read()
    assert (saved.landmarks, saved.aligner) == ("dense", "flowface")
    save_alignments([saved, saved], tmp_path / "both.npz")
    assert [view.aligner for view in load_alignments(tmp_path / "both.npz")] == ["flowface", "flowface"]
    with pytest.raises(UserError, match="begun by the aligner “flowface”"):
        AlignmentChunks(tmp_path / "a").read()


def test_files_made_before_there_was_a_choice_are_mediapipes(tmp_path):
    chunks = AlignmentChunks(tmp_path / "a")
    chunks.add(frame(1))
    chunks.flush()
    (chunk,) = (tmp_path / "a").iterdir()
    with np.load(chunk) as data:
        np.savez(chunk, **{name: data[name] for name in SHAPES})
    assert (chunks.read().landmarks, chunks.read().aligner) == ("mediapipe478", "mediapipe")


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
            np.testing.assert_array_equal(saved.mu[t], item.alignment.mu)
            np.testing.assert_array_equal(saved.sigma[t], item.alignment.sigma)
            np.testing.assert_array_equal(saved.valid[t], item.alignment.valid)
            closed = item.alignment.lids_closed
            assert saved.lids_closed[t].tolist() == ([False, False] if closed is None else closed.tolist())
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
        for name in SHAPES:
            np.testing.assert_array_equal(getattr(view, name), getattr(again, name))
    assert load_alignment(tmp_path / "alignments.npz").numbers.tolist() == [20, 21]
    with np.load(tmp_path / "alignments.npz") as data:
        np.savez(tmp_path / "old.npz", **{name: data[name] for name in data.files if "lids" not in name})
    assert not load_alignments(tmp_path / "old.npz")[1].lids_closed.any(), "from before anyone looked at lids"


def test_no_chunk_is_said(tmp_path):
    with pytest.raises(UserError) as caught:
        AlignmentChunks(tmp_path / "alignments").read()
    assert caught.value.code == "no_frames"


@pytest.mark.parametrize("name", SHAPES)
def test_a_damaged_file_is_refused(tmp_path, name):
    chunks = AlignmentChunks(tmp_path / "alignments")
    chunks.add(frame(1))
    chunks.add(frame(2))
    chunks.flush()
    arrays = {key: getattr(chunks.read(), key) for key in SHAPES}
    absent = [None] if name != "lids_closed" else []
    for wrong in [*absent, arrays[name][:1], arrays[name].astype(np.complex64).real[..., None]]:
        damaged = arrays | {name: wrong} if wrong is not None else {k: v for k, v in arrays.items() if k != name}
        np.savez(tmp_path / "a.npz", **damaged)
        with pytest.raises(UserError) as caught:
            load_alignment(tmp_path / "a.npz")
        assert caught.value.code == "bad_alignment"
