"""The three commands on one rendered performance of the open head, by its own tracker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from backend.errors import UserError
from backend.evaluation.challenges.cli import app
from backend.evaluation.challenges.landmarks.pts import pts_text
from backend.footage.encode import encode_evenly
from backend.head_model.library import load_head
from backend.head_model.model import surface_positions
from backend.synthesis.clip import render_performance
from backend.synthesis.performance import demo_performance, world_vertices

FRAMES = 4
CATEGORY_3 = "410"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The performance in the layouts of 300-W, 300-VW and a take whose marks are true points of its cheeks and brow."""
    root, head = tmp_path_factory.mktemp("challenges"), load_head("open")
    performance = demo_performance(head, frame_count=FRAMES)
    vertices = world_vertices(head, performance).astype(np.float64)

    def seen(points: np.ndarray) -> np.ndarray:
        return points[..., :2] / points[..., 2:] * performance.focal_px[:, None, None] + performance.principal_point

    landmarks = seen(surface_positions(head.landmarks["ibug68"], head.triangles, vertices))
    pictures = list(render_performance(head, performance))
    photographs, video, take = root / "300w" / "ibug", root / "300vw" / CATEGORY_3, root / "take"
    for folder in (photographs, video / "annot", take):
        folder.mkdir(parents=True)
    for n in (0, 3):
        cv2.imwrite(str(photographs / f"image_{n}.png"), pictures[n][..., ::-1])
        (photographs / f"image_{n}.pts").write_text(pts_text(landmarks[n]))
    cv2.imwrite(str(photographs / "image_5.png"), pictures[0][..., ::-1])  # whose points lie beside the face
    (photographs / "image_5.pts").write_text(pts_text(landmarks[0] + 400))
    encode_evenly(video / "vid.avi", pictures, performance.frame_rate)
    for n in range(FRAMES):
        (video / "annot" / f"{n + 1:06d}.pts").write_text(pts_text(landmarks[n]))
    (video / "annot" / "000009.pts").write_text(pts_text(landmarks[0]))  # of a frame that the video lacks
    encode_evenly(take / "clip.mp4", pictures, performance.frame_rate)
    wanted = np.array([[0.032, -0.035, 0.1], [-0.032, -0.035, 0.1], [0.0, 0.06, 0.1]])  # in front of cheeks, forehead
    middle = head.template[head.regions["face"]].mean(axis=0)
    face = np.flatnonzero(head.regions["face"] & head.regions["skin"])
    at = [face[np.abs(head.template[face, :2] - (middle + w)[:2]).sum(axis=1).argmin()] for w in wanted]
    places = seen(vertices[:, at])
    lines = [f"mark {k},{n + 1},{x},{y}" for n in range(FRAMES) for k, (x, y) in enumerate(places[n])]
    (take / "marks.csv").write_text("\n".join(["mark,frame,x,y", *lines]))
    return root


def run(*words: str | Path) -> dict[str, Any]:
    told = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    results: dict[str, Any] = json.loads((Path(words[-1]) / "results.json").read_text())
    return results


def summary(results: dict[str, Any], name: str, measure: str) -> dict[str, Any]:
    (found,) = [r for r in results["summary"] if (r["set"], r["measure"]) == (name, measure)]
    return found


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("what was finished is tracked again")


@pytest.mark.slow
def test_300w_measures_pictures_and_goes_on_where_it_was(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = run("300w", data / "300w", "--partial", "-o", tmp_path)
    inner = summary(results, "ibug", "inner")
    assert (inner["count"], inner["lost"]) == (3, 1)
    assert [record["lost"] for record in results["records"]] == [False, False, True]
    assert 0 < inner["mean_percent"] < 4
    assert 0 < summary(results, "ibug", "boundary")["mean_percent"] < 6
    assert results["aligner"] == "mediapipe"
    assert "| ibug: inner 51 | 3 | 1 |" in (tmp_path / "tables.md").read_text()
    monkeypatch.setattr("backend.evaluation.challenges.landmarks.tracking.align_footage", refuse)
    again = run("300w", data / "300w", "--partial", "--normalise", "inter-pupil", "-o", tmp_path)
    assert again["records"] == results["records"]
    assert summary(again, "ibug", "inner")["mean_percent"] > inner["mean_percent"]  # pupils are closer together


@pytest.mark.slow
def test_300vw_tracks_videos_as_sequences(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = run("300vw", data / "300vw", "--category", "3", "--partial", "-o", tmp_path)
    inner = summary(results, "category 3", "inner")
    assert (inner["count"], inner["lost"]) == (FRAMES + 1, 1)
    assert 0 < inner["mean_percent"] < 4
    assert results["records"][0]["not_in_the_video"] == 1
    monkeypatch.setattr("backend.evaluation.challenges.landmarks.tracking.align_footage", refuse)
    assert run("300vw", data / "300vw", "--partial", "-o", tmp_path)["records"] == results["records"]


@pytest.mark.slow
def test_marks_are_bound_and_found_again(data: Path, tmp_path: Path) -> None:
    results = run("marks", data / "take", "-o", tmp_path)
    (record,) = results["records"]
    assert (record["take"], record["marks"], record["bound"]) == ("take", 3, 3)
    assert record["places"] == 3 * (FRAMES - 1)
    assert 0 < record["error_percent"] < 3
    assert record["stability"] >= 1
    assert "| I2ZNet, adapted (paper) |" in (tmp_path / "tables.md").read_text()


def test_what_is_wrong_is_a_sentence_before_anything_is_tracked(data: Path, tmp_path: Path) -> None:
    for words, sentence in (
        (["300w", data / "300w"], "132 of the 135 pictures of ibug"),
        (["300w", data / "300w", "--normalise", "nose"], "cannot be told in “nose”"),
        (["300w", data / "300w", "--partial", "--aligner", "dlib"], "no aligner “dlib”"),
        (["300vw", data / "300vw"], "lacks parts of 300-VW's data: "),
        (["marks", data / "300w"], r"marks\.csv or marks\.json"),
    ):
        told = CliRunner().invoke(app, [str(word) for word in [*words, "-o", tmp_path]])
        assert isinstance(told.exception, UserError), told.output
        with pytest.raises(UserError, match=sentence):
            raise told.exception
    broken = tmp_path / "300vw" / CATEGORY_3
    (broken / "annot").mkdir(parents=True)
    (broken / "vid.avi").touch()
    (broken / "annot" / "000001.pts").write_text("version: 1\n{")
    told = CliRunner().invoke(app, ["300vw", str(tmp_path / "300vw"), "--partial", "-o", str(tmp_path / "out")])
    assert isinstance(told.exception, UserError)
    assert "000001.pts, line 2: n_points is missing" in told.exception.message
