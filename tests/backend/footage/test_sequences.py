"""A sequence is what the user gave, whatever its files are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.errors import UserError
from backend.footage import Footage, open_footage, probe
from backend.footage.numbering import belong_together, on_timeline, sequences
from backend.footage.types import MAX_FRAMES
from tests.backend.footage.clips import read_stamp, stamped


def write(folder: Path, names: list[str], first: int = 1) -> list[Path]:
    """Pictures stamped ``first``, ``first + 1``, … under these names."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names, first):
        Image.fromarray(stamped(number)).save(folder / name, "PNG" if name[-1].isdecimal() else None)
    return [folder / name for name in names]


def stamps(footage: Footage) -> list[int]:
    return [read_stamp(frame.image) for frame in footage]


NAMES = {
    "in tens": ([f"f_{i:04d}.png" for i in (10, 20, 30, 40)], [10, 20, 30, 40], "f_####.png"),
    "in tens with a gap": ([f"f_{i:04d}.png" for i in (10, 30, 40, 50)], [10, 30, 40, 50], "f_%04d.png"),
    "time stamps": ([f"{1700000000000 + 33 * i}.png" for i in range(4)], [1, 2, 3, 4], "*.png"),
    "uneven time stamps": ([f"c_{1700000000000 + t}.png" for t in (0, 31, 67, 98, 134)], [1, 2, 3, 4, 5], "c_*.png"),
    "seconds since 1970": ([f"13050311{s}.png" for s in ("02.175", "02.21", "02.2432", "03.0")], [1, 2, 3, 4], "*.png"),
    "decimals": ([f"t_{s}s.png" for s in ("0.5", "1.0", "1.5", "2.0")], [5, 10, 15, 20], "t_*.png"),
    "decimals of a rate": ([f"{s}.png" for s in ("0.93", "0.97", "1.00", "1.03")], [93, 97, 100, 103], "*.png"),
    "dates": (
        [f"2024-05-31_23-59-{s:02d}.png" for s in (58, 59)] + ["2024-06-01_00-00-00.png"],
        [1, 2, 3],
        "2024*.png",
    ),
    "a gap behind the first": ([f"g_{i:04d}.png" for i in (1, 3, 4, 5)], [1, 3, 4, 5], "g_%d.png"),
    "three with a gap": ([f"g_{i}.png" for i in (1, 3, 4)], [1, 3, 4], "g_#.png"),
    "many gaps": ([f"g_{i:04d}.png" for i in (1, 3, 4, 8, 9, 20)], [1, 3, 4, 8, 9, 20], "g_%04d.png"),
    "a number within": ([f"frame_{i:04d}_rgb.png" for i in range(1, 5)], [1, 2, 3, 4], "frame_####_rgb.png"),
    "several numbers": ([f"shot02_v3_{i:04d}_left.png" for i in (7, 8, 9)], [7, 8, 9], "shot02_v3_%04d_left.png"),
    "a number and its time": ([f"i{i}_t{1000 + 33 * i}.png" for i in range(1, 5)], [1, 2, 3, 4], "i*_t*.png"),
    "a hash": ([f"take#2_{i:04d}.png" for i in range(1, 5)], [1, 2, 3, 4], "take#2_####.png"),
    "a hash beside a star": ([f"take#2_{i:04d}.png" for i in range(1, 5)], [1, 2, 3, 4], "take#2_*.png"),
    "a per cent": ([f"50%_{i:04d}.png" for i in range(1, 5)], [1, 2, 3, 4], "50%_%04d.png"),
    "what printf would read": ([f"a%d_{i:02d}.png" for i in range(1, 5)], [1, 2, 3, 4], "a%d_##.png"),
    "brackets": ([f"[a]_{i:02d}.png" for i in range(1, 5)], [1, 2, 3, 4], "[a]_*.png"),
    "numbers beyond the timeline": ([f"A001_{1234567 + i}.png" for i in (0, 1, 3)], [1, 2, 4], "A001_#######.png"),
    "below nought": ([f"f_{i:04d}.png" for i in (-2, -1, 0, 1)], [1, 2, 3, 4], "f_%04d.png"),
    "mixed widths": ([f"f{i}.png" for i in (8, 9, 10, 11)], [8, 9, 10, 11], "f%d.png"),
    "numbers as endings": ([f"plate.{i:04d}" for i in (1, 2, 3)], [1, 2, 3], "plate.%04d"),
    "no ending": ([f"f{i}.PNG" for i in (1, 2, 3)], [1, 2, 3], "f?.PNG"),
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_sequence_by_folder_by_pattern_and_by_each_file(tmp_path: Path, kind: str) -> None:
    names, numbers, pattern = NAMES[kind]
    files = write(tmp_path / "shot", names)
    for given in (tmp_path / "shot", tmp_path / "shot" / pattern, *files):
        footage = open_footage(given)
        info = footage.info
        assert info.kind == "sequence", given
        assert (info.files, info.numbers) == (tuple(files), tuple(numbers)), given
        assert stamps(footage) == list(range(1, len(files) + 1))
        assert [frame.scene_frame for frame in footage] == numbers
        assert bool(info.notes) == (kind in SAID), info.notes


SAID = {
    "time stamps",
    "uneven time stamps",
    "seconds since 1970",
    "dates",
    "numbers beyond the timeline",
    "below nought",
}


def test_photographs_of_a_camera_are_stills(tmp_path: Path) -> None:
    for numbers in ((1234, 1301, 1377), (10, 30), (3, 12, 40, 55)):
        folder = tmp_path / str(len(numbers))
        files = write(folder, [f"IMG_{i}.png" for i in numbers])
        assert [probe(file).kind for file in files] == ["still"] * len(files)
    days = write(
        tmp_path / "days", [f"IMG_202405{day}_{time}.png" for day, time in ((11, 101112), (12, 80102), (29, 120000))]
    )
    assert [probe(file).kind for file in days] == ["still"] * 3


def test_other_sequences_in_the_folder_stay_out(tmp_path: Path) -> None:
    left = write(tmp_path, [f"shot02_v3_{i:04d}_left.png" for i in range(1, 6)])
    write(tmp_path, [f"shot02_v3_{i:04d}_right.png" for i in range(1, 6)], 101)
    write(tmp_path, [f"shot02_v4_{i:04d}_left.png" for i in range(1, 4)], 201)
    write(tmp_path, [f"shot02_v3_{i:04d}_left.jpg" for i in range(1, 6)], 301)
    write(tmp_path, ["poster.png"], 401)
    footage = open_footage(left[2])
    assert stamps(footage) == [1, 2, 3, 4, 5]
    assert stamps(open_footage(tmp_path / "shot02_v4_####_left.png")) == [201, 202, 203]
    whole = open_footage(tmp_path)
    assert whole.info.files[0].name == "shot02_v3_0001_left.jpg", "of several as long, the first by ending and name"
    assert "14 images" in whole.info.notes[0]


@pytest.mark.parametrize(("cameras", "frames"), [(4, 2), (3, 3), (2, 9), (5, 4)])
def test_few_frames_of_many_cameras_are_a_sequence_each(tmp_path: Path, cameras: int, frames: int) -> None:
    for camera in range(1, cameras + 1):
        write(tmp_path, [f"cam{camera}_{i:04d}.png" for i in range(1, frames + 1)], 100 * camera)
    for camera in (1, cameras):
        for frame in (1, frames):
            footage = open_footage(tmp_path / f"cam{camera}_{frame:04d}.png")
            assert stamps(footage) == [100 * camera + i for i in range(frames)]
    assert stamps(open_footage(tmp_path)) == [100 + i for i in range(frames)]


def test_signs_beside_a_number_do_not_mix_sequences(tmp_path: Path) -> None:
    write(tmp_path, [f"a_{i:04d}.png" for i in range(1, 4)])
    write(tmp_path, [f"b_{i:04d}.png" for i in range(1, 6)], 101)
    footage = open_footage(tmp_path / "*_%04d.png")
    assert stamps(footage) == [101, 102, 103, 104, 105]
    assert "3 images" in footage.info.notes[0]


def test_cameras_whose_times_interleave_are_kept_apart(tmp_path: Path) -> None:
    for camera in (1, 2):
        names = [f"cam{camera}_{i:04d}_{1700000000000 + 33 * i + camera}.png" for i in range(1, 5)]
        write(tmp_path, names, 100 * camera)
    for camera in (1, 2):
        given = next(tmp_path.glob(f"cam{camera}_0003*"))
        footage = open_footage(given)
        assert stamps(footage) == [100 * camera + i for i in range(4)]
        assert footage.info.numbers == (1, 2, 3, 4)


def test_a_file_that_is_there_is_no_pattern(tmp_path: Path) -> None:
    write(tmp_path, ["a_%04d.png", "a_####.png", "a_*.png"], 7)
    write(tmp_path, ["a_0001.png", "a_0002.png"])
    assert [stamps(open_footage(tmp_path / name)) for name in ("a_%04d.png", "a_####.png", "a_*.png")] == [
        [7],
        [8],
        [9],
    ]


def test_spellings_of_one_number_and_endings_in_capitals(tmp_path: Path) -> None:
    write(tmp_path, ["f_0001.png", "f_0002.png", "f_0003.png"])
    write(tmp_path, ["f_2.png"], 9)
    assert stamps(open_footage(tmp_path / "f_0001.png")) == [1, 2, 3]
    assert stamps(open_footage(tmp_path / "f_2.png")) == [1, 9, 3]
    write(tmp_path / "b", ["f_0001.PNG", "f_0002.png", "f_0003.PNG"])
    assert stamps(open_footage(tmp_path / "b" / "f_0002.png")) == [1, 2, 3]


def test_a_list_keeps_its_order_by_its_numbers_or_as_given(tmp_path: Path) -> None:
    files = write(tmp_path, ["f_0030.png", "f_0010.png", "f_0020.png", "f_0025.png"])
    footage = open_footage("", files=files[:3])
    assert (stamps(footage), footage.info.numbers) == ([2, 3, 1], (10, 20, 30))
    named = write(tmp_path, ["zoe.png", "adam.png", "eve.png"], 11)
    assert (stamps(open_footage("", files=named)), probe(named[0]).kind) == ([11, 12, 13], "still")
    (tmp_path / "other").mkdir()
    moved = files[0].rename(tmp_path / "other" / "f_0010.png")
    assert stamps(open_footage("", files=[moved, files[1]])) == [1, 2], "two of one number"
    assert open_footage("", files=files[1:2]).info.kind == "still"
    with pytest.raises(UserError, match="gone"):
        open_footage("", files=[files[1], tmp_path / "gone.png"])


def test_a_text_lists_images_as_seen_from_its_folder(tmp_path: Path) -> None:
    write(tmp_path / "shot", ["b_0003.png", "a_0009.png", "c.png"])
    listed = tmp_path / "cut.txt"
    listed.write_text("\ufeff# the good ones\r\nshot/c.png\r\n\r\nshot/b_0003.png\n", "utf-8")
    footage = open_footage(listed)
    assert (stamps(footage), footage.info.numbers, footage.info.kind) == ([3, 1], (1, 2), "sequence")
    listed.write_text("ffconcat version 1.0\nfile 'shot/c.png'\nduration 0.04\n\"shot/a_0009.png\"\n")
    assert stamps(open_footage(listed)) == [3, 2]
    for text in ("", "# nothing\n", "shot/gone.png\n", "\0\0", "x" * 300, "x" * 5000):
        listed.write_text(text or "\n")
        with pytest.raises(UserError, match=r"cut\.txt") as caught:
            open_footage(listed)
        assert caught.value.code == "footage_unreadable"


def test_a_list_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cut.txt").write_text("a\n" * 1_050_000)
    with pytest.raises(UserError) as caught:
        open_footage(tmp_path / "cut.txt")
    assert caught.value.code == "footage_no_images"


def test_a_path_that_no_file_can_have_is_missing(tmp_path: Path) -> None:
    for name in ("a" * 5000 + ".png", "a" * 300 + "_%04d.png", "a\0b.png"):
        with pytest.raises(UserError) as caught:
            open_footage(tmp_path / name)
        assert caught.value.code in ("footage_missing", "footage_no_images")


def test_what_was_found_once_is_not_looked_for_again(tmp_path: Path) -> None:
    files = write(tmp_path, ["a_0007.png", "b_0003.png", "c_0001.png"])
    info = open_footage("", files=files).info
    write(tmp_path, ["a_0008.png"], 99)
    again = open_footage(info.path, (2, 3), files=info.files, numbers=info.numbers)
    assert (stamps(again), again.info.files) == ([2, 3], tuple(files))
    part = open_footage("", files=files).part((2, 2))
    assert (stamps(part), part.info.files, part.total) == ([2], tuple(files), 1)
    with pytest.raises(UserError, match="ascending"):
        open_footage(info.path, files=info.files, numbers=(3, 2, 1))


def test_where_numbers_stand_on_the_timeline() -> None:
    assert on_timeline((0, 5, MAX_FRAMES)) == ((0, 5, MAX_FRAMES), "")
    moved, said = on_timeline((2_000_000, 2_000_010))
    assert moved == (1, 11) and "2000000" in said
    assert on_timeline((5, 3_000_000))[0] == (1, 2)
    assert on_timeline((-5, -3))[0] == (1, 3)
    assert on_timeline((1700000000, 1700000010), stamps=True)[0] == (1, 2)


def test_names_decide_alone_and_quickly() -> None:
    stems = [f"a{i % 7}_b{i}_c{i // 7}" for i in np.random.default_rng(0).permutation(5000)]
    found = {frozenset(stems[i] for i in one.items) for one in sequences(stems)}
    assert found == {frozenset(stems[i] for i in one.items) for one in sequences(stems)}
    assert found == {frozenset(stems[::-1][i] for i in one.items) for one in sequences(stems[::-1])}
    assert sequences(["anna", "berta"]) == []
    assert not belong_together([5], 5)
