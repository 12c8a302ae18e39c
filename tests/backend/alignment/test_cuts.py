from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from backend.alignment.cuts import Follows, follow_shots
from backend.footage import FootageFrame, open_footage
from tests.backend.alignment.shots import Picture, as_frames, cat, coffee, lit, portrait
from tests.backend.footage.clips import write_video


def found(pictures: list[Picture], how: Follows = Follows.CUT) -> list[int]:
    seen = list(follow_shots(as_frames(pictures)))
    assert [frame.number for frame, _ in seen] == list(range(1, len(pictures) + 1))
    return [frame.number for frame, follows in seen if follows is how]


def test_every_cut_is_found_on_its_frame() -> None:
    assert found([*portrait(14), *coffee(12), *cat(13), *portrait(10)]) == [15, 27, 40]


def test_one_picture_of_another_shot_at_the_end_is_found() -> None:
    assert found([*portrait(9), *coffee(1)]) == [10]


def test_a_cut_is_found_through_heavy_compression(tmp_path: Path) -> None:
    path = write_video(tmp_path / "crushed.mp4", [*portrait(20), *cat(20)], options={"crf": "45", "g": "7"})
    seen = follow_shots(open_footage(path))
    assert [frame.number for frame, follows in seen if follows is Follows.CUT] == [21]


def test_a_cut_is_found_among_held_pictures_and_blends() -> None:
    held = [picture for picture in [*portrait(8, step=0.02), *coffee(8)] for _ in range(4)]
    assert found(held) == [33]
    pictures = [*portrait(12), *coffee(12)]
    for share in (0.3, 0.7):
        blended = np.asarray((1 - share) * pictures[11] + share * pictures[13], np.uint8)
        assert found([*pictures[:12], blended, *pictures[13:]]) == [13 if share > 0.5 else 14]


SHOT = portrait(36)


@pytest.mark.parametrize(
    "pictures",
    [
        pytest.param(portrait(14, step=0.02), id="fast"),
        pytest.param([p for p in portrait(7, step=0.04) for _ in range(5)], id="stop motion"),
        pytest.param([*SHOT[:12], *([np.zeros_like(SHOT[0])] * 15), *SHOT[12:24]], id="black"),
        pytest.param([*SHOT[:12], *(lit(p, 3) for p in SHOT[12:15]), *SHOT[15:]], id="flash"),
        pytest.param([*SHOT[:12], *(np.full_like(p, 255) for p in SHOT[12:14]), *SHOT[14:]], id="white"),
        pytest.param([*SHOT[:18], *(lit(p, 0.4) for p in SHOT[18:])], id="light goes out"),
        pytest.param([*SHOT[:18], *(lit(p, 1.0, 0.5) for p in SHOT[18:])], id="light goes on"),
        pytest.param([lit(p, 1 + 0.3 * (-1) ** n) for n, p in enumerate(SHOT)], id="flicker"),
        pytest.param([np.roll(p, (n % 3 * 8, n % 2 * 8), (0, 1)) for n, p in enumerate(SHOT)], id="shake"),
        pytest.param([p if n < 18 else np.roll(p, 30, 1) for n, p in enumerate(SHOT)], id="hit"),
        pytest.param([SHOT[0]] * 20, id="still"),
        pytest.param([np.full((40, 60, 3), 90, np.uint8)] * 5, id="nothing"),
    ],
)
def test_within_a_shot_there_is_none(pictures: list[Picture]) -> None:
    assert found(pictures) == []


def test_a_whip_pan_is_none() -> None:
    wide = np.concatenate([SHOT[0], cat(1)[0], coffee(1)[0]], axis=1)
    pictures = []
    places = np.concatenate([np.zeros(10), 256 * (1 - np.cos(np.linspace(0, np.pi, 12))), np.full(10, 512)])
    for place, speed in zip(places, np.abs(np.gradient(places)), strict=True):
        blurred = cv2.blur(wide, (max(1, int(0.6 * speed)), 1))
        pictures.append(np.ascontiguousarray(blurred[:, int(place) : int(place) + 256]))
    assert found(pictures) == []


def test_a_picture_of_something_else_interrupts_its_shot() -> None:
    pictures = [*SHOT[:12], *cat(2), *SHOT[14:30]]
    assert found(pictures) == []
    assert found(pictures, Follows.INTERRUPTION) == [13, 14]


def test_pictures_are_held_only_while_a_cut_is_judged() -> None:
    asked = 0

    def counted() -> Iterator[FootageFrame]:
        nonlocal asked
        for frame in as_frames([*portrait(12), *coffee(20)]):
            asked += 1
            yield frame

    ahead = [asked - frame.number for frame, _ in follow_shots(counted())]
    assert ahead[:12] == [0] * 12
    assert max(ahead) <= 8
    assert ahead[-1] == 0


@pytest.mark.slow
def test_no_real_clip_has_a_cut_and_each_two_joined_have_one(shared_data: Path) -> None:
    clips = {
        path.stem: [np.asarray(cv2.resize(frame.image, (256, 256)), np.uint8) for frame in open_footage(path, (1, 60))]
        for path in sorted((shared_data / "clips").iterdir())
    }
    assert {name: cuts for name, pictures in clips.items() if (cuts := found(pictures))} == {}
    assert {name: cuts for name, pictures in clips.items() if (cuts := found(pictures[::5]))} == {}
    pairs = list(zip(clips, [*list(clips)[1:], *list(clips)[:1]], strict=True))
    right = [found([*clips[a][:20], *clips[b][-20:]]) == [21] for a, b in pairs]
    assert sum(right) >= 0.95 * len(pairs)
