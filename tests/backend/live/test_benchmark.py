"""``flowface benchmark live`` measures a real session, and says how far it is off the offline solve."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from backend.errors import ErrorCode, UserError
from backend.footage.encode import encode_evenly
from backend.head_model.model import HeadModel
from backend.synthesis.clip import render_performance
from backend.synthesis.performance import Performance
from backend.timing.live import LiveBenchmarkOptions, benchmark_live


def test_a_played_clip_is_timed_and_compared(
    head: HeadModel, truth: Performance, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some = {
        name: getattr(truth, name)[4:10]
        for name in ("expression", "head_rotation", "head_translation", "gaze", "focal_px")
    }
    clip = tmp_path / "clip.mp4"
    encode_evenly(clip, render_performance(head, replace(truth, **some)), 4.0)
    results = benchmark_live(LiveBenchmarkOptions(clip, tmp_path / "out", minutes=0.03))
    assert results == json.loads((tmp_path / "out" / "live.json").read_text())
    assert results["poses"] >= 2
    assert results["weights_off_offline"]["poses"] == results["poses"]
    assert results["weights_off_offline"]["mean"] < 0.05
    assert set(results["cpu_ms_alone"]) == {"decode", "landmarks", "solve and filters"}
    assert "weights off the offline solve" in capsys.readouterr().out


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    with pytest.raises(UserError) as refused:
        benchmark_live(LiveBenchmarkOptions(tmp_path / "clip.mp4", taken / "out"))
    assert refused.value.code == ErrorCode.OUTPUT_UNWRITABLE
