"""Timing the alignment network: what is timed, and what the figures say."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from backend.alignment.flowface import weights
from backend.alignment.flowface.weights_file import save_weights
from backend.cli import app
from backend.errors import UserError
from backend.timing.aligners import AlignBenchmarkOptions, align_table, benchmark_align
from backend.timing.cli import encoders, numbers
from tests.backend.alignment.flowface.networks import constant_network


def test_every_case_is_timed_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path / "absent"))
    save_weights(tmp_path / "mine.safetensors", constant_network(), {})
    told = io.StringIO()
    options = AlignBenchmarkOptions(
        tmp_path / "out", (), (256,), (1, 2), "cpu", weights=tmp_path / "mine.safetensors", seconds=0.2
    )
    results = benchmark_align(options, Console(file=told))
    assert json.loads((tmp_path / "out" / "align.json").read_text()) == results
    rows = [row for row in results["rows"] if row.get("runtime") != "openvino"]  # where that is installed
    assert [(r["name"], r["size"], r["batch"]) for r in rows] == [
        ("mediapipe", 256, 1),
        ("mine.safetensors", 64, 1),
        ("mine.safetensors", 64, 2),
    ]
    assert all(0 < row["ms_per_image"] < 20_000 for row in rows)
    assert rows[1]["million_parameters"] > 3
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(align_table(rows, results["machine"]))
    text = console.export_text()
    assert "75.0" in text and "Quadro" in text and "mine.safetensors" in text and "mediapipe" in text


def test_what_cannot_be_timed_is_a_sentence(tmp_path: Path) -> None:
    for options, code in (
        (AlignBenchmarkOptions(tmp_path, ("b0",), (100,)), "bad_numbers"),
        (AlignBenchmarkOptions(tmp_path, ("b0",), device="tpu"), "unknown_device"),
        (AlignBenchmarkOptions(tmp_path, ("b0",), weights=tmp_path / "absent"), "weights_missing"),
    ):
        with pytest.raises(UserError) as caught:
            benchmark_align(options)
        assert caught.value.code == code
    assert numbers("1, 8,1", "sizes") == (1, 8)
    assert encoders("b5,b0") == ("b5", "b0")
    for wrong in ("", "0", "1.5", "-2", "99999"):
        with pytest.raises(UserError):
            numbers(wrong, "sizes")
    for wrong in ("", "b6", "b0,resnet"):
        with pytest.raises(UserError):
            encoders(wrong)


def test_the_command_is_there() -> None:
    shown = CliRunner().invoke(app, ["benchmark", "align", "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert "--batch" in shown.output
