"""The aligners that a job may name, and a job that names the network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from skimage.data import astronaut
from skimage.io import imsave
from typer.testing import CliRunner

from backend.alignment.flowface import weights
from backend.alignment.flowface.framing import SIDE
from backend.alignment.flowface.weights_file import save_weights
from backend.alignment.registry import ALIGNERS, available_aligners, find_aligner
from backend.cli import app
from backend.errors import UserError
from backend.head_model.dense_points import DENSE
from backend.head_model.library import load_head
from backend.observations.io import load_alignment
from backend.pipeline.track_job import run_job
from protocol.messages import SolveOptions, TrackJob, ViewSpec
from tests.backend.alignment.flowface.networks import constant_network


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Weights that lay the atlas over whatever crop they are shown."""
    save_weights(tmp_path / "small.safetensors", constant_network(), {"sigma_scale": "2.0"})
    return tmp_path / "small.safetensors"


@pytest.fixture
def portrait(tmp_path: Path) -> Path:
    imsave(tmp_path / "astronaut.png", astronaut(), check_contrast=False)
    return tmp_path / "astronaut.png"


def test_the_network_is_offered_where_it_has_weights(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(weights.VARIABLE, str(saved.with_name("absent")))
    assert [aligner.name for aligner in available_aligners()] == ["mediapipe"]
    monkeypatch.setenv(weights.VARIABLE, str(saved))
    offered = [aligner.name for aligner in available_aligners()]
    assert offered == list(ALIGNERS) == ["mediapipe", "flowface", "combined"]
    assert all(aligner.title and aligner.good_at and aligner.speed for aligner in available_aligners())


def test_aligners_are_found_by_name(saved: Path) -> None:
    head = load_head()
    for name in ALIGNERS:
        aligner = find_aligner(name, head, saved)
        assert aligner.name == name
        assert all(id.name in head.landmarks for id in aligner.point_sets)
    with pytest.raises(UserError, match="no aligner “dlib”; there are “mediapipe”, “flowface”, “combined”"):
        find_aligner("dlib", head)


def test_the_command_lines_aligner_is_checked_before_anything_is_done(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["track", "a.mp4", "--out", str(tmp_path / "out"), "--aligner", "dlib"])
    assert isinstance(result.exception, UserError) and result.exception.code == "unknown_aligner"
    assert not (tmp_path / "out").exists()
    for command in ("track", "compare", "evaluate"):
        shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"}).output
        assert "--aligner" in shown and "--weights" in shown


def test_what_cannot_be_a_scale_of_sigma_is_refused(tmp_path: Path) -> None:
    save_weights(tmp_path / "odd.safetensors", constant_network(), {"sigma_scale": "-1"})
    with pytest.raises(UserError, match="scaled"):
        find_aligner("flowface", load_head(), tmp_path / "odd.safetensors")


def test_a_job_runs_on_the_networks_points(saved: Path, portrait: Path, tmp_path: Path) -> None:
    options = SolveOptions(weights=str(saved), texture=False)
    spec = TrackJob((ViewSpec(str(portrait)),), aligner="flowface", options=options)
    track, report = run_job(spec, tmp_path, on_progress=lambda _: None, should_cancel=lambda: False)
    alignment = load_alignment(tmp_path / "alignments.npz")
    assert (alignment.aligner, [id.name for id in alignment.ids]) == ("flowface", [DENSE])
    assert alignment.mu.shape == (1, len(load_head().landmarks[DENSE]), 2)
    assert report["aligner"] == "flowface" == track.provenance["aligner"]
    assert json.loads((tmp_path / "report.json").read_text())["options"]["weights"] == str(saved)
    assert track.tracked.all()
    ((size,),) = alignment.boxes[:, 2:3].tolist()
    assert alignment.sigma.mean() == pytest.approx(2 * 0.3 * size * SIDE / 16, rel=0.2)  # of 16 cells a crop, scaled


def test_a_job_without_weights_is_a_sentence(portrait: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(weights.VARIABLE, str(tmp_path / "absent.safetensors"))
    for options in (SolveOptions(), SolveOptions(weights=str(tmp_path / "absent.safetensors"))):
        spec = TrackJob((ViewSpec(str(portrait)),), aligner="flowface", options=options)
        with pytest.raises(UserError) as caught:
            run_job(spec, tmp_path, on_progress=lambda _: None, should_cancel=lambda: False)
        assert caught.value.code == "weights_missing"
