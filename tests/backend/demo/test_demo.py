"""The README's demo as a whole: everything that it promises is there, and the track is near the truth."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_demo_makes_both_scenes_and_says_how_far_from_the_truth_it_is(tmp_path: Path, repo_root: Path) -> None:
    own = {"FLOWFACE_STATE_DIR": str(tmp_path / "state"), "XDG_DATA_HOME": str(tmp_path / "data")}
    out = tmp_path / "out"
    result = subprocess.run(
        [sys.executable, "-m", "backend.cli", "demo", "--out", str(out)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, **own, "PYTHONPATH": str(repo_root), "COLUMNS": "200"},
    )
    assert result.returncode == 0, result.stderr
    common = {"track.npz", "alignments.npz", "report.json", "texture.png", "scene.blend"}
    assert {path.name for path in (out / "portrait").iterdir()} == common | {"astronaut.png", "overlay.png"}
    assert {path.name for path in (out / "rendered").iterdir()} == common | {
        "performance.mp4",
        "overlay.mp4",
        "truth.json",
    }
    truth = json.loads((out / "rendered" / "truth.json").read_text())
    # MediaPipe was trained on photographs and is biased on renderings; a wrong axis or frame costs far more than that.
    assert truth["frames"] == 75
    assert truth["vertex_error_percent_iod"] < 3.5
    assert truth["rotation_error_degrees"] < 3.5
    assert 0.6 < truth["focal_ratio"] < 1.6  # weak perspective at half a metre: the bias shows here most
    for words in ("astronaut.png", "75 of 75", "face vertices", f"{truth['vertex_error_percent_iod']:.2f} %"):
        assert words in result.stdout
