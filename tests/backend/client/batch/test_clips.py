"""Which clips a folder holds and a list names."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.client.batch.clips import Clip, read_clips
from backend.client.request import TrackRequest
from backend.errors import UserError
from protocol.options import SolveOptions


def clips_of(source: Path, **defaults: object) -> tuple[Clip, ...]:
    return read_clips(source, TrackRequest((), source.parent / "out", **defaults))  # type: ignore[arg-type]


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_a_folder_gives_its_videos_and_sequences_and_not_the_results_in_it(tmp_path: Path) -> None:
    shots = tmp_path / "shots"
    touch(shots / "a.mp4", shots / "a.MOV", shots / "day 1" / "b.mkv", shots / "notes.txt", shots / ".hidden.mp4")
    touch(*(shots / "plate" / f"plate.{number:04d}.png" for number in range(1, 4)), shots / "plate" / "poster.jpg")
    touch(*(shots / "scan" / f"{number}.exr" for number in range(7, 9)), shots / "still.jpg")
    touch(shots / "results" / "a" / "overlay.mp4", shots / "older" / "track.npz", shots / "older" / "overlay.mp4")
    found = read_clips(shots, TrackRequest((), shots / "results"))
    names = [clip.name for clip in found]
    assert [name[:2] for name in names[:2]] == ["a_", "a_"], "two files of one name are told apart by their paths"
    assert names[2:] == ["day_1_b", "plate_plate.0001", "scan"]
    assert [clip.request.footage[0].name for clip in found[2:]] == ["b.mkv", "plate.0001.png", "7.exr"]
    assert all(clip.request.out == shots / "results" / clip.name for clip in found)
    (shots / "a.MOV").unlink()
    assert read_clips(shots, TrackRequest((), shots / "results"))[0].name == "a"


def test_a_table_gives_each_clip_its_own_options_and_the_rest_the_commands(tmp_path: Path) -> None:
    touch(tmp_path / "a.mp4", tmp_path / "left.mp4", tmp_path / "right.mp4", tmp_path / "b.mp4")
    table = tmp_path / "clips.csv"
    table.write_text(
        "name,footage,head,frames,texture,focal_mm,offset,deform,neutral\n"
        "# a comment\n"
        "smile,a.mp4,flame,3:9,no,35,,,mica\n"
        '"rig",left.mp4|right.mp4,,,,left=35|right=50,right=0.5,nose,\n'
        ",b.mp4,,,yes,,,,calm.jpg\n"
    )
    smile, rig, b = clips_of(table, options=SolveOptions(texture=False, personal_actions=False))
    assert (smile.name, smile.request.head, smile.request.frames) == ("smile", "flame", (3, 9))
    assert smile.request.focal_mm == {"": (35.0,)} and smile.request.options.texture is False
    assert [path.name for path in rig.request.footage] == ["left.mp4", "right.mp4"]
    assert rig.request.focal_mm == {"left": (35.0,), "right": (50.0,)} and rig.request.offsets == {"right": 0.5}
    assert rig.request.options == SolveOptions(texture=False, personal_actions=False, deform_region="nose")
    assert (b.name, b.request.head, b.request.options.texture) == ("b", "open", True)
    assert (smile.request.neutral, b.request.neutral) == (Path("mica"), tmp_path / "calm.jpg")


def test_bad_lines_are_named_by_their_numbers_all_at_once(tmp_path: Path) -> None:
    touch(tmp_path / "a.mp4")
    table = tmp_path / "clips.csv"
    table.write_text(
        "name,footage,frames,texture\nx,a.mp4,9:3,\ny,gone.mp4,,\nx/y,a.mp4,,\nz,a.mp4,,maybe\nz,a.mp4\nq,a.mp4,,\nQ,a.mp4,,\n"
    )
    with pytest.raises(UserError) as caught:
        clips_of(table)
    assert caught.value.code == "bad_list"
    for words in ("Line 2: “9:3”", "Line 3: there is no", "Line 4: “x/y”", "Line 5: “maybe”", "Line 6: it has 2 cells"):
        assert words in caught.value.message
    assert "Line 8: “Q” is Line 7's name" in caught.value.message
    listed = tmp_path / "clips.txt"
    listed.write_text('# shots\na.mp4\n\n"gone.mp4"\n')
    with pytest.raises(UserError, match=r"Line 4: there is no .*gone\.mp4"):
        clips_of(listed)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,frames\na,1\n", "“footage” is none"),
        ("footage,colour\n", "“colour” is no column"),
        ("", "holds no clips"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: str, words: str) -> None:
    table = tmp_path / "clips.csv"
    table.write_text(text)
    with pytest.raises(UserError, match=words):
        clips_of(table)
