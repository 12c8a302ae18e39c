from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from backend.alignment.choice import FaceChoice
from backend.alignment.face_following import align_frames
from backend.alignment.types import Aligner, FaceFinder
from backend.footage import open_footage
from backend.observations import AlignedFrame, Shot, ViewAlignment
from backend.observations.io import load_alignment, save_alignment
from tests.backend.alignment.shots import Picture, as_frames, coffee, portrait

CLOSER = [np.ascontiguousarray(picture[20:180, 50:210, :][:, ::-1]) for picture in portrait(14)]
"""The same woman in another shot."""


def another_shot(count: int) -> list[Picture]:
    return [np.asarray(cv2.resize(picture, (256, 256)), np.uint8) for picture in CLOSER[:count]]


def tracked(frames: list[AlignedFrame]) -> list[int]:
    return [frame.number for frame in frames if frame.alignment is not None]


def stacked(frames: list[AlignedFrame], aligner: Aligner) -> ViewAlignment:
    return ViewAlignment.stacked(
        frames, aligner.point_sets, aligner=aligner.name, image_size=(256, 256), frame_rate=25.0
    )


def test_the_first_shot_that_shows_a_face_is_tracked_and_no_other(aligner: Aligner, finder: FaceFinder) -> None:
    pictures = [*coffee(10), *portrait(12), *another_shot(11), *coffee(9)]
    frames = list(align_frames(as_frames(pictures), aligner, finder=finder))
    assert [frame.number for frame in frames] == list(range(1, 43))
    assert tracked(frames) == list(range(11, 23))
    alignment = stacked(frames, aligner)
    assert alignment.shots == (Shot(1, 10), Shot(11, 22), Shot(23, 33), Shot(34, 42))
    assert alignment.tracked_shot == Shot(11, 22)


def test_the_shot_of_the_chosen_frame_is_tracked(aligner: Aligner, finder: FaceFinder) -> None:
    pictures = [*portrait(10), *another_shot(12), *coffee(6)]
    frames = list(align_frames(as_frames(pictures), aligner, FaceChoice.largest(frame=15), finder=finder))
    assert tracked(frames) == list(range(11, 23))
    assert [frame.shot for frame in frames] == [0] * 10 + [1] * 12 + [2] * 6


def test_a_glimpse_of_something_else_is_left_out_of_its_shot(aligner: Aligner, finder: FaceFinder) -> None:
    face = portrait(24)
    pictures = [*face[:12], *another_shot(2), *face[14:]]
    frames = list(align_frames(as_frames(pictures), aligner, finder=finder))
    assert tracked(frames) == [*range(1, 13), *range(15, 25)]
    assert {frame.shot for frame in frames} == {0}


def test_shots_without_any_face_stay_without(aligner: Aligner, finder: FaceFinder) -> None:
    frames = list(align_frames(as_frames([*coffee(6), *coffee(1)]), aligner, finder=finder))
    assert len(frames) == 7 and tracked(frames) == []
    assert stacked(frames, aligner).tracked_shot is None


def test_shots_are_kept_on_disk(tmp_path: Path, aligner: Aligner, finder: FaceFinder) -> None:
    frames = list(align_frames(as_frames([*portrait(9), *coffee(9)]), aligner, finder=finder))
    save_alignment(stacked(frames, aligner), tmp_path / "alignment.npz")
    assert load_alignment(tmp_path / "alignment.npz").shots == (Shot(1, 9), Shot(10, 18))
    picked = load_alignment(tmp_path / "alignment.npz").at(np.array([0, -1, 12]))
    assert picked.shots == (Shot(1, 1), Shot(13, 13))


@pytest.mark.slow
def test_a_cut_to_another_person_in_the_same_place_ends_the_track(
    shared_data: Path, aligner: Aligner, finder: FaceFinder
) -> None:
    one, other = (
        [frame.image for frame in open_footage(shared_data / "clips" / name, (1, 20))]
        for name in ("grid_bbaf2n.mpg", "grid_sbia1a.mpg")
    )
    frames = list(align_frames(as_frames([*one, *other]), aligner, finder=finder))
    assert tracked(frames) == list(range(1, 21))
    assert stacked(frames, aligner).shots == (Shot(1, 20), Shot(21, 40))
