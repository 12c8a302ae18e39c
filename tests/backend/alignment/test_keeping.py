"""Following that was broken off goes on from what was kept, and says to the bit what one undisturbed run does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from backend.alignment.align_footage import AlignedFaces, align_faces, align_footage
from backend.alignment.choice import FaceChoice
from backend.alignment.cuts import ShotJudge, follow_shots
from backend.alignment.face_following import FaceFollowing
from backend.alignment.keeping import Keeper
from backend.alignment.several_faces import FacesWanted
from backend.alignment.types import Aligner, FaceFinder
from backend.errors import Cancelled
from backend.footage import open_footage
from backend.observations import AlignedFrame, ViewAlignment
from backend.observations.chunks import AlignmentChunks
from backend.observations.io import arrays_of
from tests.backend.alignment.shots import Picture, as_frames, coffee, portrait
from tests.backend.footage.clips import write_video

CHUNK = 3  # frames


def same(one: ViewAlignment, other: ViewAlignment) -> None:
    a, b = arrays_of([one]), arrays_of([other])
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def keeper(folder: Path, aligner: Aligner) -> Keeper:
    chunks = AlignmentChunks(
        folder, aligner.point_sets, aligner.name, key="this", image_size=(256, 256), frame_rate=25.0
    )
    return Keeper(chunks, frames=CHUNK)


Run = Callable[[Keeper | None, Callable[[], bool], list[AlignedFrame]], ViewAlignment | AlignedFaces]


def _after(calls: int) -> Callable[[], bool]:
    """A ``should_cancel`` that says so when it is asked once more."""
    asked = iter(range(calls))
    return lambda: next(asked, None) is None


def broken_off(run: Run, folder: Path, aligner: Aligner, every: int) -> tuple[ViewAlignment | AlignedFaces, int]:
    """The answer of a run that dies after every so many frames and is taken up again, and how many runs it took."""
    for runs in range(1, 100):
        try:
            # decoding runs ahead by a few
            return run(keeper(folder, aligner), _after(every + 8), []), runs
        except Cancelled:
            continue
    raise AssertionError("it never ended")


@pytest.fixture(scope="module")
def three_shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cup, a woman who is hidden for a while and whose picture flashes once, and the cup again."""
    face = portrait(17)
    face[6:9] = [np.full_like(face[0], 90)] * 3
    face[12] = coffee(1)[0]
    pictures: list[Picture] = [*coffee(7), *face, *coffee(10)]
    path = tmp_path_factory.mktemp("keeping") / "cut.mp4"
    write_video(path, pictures, options={"crf": "18", "g": "5"})
    return path


@pytest.mark.parametrize(
    ("choice", "every"),
    [
        pytest.param(FaceChoice.largest(), 4, id="largest"),
        pytest.param(FaceChoice.largest(frame=21), 9, id="chosen late"),
    ],
)
def test_one_face(
    three_shots: Path, aligner: Aligner, finder: FaceFinder, tmp_path: Path, choice: FaceChoice, every: int
) -> None:
    def run(keeper: Keeper | None, should_cancel: Callable[[], bool], heard: list[AlignedFrame]) -> ViewAlignment:
        return align_footage(
            open_footage(three_shots), aligner, choice,
            finder=finder, should_cancel=should_cancel, keeper=keeper, on_found=heard.extend, on_frame=heard.append,
        )  # fmt: skip

    heard: list[AlignedFrame] = []
    expected = run(None, lambda: False, heard)
    assert expected.found.sum() == 13 and len(expected.shots) == 3
    found, runs = broken_off(run, tmp_path / "kept", aligner, every)
    assert runs >= 3
    assert isinstance(found, ViewAlignment)
    same(found, expected)
    again: list[AlignedFrame] = []
    same(run(keeper(tmp_path / "kept", aligner), lambda: False, again), expected)
    assert [frame.number for frame in again] == [frame.number for frame in heard], "those that are kept are heard of"


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nobody, then two faces of which one is hidden for a while, then nobody."""
    left = portrait(15)
    right = [np.ascontiguousarray(picture[:, ::-1]) for picture in portrait(15, step=0.006)]
    for picture in left[6:10]:
        picture[20:180, 60:220] = 90
    nobody = [np.hstack([picture, picture]) for picture in coffee(8)]
    both = [np.hstack(pair) for pair in zip(left, right, strict=True)]
    path = tmp_path_factory.mktemp("crowd") / "crowd.mp4"
    write_video(path, [*nobody, *both, *nobody], options={"crf": "18", "g": "5"})
    return path


def test_several_faces(crowd: Path, aligner: Aligner, finder: FaceFinder, tmp_path: Path) -> None:
    wanted = FacesWanted(FaceChoice.point(380, 120, frame=14), every=True)

    def run(keeper: Keeper | None, should_cancel: Callable[[], bool], heard: list[AlignedFrame]) -> AlignedFaces:
        return align_faces(
            open_footage(crowd), aligner, wanted,
            finder=finder, should_cancel=should_cancel, keeper=keeper, on_found=heard.extend, on_frame=heard.append,
        )  # fmt: skip

    heard: list[AlignedFrame] = []
    expected = run(None, lambda: False, heard)
    assert [face.found.sum() for face in expected.faces] == [12, 11]
    found, runs = broken_off(run, tmp_path / "kept", aligner, 6)
    assert runs >= 3
    again: list[AlignedFrame] = []
    for taken in (found, run(keeper(tmp_path / "kept", aligner), lambda: False, again)):
        assert isinstance(taken, AlignedFaces)
        assert (taken.left_out, taken.overflowed) == (expected.left_out, expected.overflowed)
        for one, other in zip(taken.faces, expected.faces, strict=True):
            same(one, other)
    assert [frame.number for frame in again] == [frame.number for frame in heard]


def test_the_state_behind_every_frame_comes_back(aligner: Aligner, finder: FaceFinder, tmp_path: Path) -> None:
    face = portrait(12)
    for picture in face[4:8]:
        picture[20:180, 60:220] = 90
    judge, following = ShotJudge(), FaceFollowing(aligner, finder)
    keeps = Keeper(
        AlignmentChunks(tmp_path, aligner.point_sets, aligner.name, key="this", image_size=(256, 256), frame_rate=25.0),
        frames=1,
    )
    lost = set()
    for frame, follows in follow_shots(as_frames([*coffee(4), *face]), judge):
        following.take(frame, follows)
        keeps.taken(following, judge)
        found = keeper(tmp_path, aligner)
        again = FaceFollowing.resumed(aligner, finder, None, found.found)
        known = following.known(frame.number).state
        lost |= set(known["lost"].tolist())
        for expected, state in ((known, again.known(frame.number).state), (judge.state(), found.judge.state())):
            assert expected.keys() == state.keys()
            for name in expected:
                np.testing.assert_array_equal(state[name], expected[name], err_msg=f"{name} behind {frame.number}")
    assert lost > {0, 1}
