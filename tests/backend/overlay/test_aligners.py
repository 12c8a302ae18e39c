"""Aligners side by side: a picture and a video, and which colour says what."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from skimage.data import astronaut
from skimage.io import imread, imsave

from backend.alignment.flowface.weights_file import save_weights
from backend.errors import UserError
from backend.footage.encode import encode_evenly
from backend.overlay.aligners import CLOSE_UP, LEAST, MOST, ComparisonOptions, compare_aligners, sigma_colors
from tests.backend.alignment.flowface.networks import constant_network


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(path, constant_network(), {})
    return path


def test_close_ups_of_a_still(saved: Path, tmp_path: Path) -> None:
    imsave(tmp_path / "face.png", astronaut(), check_contrast=False)
    out = compare_aligners(ComparisonOptions(tmp_path / "face.png", tmp_path / "out.png", weights=saved))
    picture = imread(out)
    assert picture.shape == (CLOSE_UP, 3 * CLOSE_UP, 3)
    bare, mediapipe, network = (picture[:, i * CLOSE_UP : (i + 1) * CLOSE_UP].astype(int) for i in range(3))
    for panel in (mediapipe, network):
        assert 0.01 < (np.abs(panel - bare).max(axis=2) > 60).mean() < 0.4


def test_a_clip_becomes_a_video_of_all_its_frames(saved: Path, tmp_path: Path) -> None:
    face, grey = astronaut()[:300, 100:400], np.full((300, 300, 3), 128, np.uint8)
    encode_evenly(tmp_path / "clip.mp4", iter([grey, face, face, grey, face]), 25.0)
    out = compare_aligners(ComparisonOptions(tmp_path / "clip.mp4", tmp_path / "out.mp4", weights=saved))
    with av.open(str(out)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert [frame.shape for frame in frames] == [(300, 600, 3)] * 5
    left = [np.abs(frame[60:, :300].astype(int) - picture[60:]).max(axis=2) > 60 for frame, picture in
            zip(frames, [grey, face, face, grey, face], strict=True)]  # fmt: skip
    assert [bool(changed.mean() > 0.005) for changed in left] == [False, True, True, False, True]


def test_colours_go_from_low_to_high_sigma() -> None:
    colours = sigma_colors(np.array([LEAST / 9, LEAST, (LEAST * MOST) ** 0.5, MOST, 9 * MOST])).astype(int)
    np.testing.assert_array_equal(colours[0], colours[1])
    np.testing.assert_array_equal(colours[3], colours[4])
    assert colours[1, 2] > colours[3, 2] and colours[3, 0] > colours[1, 0] and colours[2, 1] > 200


def test_what_cannot_be_compared_is_a_sentence(tmp_path: Path) -> None:
    for options, code in (
        (ComparisonOptions(tmp_path / "a.mp4", tmp_path / "out.gif"), "bad_output"),
        (ComparisonOptions(tmp_path / "a.mp4", tmp_path / "out.png", ("dlib",)), "unknown_aligner"),
        (ComparisonOptions(tmp_path / "a.mp4", tmp_path / "out.png", weights=tmp_path / "none"), "weights_missing"),
    ):
        with pytest.raises(UserError) as caught:
            compare_aligners(options)
        assert caught.value.code == code
