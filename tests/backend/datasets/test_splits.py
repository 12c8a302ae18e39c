"""The splits cover everything, once, and everyone who appears twice appears in one split only."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from backend.datasets.splits import (
    SPLITS_FILE,
    identity_modes,
    person_number,
    split_of_clip,
    split_of_person,
    split_of_photo,
    split_of_scan,
)
from backend.errors import UserError
from backend.point_calibration.photos import Portrait


def test_rendered_test_people_share_no_identity_mode_with_dev_or_training() -> None:
    test, dev, train = (identity_modes(split) for split in ("test", "dev", "train"))
    assert list(test[:3]) == [1, 3, 5]
    assert not np.intersect1d(test, np.union1d(dev, train)).size
    assert list(np.union1d(test, train)) == list(range(100))
    assert np.array_equal(dev, train)


def test_no_clip_is_listed_twice() -> None:
    listed = [clip for groups in tomllib.loads(SPLITS_FILE.read_text())["clips"].values() for g in groups for clip in g]
    assert len(listed) == len(set(listed))


def test_about_a_third_of_the_clips_people_is_test() -> None:
    clips = tomllib.loads(SPLITS_FILE.read_text())["clips"]
    assert 0.25 < len(clips["test"]) / sum(map(len, clips.values())) < 0.45


def test_every_file_beside_the_checkout_has_a_split(shared_data: Path) -> None:
    assert {split_of_clip(path.name) for path in (shared_data / "clips").iterdir()} == {"train", "test"}
    photos = list((shared_data / "photos").glob("*/*.jpg"))
    assert {split_of_photo(path) for path in photos} == {"train", "test"}
    for scan in (shared_data / "scan").iterdir():
        assert split_of_scan(scan.name) == "test"


def test_a_person_is_in_one_split_whatever_the_expression(shared_data: Path) -> None:
    neutral, smiling = (
        {person_number(path): split_of_photo(path) for path in (shared_data / "photos" / name).glob("*.jpg")}
        for name in ("london_neutral", "london_smiling")
    )
    assert neutral == smiling


def test_calibration_holds_out_the_test_people() -> None:
    for number in range(1, 200):
        assert Portrait(Path("x"), f"london{number:03}").held_out == (split_of_person(number) == "test")
        assert Portrait(Path("x"), f"canada{number:03}").held_out == (number % 3 == 0)


def test_the_perspective_series_is_test_whole() -> None:
    assert {split_of_photo(f"photos/zoom/{name}.jpg") for name in ("15cm", "60cm", "lisa1", "lisa2")} == {"test"}


def test_what_is_not_listed_is_refused_by_name() -> None:
    for ask, name in ((split_of_clip, "unknown_clip.mp4"), (split_of_photo, "holiday/001.jpg"), (split_of_scan, "who")):
        with pytest.raises(UserError) as caught:
            ask(name)
        assert caught.value.code == "no_split"
    with pytest.raises(UserError, match="no person's number"):
        split_of_photo("canada/nobody.jpg")
