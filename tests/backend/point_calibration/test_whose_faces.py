"""Whoever is measured with is never measured on: calibrations do not open the pictures of test people.

Who is a test person is said here once more, in numbers, so that a change of ``splits.toml`` or of its reading shows.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from backend.alignment.landmarks.point_sigma import load_point_sigma
from backend.alignment.landmarks.pose_bias import load_pose_bias
from backend.errors import UserError
from backend.point_calibration import __main__ as embedding
from backend.point_calibration import annotation, sigma
from backend.point_calibration.rendered_heads import dev_person

TRAIN = {"london_neutral": ("004_03", "005_03"), "canada": ("010f",)}
TEST = {"london_neutral": ("003_03", "006_03"), "canada": ("003f",)}
SETS = ("london_neutral", "london_smiling", "canada")
ANNOTATION = ("landmarks_frl189.npz", "frl189_definition.json")


def number(photograph: Path) -> int:
    return int(re.findall(r"\d+", photograph.stem)[0])


def copied(photos: Path, folder: Path, people: Mapping[str, Sequence[str]]) -> None:
    """Photographs of ``people`` and the annotation of all, from ``photos`` into ``folder``."""
    folder.mkdir(exist_ok=True)
    for name, stems in people.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for stem in stems:
            shutil.copy(photos / name / f"{stem}.jpg", folder / name)
    for name in ANNOTATION:
        shutil.copy(photos / name, folder)


@pytest.mark.parametrize("measure", [annotation.measure, embedding.measure])
def test_points_are_measured_on_training_people(
    measure: Callable[[Path, Path], None], shared_data: Path, tmp_path: Path
) -> None:
    """No file is a picture: the first that is opened is named. Test people's come first, and again last."""
    folder = tmp_path / "photos"
    copied(shared_data / "photos", folder, {})
    for name in ("london_neutral", "canada"):
        (folder / name).mkdir()
        for stem in ("003_03", "004_03", "006_03"):
            (folder / name / f"{stem}.jpg").write_text("not a picture")
    with pytest.raises(UserError, match=r"london_neutral.004_03\.jpg"):
        measure(folder, tmp_path / "out.npz")
    (folder / "london_neutral" / "004_03.jpg").unlink()
    with pytest.raises(UserError, match=r"canada.004_03\.jpg"):
        measure(folder, tmp_path / "out.npz")


def test_the_check_is_made_on_test_people(shared_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    copied(shared_data / "photos", folder, {"canada": ("010f",)})
    (folder / "london_neutral").mkdir()
    for stem in ("001_03", "003_03", "004_03"):
        (folder / "london_neutral" / f"{stem}.jpg").write_text("not a picture")
    with pytest.raises(UserError, match=r"003_03\.jpg"):
        embedding.measure(folder, tmp_path / "out.npz", check=True)


@pytest.mark.slow
def test_sigma_is_measured_on_training_people(shared_data: Path, tmp_path: Path) -> None:
    """Test people are looked at in the end, to check. One of them shows no face, which would stop the measurement."""
    folder = tmp_path / "photos"
    everyone = {name: (*TRAIN[name], *TEST[name]) for name in TRAIN}
    copied(shared_data / "photos", folder, everyone)
    no_face = np.full((400, 400, 3), 127, np.uint8)
    cv2.imwrite(str(folder / "london_neutral" / f"{TEST['london_neutral'][0]}.jpg"), no_face)
    sigma.main(folder, shared_data / "ict" / "ict_facekit.npz", tmp_path / "out.npz", people=1)
    about = load_point_sigma(tmp_path / "out.npz").about
    portraits = [stem for stems in TRAIN.values() for stem in stems]
    assert f" {len(portraits)} portraits of {len({stem[:3] for stem in portraits})} people " in about


def test_the_committed_sigma_is_that_of_all_training_people_and_of_nobody_else(shared_data: Path) -> None:
    pictures = [path for name in SETS for path in (shared_data / "photos" / name).glob("*.jpg")]
    train = [path for path in pictures if number(path) % 3]
    people = {path.stem[:3] for path in train}
    assert len(people) < len({path.stem[:3] for path in pictures})
    about = load_point_sigma().about
    assert f" {len(train)} portraits of {len(people)} people " in about
    assert about.endswith("train and dev only")


def test_the_committed_pose_bias_is_that_of_dev_people() -> None:
    assert load_pose_bias().about.endswith("heads (MIT), dev split")


@pytest.mark.parametrize("person", range(16))
def test_rendered_people_of_a_measurement_have_no_identity_mode_of_test_people(person: int) -> None:
    spec = dev_person(person, 17)
    identity = spec.identity(100)
    assert spec.split == "dev"
    assert not identity[1::2].any()
    assert identity[0::2].any()
