"""Predictions of speech-driven animation are compared with the truth, and what does not fit it is refused by name."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from backend.cli import app
from backend.errors import UserError
from backend.evaluation.speech import lip_error_of, score_predictions, speech_sheet
from backend.export.speech.files import templates_file

FRAMES = 60  # at 30 a second


def moving(lips_off_mm: float, upper_m: float) -> NDArray[np.float32]:
    """Four vertices: 0 and 1 are lips, 0 off in every second frame; 2 is upper face and moves in every second frame."""
    frames = np.zeros((FRAMES, 4, 3), np.float32)
    frames[::2, 0, 1] = lips_off_mm / 1000
    frames[::2, 2, 2] = upper_m
    return frames


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "vertices_npy").mkdir(parents=True)
    (folder / "regions").mkdir()
    (folder / "regions/lve.txt").write_text("0, 1")
    (folder / "regions/fdd.txt").write_text("2, 3")
    rest = np.full((4, 3), 0.1, np.float32)
    (folder / "templates.pkl").write_bytes(templates_file({"anna": rest, "ben": rest}))
    truth = np.repeat(rest + moving(0, 0.01), 2, axis=0)  # at 60 frames a second
    truth[1::2] += 5  # of which every second is not looked at
    for name in ("anna_sentence21", "ben_sentence21"):
        np.save(folder / f"vertices_npy/{name}.npy", truth.reshape(-1, 12))
    return folder


def predicted(folder: Path, name: str, frames: NDArray[np.float32]) -> Path:
    folder.mkdir(exist_ok=True)
    np.save(folder / f"{name}.npy", (np.full((4, 3), 0.1, np.float32) + frames).reshape(-1, 12))
    return folder


def test_figures_are_those_computed_by_hand(data: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    off = moving(3, 0.02)
    off[:, 1, 0] = 0.001
    predicted(results, "anna_sentence21_condition_cleo", off)  # lips 3, 1, 3, 1 … mm
    predicted(results, "anna_sentence21_condition_dora", off[:50])
    predicted(results, "ben_sentence21", moving(0, 0.01))
    scores = score_predictions(results, data, 30)
    assert [(score.speaker, len(score.true_lips)) for score in scores] == [("anna", 60), ("anna", 50), ("ben", 60)]
    lips = lip_error_of(scores)
    assert lips.mean_mm == pytest.approx((110 * 2 + 60 * 0) / 170, rel=1e-4)
    assert lips.mean_squared_m2 == pytest.approx(110 * 5e-6 / 170, rel=1e-3)
    # squared 1e-4 and 0 by turns against 4e-4 and 0: deviations 0.5e-4 and 2e-4, and of two vertices one rests
    assert [score.fdd for score in scores] == pytest.approx([-0.75e-4, -0.75e-4, 0], abs=1e-9)
    rows = {row[0]: row[1:] for row in speech_sheet(scores).rows}
    assert rows["anna"] == ("2", "110", "2.000", "5.00e-06", "-7.50e-05")
    assert rows["ben"][:3] == ("1", "60", "0.000")
    assert rows["a face at rest"][2:4] == ("0.000", "0.00e+00") and rows["all"][4] == "-5.00e-05"
    shown = CliRunner().invoke(app, ["evaluate-speech", str(results), str(data)])
    assert shown.exit_code == 0 and "5.00e-06" in shown.stdout and "3.13e-05" in shown.stdout


def test_data_of_vocaset_itself_is_read(data: Path, tmp_path: Path) -> None:
    """Its templates are a pickle of plain numpy arrays, its vertices may be of 64 bits."""
    (data / "templates.pkl").write_bytes(pickle.dumps({"anna": np.full((4, 3), 0.1)}, protocol=2))
    truth = data / "vertices_npy/anna_sentence21.npy"
    np.save(truth, np.load(truth).astype(np.float64))
    results = predicted(tmp_path / "results", "anna_sentence21", moving(3, 0.01))
    (score,) = score_predictions(results, data, 30)
    assert lip_error_of([score]).mean_mm == pytest.approx(1.5, rel=1e-4) and score.fdd == pytest.approx(0, abs=1e-9)


def _unsafe(data: Path, results: Path) -> None:
    (data / "templates.pkl").write_bytes(pickle.dumps({"anna": Path("x")}))
    predicted(results, "anna_sentence21", moving(0, 0))


def _objects(_: Path, results: Path) -> None:
    results.mkdir()
    np.save(results / "anna_sentence21.npy", np.array([{"a": 1}], object), allow_pickle=True)


def _other_head(_: Path, results: Path) -> None:
    results.mkdir()
    np.save(results / "anna_sentence21.npy", np.zeros((FRAMES, 18), np.float32))


def _other_region(data: Path, results: Path) -> None:
    (data / "regions/lve.txt").write_text("0, 4")
    predicted(results, "anna_sentence21", moving(0, 0))


def _cut(data: Path, results: Path) -> None:
    predicted(results, "anna_sentence21", moving(0, 0))
    truth = data / "vertices_npy/anna_sentence21.npy"
    truth.write_bytes(truth.read_bytes()[:-40])


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (lambda _data, results: results.mkdir(), "results_missing", "no predictions"),
        (lambda _, results: predicted(results, "zoe_sentence01", moving(0, 0)), "results_missing", "zoe_sentence01"),
        (lambda _, results: predicted(results, "anna_sentence99", moving(0, 0)), "results_missing", "anna_sentence99"),
        (lambda _, r: predicted(r, "anna_sentence21", np.repeat(moving(0, 0), 2, 0)), "bad_results", "has 120 frames"),
        (lambda _, r: predicted(r, "anna_sentence21", moving(0, np.nan)), "bad_file", "not finite"),
        (_other_head, "bad_file", "expected real numbers"),
        (_unsafe, "bad_file", "templates"),
        (_objects, "bad_file", "expected real numbers"),
        (_other_region, "bad_file", "numbers from 0 to 3"),
        (_cut, "bad_file", "not a file of vertices"),
    ],
)
def test_what_does_not_fit_is_refused(
    data: Path, tmp_path: Path, spoil: Callable[[Path, Path], object], code: str, words: str
) -> None:
    spoil(data, tmp_path / "results")
    with pytest.raises(UserError) as caught:
        score_predictions(tmp_path / "results", data, 30)
    assert caught.value.code == code and words in caught.value.message
