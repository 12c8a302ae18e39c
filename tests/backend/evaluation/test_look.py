"""``flowface evaluate --clip`` on a small rendered clip, and the tables of what was looked at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from backend.cli import app
from backend.evaluation.look import Looking
from backend.evaluation.look_tables import look_sheets
from backend.evaluation.seen.measures import GROUPS, MEASURES
from backend.footage.encode import encode_evenly
from backend.head_model.appearance import paint_texture
from backend.head_model.library import load_head
from backend.head_model.render import HeadRenderer, look_at_head

FRAMES = 6
TRACKER = "flowface-mediapipe"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The open head opens its mouth."""
    head, path = load_head("open"), tmp_path_factory.mktemp("clip") / "mouth.mp4"
    texture, jaw = paint_texture(head), head.expression_basis[head.expression_names.index("jawOpen")]
    with HeadRenderer((320, 320)) as renderer:
        pictures = [
            renderer.render(
                head.template + np.float32(0.8 * t / (FRAMES - 1)) * jaw,
                head.triangles,
                texture=texture,
                corner_uv=head.uv_vertices[head.uv_triangles],
                focal_px=700.0,
                principal_point=(160.0, 160.0),
                world_to_camera=look_at_head(0.75),
            )
            for t in range(FRAMES)
        ]
    encode_evenly(path, pictures, 25.0)
    return path


@pytest.mark.slow
def test_a_clip_is_looked_at_and_drawn(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told = CliRunner().invoke(app, ["evaluate", "--clip", str(clip), "--data", str(tmp_path), "-o", str(out)])
    assert told.exit_code == 0, told.output
    (record,) = json.loads((out / "results.json").read_text())["looks"]["clips"]
    assert (record["clip"], record["frames"], record["seen_frames"], record["lost"]) == ("mouth", FRAMES, FRAMES, False)
    opening = record["measures"]["mouth opening"]
    assert opening["correlation"] > 0.95
    assert 0.6 < opening["slope"] < 1.5
    assert record["measures"]["inner brow left"]["slope"] is None  # it does not move
    tables = (out / "tables.md").read_text()
    assert "## Curves: ours" in tables
    assert "Apple" not in tables
    assert "split" not in tables, "somebody's own clip is of no split"
    sheet = cv2.imread(str(out / "sheets" / f"mouth_{TRACKER}.png"))
    assert sheet.shape[1] > sheet.shape[0] > 700


def test_only_the_asked_split_is_looked_at(shared_data: Path, tmp_path: Path) -> None:
    test, dev = (Looking(shared_data, tmp_path, split) for split in ("test", "dev"))
    names = {looking.split: {path.stem for path in looking.videos()} for looking in (test, dev)}
    assert "lp_d6_extreme_tongue" in names["test"]
    assert "lp_d10_expressive" in names["dev"]
    assert not names["test"] & names["dev"]
    assert test.character is not None
    assert dev.character is None  # the character is a test
    assert not {path.name for path in test.photos()} & {path.name for path in dev.photos()}


def seen(clip: str, slope: float | None) -> dict[str, Any]:
    figures = {"correlation": 0.9, "constant": 1.0, "error": 1.5, "error_moving": 0.5}
    curves = {"contradictions": 0.25, "rest": 2.0, "asymmetry": 0.1, "jitter": 0.01}
    return {
        "clip": clip,
        "tracker": TRACKER,
        "lost": False,
        "frames": 10,
        "curves": curves,
        "network_curves": dict.fromkeys(curves, 0.0) | {"jitter": None},
        "measures": {name: figures | {"slope": slope} for name in MEASURES},
        "scores": {"correlation": 0.8, "slope": 0.5, "error": 0.1, "error_moving": 0.05},
    }


def test_slopes_are_freed_of_the_detectors_damping() -> None:
    looks: dict[str, Any] = {
        "clips": [seen("damped", 0.6), seen("full", 0.75), seen("still", None)],
        "photographs": [{"lost": True}],
        "meaning": [],
        "damping": [
            {"of": "people", "slope": [0.8] * len(MEASURES), "correlation": [1.0] * len(MEASURES)},
            {"of": "open", "slope": [0.6] * len(MEASURES), "correlation": [1.0] * len(MEASURES)},
        ],
    }
    looks["clips"][2]["measures"] = {n: f | {"correlation": None} for n, f in looks["clips"][2]["measures"].items()}
    curves, motion, place, *_ = look_sheets(looks)
    assert curves.rows[0][3:] == ("0.250 / 0.000", "2.00 / 0.00", "0.100 / 0.000", "0.0100 / –")
    assert [row[0] for row in motion.rows] == ["damped", "full", "still", "mean"]
    assert {row[2:] for row in motion.rows} == {
        tuple(text for _ in GROUPS) for text in ("0.80 (0.90)", "1.00 (0.90)", "–", "0.90 (0.90)")
    }
    assert place.rows[0][2] == "1.0 / 1.5 / 0.5"
