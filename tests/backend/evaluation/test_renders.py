"""Renders against the pictures of an export."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.metrics import structural_similarity
from typer.testing import CliRunner

from backend.cli import app
from backend.errors import ErrorCode, UserError
from backend.evaluation.metrics.images import psnr, ssim, ssim_map
from backend.evaluation.renders import find_pairs, score

run = CliRunner()


def test_psnr_by_hand() -> None:
    truth = np.full((8, 8, 3), 0.5)
    picture = truth.copy()
    picture[:4] += 0.1
    assert psnr(picture, truth) == pytest.approx(10 * np.log10(1 / 0.005))  # half of the pixels are off by 0.1
    upper = np.zeros((8, 8), bool)
    upper[:4] = True
    assert psnr(picture, truth, upper) == pytest.approx(20)
    assert psnr(picture, truth, ~upper) == float("inf")
    assert np.isnan(psnr(picture, truth, np.zeros((8, 8), bool)))


def test_ssim_by_hand_and_as_scikit_image_has_it() -> None:
    # of flat pictures only eq. 6's luminance is left: (2·0.4·0.6 + 1e-4) / (0.16 + 0.36 + 1e-4)
    flat = ssim(np.full((16, 16, 3), 0.4), np.full((16, 16, 3), 0.6))
    assert flat == pytest.approx((0.48 + 1e-4) / (0.52 + 1e-4), abs=1e-9)
    rng = np.random.default_rng(2)
    truth = cv2.GaussianBlur(rng.uniform(size=(60, 70, 3)), (0, 0), 2)
    picture = np.clip(truth + 0.05 * rng.normal(size=truth.shape), 0, 1)
    wanted, everywhere = structural_similarity(
        picture, truth, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0,
        channel_axis=2, full=True,
    )  # fmt: skip
    assert ssim(picture, truth) == pytest.approx(wanted, abs=1e-9)
    assert np.abs(ssim_map(picture, truth) - everywhere.mean(axis=2)).max() < 1e-9
    mask = np.zeros((60, 70), bool)
    mask[20:30, 10:50] = True
    assert ssim(picture, truth, mask) == pytest.approx(everywhere.mean(axis=2)[mask].mean(), abs=1e-9)


def write(path: Path, picture: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Two test frames: grey 100 whose left half is the person, by alpha in one and by a mask in the other."""
    folder = tmp_path / "export"
    person = np.zeros((20, 24), np.uint8)
    person[:, :12] = 255
    grey = np.full((20, 24, 3), 100, np.uint8)
    write(folder / "images" / "00003.png", np.dstack([grey, person]))
    write(folder / "images" / "00004.png", grey)
    write(folder / "masks" / "00004.png", person)
    frames = [{"file_path": "images/00003.png"}, {"file_path": "images/00004.png", "mask_path": "masks/00004.png"}]
    (folder / "transforms_test.json").write_text(json.dumps({"frames": frames}))
    return folder


def renders(folder: Path, names: tuple[str, str]) -> Path:
    """The person off by 51 (a fifth of white) in the first picture, white beside it; the second exact."""
    for name, value in zip(names, (151, 100), strict=True):
        picture = np.full((20, 24, 3), 255, np.uint8)
        picture[:, :12] = value
        write(folder / f"{name}.png", picture)
    return folder


@pytest.mark.parametrize("names", [("00003", "00004"), ("00000", "00001")])  # by name; in the order of the frames
def test_renders_are_measured(export: Path, tmp_path: Path, names: tuple[str, str]) -> None:
    pairs = find_pairs(renders(tmp_path / "renders", names), export, "test")
    first, second = (score(pair, "white") for pair in pairs)
    assert first.psnr_foreground == pytest.approx(-20 * np.log10(0.2))
    assert first.psnr == pytest.approx(-10 * np.log10(0.04 / 2))
    assert second.psnr is None and second.ssim == second.ssim_foreground == pytest.approx(1)
    # as the footage was, the second picture's right half is 100 and not white
    behind = score(pairs[1], "footage")
    assert behind.psnr_foreground is None and behind.psnr == pytest.approx(-10 * np.log10((155 / 255) ** 2 / 2))
    black = score(pairs[0], "black")  # a render without alpha keeps what it has behind the person
    assert black.psnr == pytest.approx(-10 * np.log10((0.04 + 1) / 2))


def test_the_command_prints_means_and_writes_json(export: Path, tmp_path: Path) -> None:
    made, out = renders(tmp_path / "renders", ("00003", "00004")), tmp_path / "scores.json"
    result = run.invoke(app, ["evaluate-renders", str(made), str(export), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "13.98" in result.output and "2 renders" in result.output
    content = json.loads(out.read_text())
    assert content["mean"]["psnr_foreground"] == pytest.approx(-20 * np.log10(0.2)) and content["lpips"] is None
    assert [Path(frame["truth"]).name for frame in content["frames"]] == ["00003.png", "00004.png"]


def test_what_does_not_match_is_named(export: Path, tmp_path: Path) -> None:
    made = renders(tmp_path / "renders", ("00003", "other"))
    (made / "00003.png").unlink()
    with pytest.raises(UserError) as raised:
        find_pairs(made, export, "test")
    assert raised.value.code == ErrorCode.NOTHING_TO_EVALUATE
    with pytest.raises(UserError) as raised:
        find_pairs(made, tmp_path, "test")
    assert "transforms_test.json" in raised.value.message
    write(tmp_path / "small" / "00003.png", np.zeros((10, 12, 3), np.uint8))
    with pytest.raises(UserError) as raised:
        score(find_pairs(tmp_path / "small", export, "test")[0], "white")
    assert raised.value.code == ErrorCode.IMAGE_SIZE and "12 × 10" in raised.value.message
    (export / "transforms_test.json").write_text('{"frames": [{"path": 1}]}')
    with pytest.raises(UserError) as raised:
        find_pairs(made, export, "test")
    assert raised.value.code == ErrorCode.BAD_FILE
