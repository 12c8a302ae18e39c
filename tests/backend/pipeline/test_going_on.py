"""A job that dies goes on where it was, and its result is that of a job that was never disturbed, to the bit."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.pipeline import runners
from backend.pipeline.take_files import track_file
from backend.pipeline.track_job import CHUNKS, STEPS, run_job
from backend.progress import Attempt, JobProgress
from backend.track.io import load_track
from protocol.messages import SolveOptions, TrackJob, ViewSpec
from tests.backend.alignment.shots import portrait
from tests.backend.footage.clips import write_video

FRAMES = 5


class Killed(BaseException):
    """What no part of a job expects."""


def run(spec: TrackJob, folder: Path, dies_at: str = "", calls: int = 1) -> Counter[str]:
    """Do a job, or die in a stage when it tells its progress for so many times; how often each stage told its own."""
    told: Counter[str] = Counter()

    def hear(progress: JobProgress) -> None:
        told[progress.stage] += 1
        if dies_at and progress.stage.startswith(dies_at) and told[progress.stage] >= calls:
            raise Killed

    folder.mkdir(exist_ok=True)
    try:
        run_job(spec, folder, on_progress=hear, should_cancel=lambda: False, on_partial=lambda _: None)
    except Killed:
        return told
    assert not dies_at, f"it did not get to “{dies_at}”: {told}"
    return told


def results(folder: Path) -> dict[str, Any]:
    """Everything in a folder but times."""
    found: dict[str, Any] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".npz":
            with np.load(path) as data:
                found |= {f"{path.name}/{name}": data[name].tobytes() for name in data.files if name != "header"}
        elif path.suffix == ".json":
            report = json.loads(path.read_text())
            for one in (report, *report["others"]):
                del one["seconds"], one["frames_per_second"]
            found[path.name] = report
        else:
            found[path.name] = path.read_bytes()
    return found


def same_as_undisturbed(spec: TrackJob, folder: Path) -> None:
    run(spec, folder.with_name("undisturbed"))
    expected, found = results(folder.with_name("undisturbed")), results(folder)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []


def test_two_cameras(tmp_path: Path) -> None:
    face = portrait(FRAMES)
    views = []
    for name, shift in (("left", 0), ("right", 9)):
        pictures = [np.roll(picture, shift, axis=1) for picture in face]
        views.append(ViewSpec(str(write_video(tmp_path / f"{name}.mp4", pictures, options={"crf": "18"})), name))
    spec, job = TrackJob(tuple(views), options=SolveOptions(match_skin=False, texture=False)), tmp_path / "job"

    told = run(spec, job, "finding the face in “right”", 5)
    assert told["finding the face in “left”"] == FRAMES
    (job / f".report.json.{0xABCD1234:x}").write_text("half-written by the run that died")
    told = run(spec, job, "writing the result")
    assert "finding the face in “left”" not in told and told["finding the face in “right”"] == FRAMES
    told = run(spec, job)
    assert set(told) == {"opening the footage", "writing the result"}
    same_as_undisturbed(spec, job)
    assert not (job / CHUNKS).exists() and not (job / STEPS).exists()


def test_several_faces_whose_skin_is_followed(tmp_path: Path) -> None:
    other = [np.ascontiguousarray(picture[:, ::-1]) for picture in portrait(FRAMES, step=0.006)]
    pictures = [np.hstack(pair) for pair in zip(portrait(FRAMES), other, strict=True)]
    path = write_video(tmp_path / "both.mp4", pictures, options={"crf": "18"})
    options = SolveOptions(texture=False, match_skin=True)
    spec, job = TrackJob((ViewSpec(str(path)),), all_faces=True, options=options), tmp_path / "job"
    following = "following the skin from frame to frame (head {} of 2)"
    told = run(spec, job, following.format(2), 2)
    assert told["finding the faces"] == FRAMES and told["fitting the head (head 1 of 2)"] and told[following.format(1)]
    told = run(spec, job)
    assert not told["finding the faces"] and not told["fitting the head (head 1 of 2)"]
    assert not told[following.format(1)] and told[following.format(2)]
    same_as_undisturbed(spec, job)
    report = json.loads((job / "report.json").read_text())
    for number, one in enumerate((report, *report["others"]), 1):
        found, track = one["matching_in_time"], load_track(job / track_file(number))
        assert found["frames"] == FRAMES and found["after"]["mean_px"] < found["before"]["mean_px"]
        assert found["after"]["mean_percent_iod"] == pytest.approx(track.skin_error_percent_iod.mean(), abs=1e-3)
        assert track.provenance["skin_matched"] == "in time" and np.isfinite(track.expression).all()


def test_what_another_job_left_is_not_believed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "face.mp4", portrait(3), options={"crf": "18"})
    spec = TrackJob((ViewSpec(str(path)),), options=SolveOptions(texture=False))
    run(spec, tmp_path / "job", "fitting the head", 2)
    os.utime(path, ns=(0, 0))
    told = run(spec, tmp_path / "job", "fitting the head", 2)
    assert told["finding the face"] == 3
    told = run(replace(spec, frames=(1, 2)), tmp_path / "job")
    assert told["finding the face"] == 2 and told["fitting the head"] > 2


def test_with_less_memory_the_result_is_the_same_and_the_report_says_so(tmp_path: Path) -> None:
    path = write_video(tmp_path / "face.mp4", portrait(4), options={"crf": "18"})
    spec = TrackJob((ViewSpec(str(path)),), options=SolveOptions(texture=False))
    found = []
    for smaller in (0, 2):
        folder = tmp_path / str(smaller)
        folder.mkdir()
        attempt = Attempt(number=1 + smaller, smaller=smaller)
        runners.run_job(spec, folder, attempt=attempt, on_progress=lambda _: None, should_cancel=lambda: False)
        found.append(results(folder))
    said = [one["report.json"].pop("warnings") for one in found]
    assert found[0] == found[1]
    assert said[0] == [] and "less of it" in said[1][0]
