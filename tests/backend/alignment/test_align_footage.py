from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.alignment.align_footage import align_footage
from backend.alignment.choice import FaceChoice
from backend.alignment.face_following import align_frames
from backend.alignment.finder import face_finder
from backend.alignment.landmarks.aligner import LandmarkAligner
from backend.errors import Cancelled, UserError
from backend.footage import FootageFrame, open_footage
from backend.observations import AlignedFrame, ViewAlignment
from tests.backend.footage.clips import write_video

Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def two_people(shared_data: Path) -> Path:
    return shared_data / "clips" / "intel_headpose_two_people.mp4"


def as_frames(pictures: list[Picture]) -> Iterator[FootageFrame]:
    for index, picture in enumerate(pictures):
        yield FootageFrame(index + 1, index / 25, index + 1.0, picture)


def centres(frames: list[AlignedFrame]) -> NDArray[np.float64]:
    return np.array([frame.alignment.box.centre if frame.alignment else (np.nan, np.nan) for frame in frames])


@pytest.mark.parametrize("name", ["intel_asl_eat_hand_mouth.mkv", "intel_headpose_female.mp4", "grid_lwbsza.mpg"])
def test_a_face_is_found_in_every_frame(shared_data: Path, aligner: LandmarkAligner, name: str) -> None:
    take = align_footage(open_footage(shared_data / "clips" / name), aligner, finder=face_finder())
    assert take.found.all()
    assert take.most_faces == 1
    assert take.mu.shape == (len(take.numbers), 478, 2)
    assert take.valid[:, :468].all()
    # One face all the way: no jump of half an eye distance from frame to frame.
    iod = np.linalg.norm(take.mu[:, 263] - take.mu[:, 33], axis=-1)
    steps = np.linalg.norm(np.diff(take.mu.mean(axis=1), axis=0), axis=-1)
    assert (steps < 0.5 * iod[1:]).all()


def test_irises_behind_closed_lids_are_not_observed(shared_data: Path, aligner: LandmarkAligner) -> None:
    closed, opened = (
        align_footage(open_footage(shared_data / "clips" / name, (frame, frame)), aligner, finder=face_finder())
        for name, frame in (("lp_d3_frown_gaze.mp4", 113), ("pyfeat_single_face.mp4", 1))
    )
    assert not closed.valid[0, 468:].any()
    assert closed.valid[0, :468].all()
    assert closed.lid_closure.tolist() == [[1.0, 1.0]]
    assert opened.valid.all() and (opened.lid_closure < 0.3).all()


def test_the_chosen_one_of_two_people_is_followed(two_people: Path, aligner: LandmarkAligner) -> None:
    frames = list(open_footage(two_people, (1, 24)))
    width = frames[0].image.shape[1]
    largest = list(align_frames(iter(frames), aligner, finder=face_finder()))
    assert max(frame.faces_seen for frame in largest) == 2
    other = 0.75 * width if centres(largest)[0, 0] < width / 2 else 0.25 * width
    height = float(centres(largest)[0, 1])
    by_point = list(align_frames(iter(frames), aligner, FaceChoice.point(other, height), finder=face_finder()))
    by_box = list(
        align_frames(iter(frames), aligner, FaceChoice.box(other - 40, height - 40, 80, 80), finder=face_finder())
    )
    for chosen in (by_point, by_box):
        assert all(frame.alignment is not None for frame in chosen)
        assert (np.abs(centres(chosen)[:, 0] - other) < 0.25 * width).all()
        assert (np.abs(centres(chosen)[:, 0] - centres(largest)[:, 0]) > 60).all()


def test_a_choice_on_a_later_frame_reaches_back(two_people: Path, aligner: LandmarkAligner) -> None:
    frames = list(open_footage(two_people, (1, 16)))
    at_once = list(align_frames(iter(frames), aligner, FaceChoice.largest(), finder=face_finder()))
    target = centres(at_once)[9]
    later = list(align_frames(iter(frames), aligner, FaceChoice.point(*target, frame=10), finder=face_finder()))
    assert [frame.number for frame in later] == list(range(1, 17))
    np.testing.assert_allclose(centres(later), centres(at_once), atol=1.0)


def test_a_choice_beside_every_face_is_refused(two_people: Path, aligner: LandmarkAligner) -> None:
    with pytest.raises(UserError) as caught:
        align_footage(open_footage(two_people, (3, 5)), aligner, FaceChoice.point(2, 2), finder=face_finder())
    assert caught.value.code == "face_not_chosen"
    assert "Frame 3" in caught.value.message


def test_frames_without_the_face_are_bridged_and_the_same_face_comes_back(
    two_people: Path, aligner: LandmarkAligner
) -> None:
    pictures = [frame.image for frame in open_footage(two_people, (1, 20))]
    whole = list(align_frames(as_frames(pictures), aligner, finder=face_finder()))
    gap = range(6, 12)
    x = int(centres(whole)[:, 0].mean())
    half = pictures[0].shape[1] // 2
    for index in gap:  # the followed person is painted over, the other one stays in view
        pictures[index] = pictures[index].copy()
        pictures[index][:, slice(0, half) if x < half else slice(half, None)] = 128
    holed = list(align_frames(as_frames(pictures), aligner, finder=face_finder()))
    assert [frame.alignment is None for frame in holed] == [index in gap for index in range(20)]
    np.testing.assert_allclose(centres(holed)[12:], centres(whole)[12:], atol=2.0)
    size = pictures[0].shape[1], pictures[0].shape[0]
    take = ViewAlignment.stacked(holed, aligner.point_sets, aligner=aligner.name, image_size=size, frame_rate=25.0)
    np.testing.assert_array_equal(take.found, [index not in gap for index in range(20)])
    assert not take.valid[list(gap)].any()
    for t, frame in enumerate(holed):
        if frame.alignment is not None:
            np.testing.assert_array_equal(take.sigma[t], frame.alignment.sigma)
    assert np.isfinite(take.mu).all()
    assert (take.sigma > 0).all()


def test_cancelling_stops_before_the_next_frames(shared_data: Path, aligner: LandmarkAligner) -> None:
    done: list[int] = []
    with pytest.raises(Cancelled):
        align_footage(
            open_footage(shared_data / "clips" / "grid_brbk7n.mpg"),
            aligner,
            finder=face_finder(),
            on_frame=lambda frame: done.append(frame.number),
            should_cancel=lambda: len(done) >= 5,
        )
    assert 5 <= len(done) <= 12  # what was already decoded may still come out


def test_progress_counts_to_the_total(shared_data: Path, aligner: LandmarkAligner) -> None:
    calls: list[tuple[int, int]] = []
    footage = open_footage(shared_data / "clips" / "grid_brbk7n.mpg", (10, 19))
    take = align_footage(footage, aligner, finder=face_finder(), on_progress=lambda *call: calls.append(call))
    assert calls == [(n, 10) for n in range(1, 11)]
    np.testing.assert_array_equal(take.numbers, np.arange(10, 20))
    np.testing.assert_array_equal(take.scene_frames, np.arange(10, 20))
    assert take.image_size == (360, 288)
    assert set(take.seconds) == {"decode", "align"}


def test_faceless_footage_is_named(tmp_path: Path, aligner: LandmarkAligner) -> None:
    path = write_video(tmp_path / "wall.mp4", [np.full((240, 320, 3), 140, np.uint8)] * 4)
    with pytest.raises(UserError) as caught:
        align_footage(open_footage(path), aligner, finder=face_finder())
    assert caught.value.code == "no_face"
    assert "wall.mp4" in caught.value.message
    assert caught.value.hint


def test_no_more_than_the_current_picture_is_asked_for(portrait: Picture, aligner: LandmarkAligner) -> None:
    asked = 0

    def counted() -> Iterator[FootageFrame]:
        nonlocal asked
        for frame in as_frames([portrait] * 6):
            asked += 1
            yield frame

    results = align_frames(counted(), aligner, finder=face_finder())
    for expected in range(1, 4):
        assert next(results).number == expected
        assert asked == expected
