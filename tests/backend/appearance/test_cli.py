"""What users can get wrong is said in a sentence with what to do, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from backend.appearance import cli
from backend.appearance.train import load_take, split
from backend.errors import ErrorCode, UserError
from tests.blender.runners import performance

Call = Callable[[Path], object]

WRONG: list[tuple[Call, ErrorCode, str]] = [
    (lambda t: cli.train(t, t / "person.txt"), ErrorCode.BAD_OUTPUT, "must end in .npz"),
    (lambda t: cli.train(t, t / "other.npz" / "a.npz"), ErrorCode.OUTPUT_UNWRITABLE, "Results cannot be written to"),
    (lambda t: cli.train(t, t / "person.npz"), ErrorCode.NO_RESULT, "There is no take in"),
    (lambda t: cli.train(t, t / "person.npz", face=2), ErrorCode.NO_RESULT, "There is no head 2 in"),
    (lambda t: cli.track(t / "a.mp4", t / "none.npz", t / "out"), ErrorCode.FILE_MISSING, "no driver file"),
    (lambda t: cli.track(t / "a.mp4", t / "other.npz", t / "out"), ErrorCode.BAD_FILE, "not a whole driver"),
    (lambda t: cli.track(t / "a.mp4", t / "x.npz", t / "o", frames="9:3"), ErrorCode.BAD_FRAMES, "not a frame range"),
    (lambda t: cli.track(t / "a.mp4", t / "x.npz", t / "o", focal_px=-5.0), ErrorCode.BAD_OPTION, "--focal-px is -5"),
    (lambda t: cli.adapt(t / "a.mp4", t / "x.npz", t / "y.npz", terms="light"), ErrorCode.BAD_OPTION, "--terms is"),
    (lambda t: cli.measure(t, t / "none.npz"), ErrorCode.NO_RESULT, "There is no take in"),
]


@pytest.mark.parametrize(("call", "code", "words"), WRONG)
def test_mistakes_are_told_in_sentences(tmp_path: Path, call: Call, code: ErrorCode, words: str) -> None:
    np.savez(tmp_path / "other.npz", header=np.frombuffer(b'{"format": "something"}', np.uint8))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UserError) as error:
        call(tmp_path)
    assert error.value.code == code
    assert words in error.value.message
    assert sorted(tmp_path.iterdir()) == before


def test_a_take_of_a_few_frames_is_too_short_and_says_how_short() -> None:
    with pytest.raises(UserError, match="in 8 frames to learn from, and 30 are needed") as error:
        split(performance("clip.mp4"))
    assert error.value.code == ErrorCode.TOO_FEW_FRAMES
    assert error.value.hint is not None


def test_a_folder_that_is_no_take_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=str(tmp_path)):
        load_take(tmp_path, 1)
