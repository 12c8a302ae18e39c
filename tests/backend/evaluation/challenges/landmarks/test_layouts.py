"""The folders as they are downloaded: all that is missing is told at once, and lists of a challenge are the public."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.errors import UserError
from backend.evaluation.challenges.landmarks.pts import pts_text
from backend.evaluation.challenges.landmarks.vw300_layout import CATEGORIES, read_300vw
from backend.evaluation.challenges.landmarks.w300_layout import TEST, TRAINING, read_300w
from tests.backend.evaluation.challenges.landmarks.flat import face_points

POINTS = pts_text(face_points())


def add(folder: Path, *names: str) -> None:
    """Empty pictures, and real points."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(POINTS if name.endswith(".pts") else "")


@pytest.fixture
def helen(tmp_path: Path) -> Path:
    add(tmp_path / "helen" / "testset", "30427236_2.jpg", "30427236_2.pts", "1 _1.jpg", "1 _1.pts")
    add(tmp_path / "lfpw" / "testset", "image_0001.png", "image_0001.pts")
    add(tmp_path / "afw", "134212_1.jpg", "134212_1.pts")
    return tmp_path


def test_subsets_are_as_large_as_published() -> None:
    assert sum(TEST.values()) == 600 + 689
    assert sum(TRAINING.values()) == 3148


def test_test_subsets_are_found_and_training_is_asked_for(helen: Path) -> None:
    found = read_300w(helen, partial=True)
    assert [one.name for one in found] == [
        "helen/testset/1 _1.jpg",
        "helen/testset/30427236_2.jpg",
        "lfpw/testset/image_0001.png",
    ]
    assert (found[0].points == face_points()).all()
    assert [one.subset for one in read_300w(helen, ["afw"], partial=True)] == ["afw"]
    for root in (helen.parent, helen / "helen", helen / "helen" / "testset"):
        assert "helen/testset/1 _1.jpg" in [one.name for one in read_300w(root, ["helen/testset"], partial=True)]
    add(helen / "mine", "a.png", "a.pts")
    assert [one.name for one in read_300w(helen / "mine")] == ["mine/a.png"]


def test_everything_that_is_missing_is_told_at_once(helen: Path) -> None:
    add(helen / "helen" / "testset", "lone.jpg", "bare.pts")
    with pytest.raises(UserError) as caught:
        read_300w(helen, ["helen/testset", "ibug"])
    assert caught.value.code == "challenge_layout"
    for words in ("ibug", "lone.pts", "bare.png or .jpg", "328 of the 330 pictures of helen/testset"):
        assert words in caught.value.message
    assert "--partial" in caught.value.hint
    with pytest.raises(UserError, match="no subset “celeba”"):
        read_300w(helen, ["celeba"])
    with pytest.raises(UserError, match="no folder"):
        read_300w(helen / "nowhere")
    (helen / "empty").mkdir()
    with pytest.raises(UserError, match=r"pictures with \.pts files"):
        read_300w(helen / "empty", partial=True)


def test_all_broken_files_are_named(helen: Path) -> None:
    folder = helen / "helen" / "testset"
    (folder / "1 _1.pts").write_text("version: 1\n")
    (folder / "30427236_2.pts").write_text(POINTS.replace("\n}", ""))
    with pytest.raises(UserError) as caught:
        read_300w(helen, partial=True)
    assert "1 _1.pts, line 1" in caught.value.message
    assert "30427236_2.pts, line 71" in caught.value.message


def test_a_list_says_which_pictures_count(helen: Path) -> None:
    chosen = helen / "clean.txt"
    chosen.write_text("# mine\n300W/helen/testset/30427236_2.jpg\n\n134212_1\n")
    assert [one.name for one in read_300w(helen, listed=chosen)] == ["helen/testset/30427236_2.jpg", "afw/134212_1.jpg"]
    chosen.write_text("134212_1.jpg\nnobody.jpg\n")
    with pytest.raises(UserError, match="Line 2: no annotated picture is called “nobody"):
        read_300w(helen, listed=chosen)


def test_the_categories_are_the_published() -> None:
    videos = [number for numbers in CATEGORIES.values() for number in numbers]
    assert [len(numbers) for numbers in CATEGORIES.values()] == [31, 19, 14]
    assert len(set(videos)) == 64


def test_videos_and_their_frames_are_found(tmp_path: Path) -> None:
    base = tmp_path / "300VW_Dataset_2015_12_14"
    for number in CATEGORIES["3"]:
        add(base / f"{number}", "vid.avi")
        add(base / f"{number}" / "annot", "000001.pts", "000010.pts")
    found = read_300vw(tmp_path, ["3"])
    assert [video.name for video in found] == [f"{number}" for number in CATEGORIES["3"]]
    assert found[0].frames == (1, 10)
    assert found[0].read().shape == (2, 68, 2)
    (base / "410" / "vid.avi").unlink()
    for file in (base / "557" / "annot").iterdir():
        file.unlink()
    with pytest.raises(UserError) as caught:
        read_300vw(base)
    assert "114, 124, " in caught.value.message
    assert "and 40 more" in caught.value.message  # of 50 folders, a video and annotation twelve are named
    with pytest.raises(UserError) as caught:
        read_300vw(base, ["3"])
    assert "410/vid.avi, 557/annot/000001.pts." in caught.value.message
    assert len(read_300vw(base, partial=True)) == 12
    add(base / "562" / "annot", "first.pts")
    with pytest.raises(UserError, match=r"first\.pts is not called by a frame"):
        read_300vw(base, ["3"])
    with pytest.raises(UserError, match="no category “4”"):
        read_300vw(base, ["4"])
