"""What a picture's EXIF tells of its lens: tags as cameras write them, and as they should not."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from PIL import Image

from backend.footage.exif import exif_focal, focal_of_tags

FOCAL, IN_35MM, WIDTH, HEIGHT, DENSITY, UNIT = 37386, 41989, 40962, 40963, 41486, 41488


def test_the_equivalent_counts_by_the_diagonal() -> None:
    """A phone's 4:3 picture: 26 mm on full frame see as much across the diagonal."""
    told = focal_of_tags({FOCAL: 4.2, IN_35MM: 26}, (4000, 3000))
    assert told is not None and told.focal_px == pytest.approx(26 / math.hypot(36, 24) * 5000)
    assert told.says == "26 mm in terms of 35 mm film"


@pytest.mark.parametrize(
    ("density", "unit"), [(6000 * 25.4 / 36, 2), (6000 * 10 / 36, 3), (6000 / 36, 4), (6000 * 25.4 / 36, None)]
)
def test_a_focal_length_counts_by_the_sensors_pixels(density: float, unit: int | None) -> None:
    tags = {FOCAL: 85, DENSITY: density, WIDTH: 6000, HEIGHT: 4000} | ({} if unit is None else {UNIT: unit})
    told = focal_of_tags(tags, (3000, 2000))
    assert told is not None and told.focal_px == pytest.approx(85 / 36 * 3000)


def test_another_proportion_is_a_crop() -> None:
    told = focal_of_tags({IN_35MM: 50, WIDTH: 6000, HEIGHT: 4000}, (1350, 1350))
    assert told is not None and told.cropped and "6000 × 4000" in told.says
    turned = focal_of_tags({IN_35MM: 50, WIDTH: 6000, HEIGHT: 4000}, (400, 600))
    assert turned is not None and not turned.cropped


@pytest.mark.parametrize(
    "tags",
    [{}, {FOCAL: 50}, {IN_35MM: 0}, {IN_35MM: "wide"}, {IN_35MM: 50_000}, {FOCAL: math.nan, DENSITY: 1}, {DENSITY: 9}],
)
def test_what_no_lens_has_is_no_lens(tags: dict[int, object]) -> None:
    assert focal_of_tags(tags, (600, 400)) is None


def test_it_is_read_from_a_file_and_a_file_without_any_has_none(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({IN_35MM: 28})
    for name in ("a.jpg", "a.webp"):
        Image.new("RGB", (60, 40)).save(tmp_path / name, exif=exif)
        told = exif_focal(tmp_path / name)
        assert told is not None and told.focal_px == pytest.approx(28 / 36 * 60), name
    Image.new("RGB", (60, 40)).save(tmp_path / "plain.jpg")
    (tmp_path / "broken.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:60])
    for name in ("plain.jpg", "broken.jpg"):
        assert exif_focal(tmp_path / name) is None
