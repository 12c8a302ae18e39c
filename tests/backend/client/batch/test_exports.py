"""A batch that also exports its clips: done ones get what they lack, and what fails is that clip's problem."""

from __future__ import annotations

import csv
import json
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from backend.client.batch.clips import read_clips
from backend.client.batch.executors import Attempt, Ending, Outcome
from backend.client.batch.ledger import ClipRecord, ClipState
from backend.client.batch.run import Batch
from backend.client.batch.terminal import batch_with_progress
from backend.client.request import TrackRequest
from backend.errors import UserError
from backend.track.io import load_track, save_track
from tests.blender.runners import FRAMES, performance


class Performing(AbstractContextManager["Performing", None]):
    """An ``Executor`` that leaves a performance for every clip; that of “changed” is of a head that nobody has.

    Footage that is called “two” shows two people.
    """

    slots = 2

    def __init__(self) -> None:
        self.tracked: list[str] = []
        self._left: list[Outcome] = []

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, attempt: Attempt) -> None:
        self.tracked.append(attempt.name)
        track = performance(attempt.spec.footage)
        if attempt.name == "changed":
            track = replace(track, head_hash="0" * 16)
        others = [{}] if attempt.name == "two" else []
        for number in range(1 + len(others)):
            save_track(track, attempt.folder / ("track.npz" if number == 0 else "track_2.npz"))
        (attempt.folder / "report.json").write_text(json.dumps({"frames": FRAMES, "others": others}))
        self._left.append(Outcome(attempt.name, Ending.DONE, seconds=1.0))

    def wait(self, seconds: float) -> list[Outcome]:  # noqa: ARG002 - never waits
        found, self._left = self._left, []
        return found


def run(tmp_path: Path, *exports: str) -> tuple[Performing, dict[str, ClipRecord]]:
    """Another run of the batch that a table lists, whose clip “own” has exports of its own."""
    table, executor = tmp_path / "clips.csv", Performing()
    names = ("changed", "two", "own")
    for name in names:
        (tmp_path / f"{name}.mp4").write_bytes(b"x")
    table.write_text("footage,export\nchanged.mp4,\ntwo.mp4,\nown.mp4,arkit_json|chan\n")
    out = tmp_path / "out"
    records = batch_with_progress(Batch(read_clips(table, TrackRequest((), out), exports), out), executor)
    return executor, {record.name: record for record in records}


def exported(tmp_path: Path, name: str) -> list[str]:
    folder = tmp_path / "out" / name / "export"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_exports_of_clips_and_what_becomes_of_those_that_fail(tmp_path: Path) -> None:
    executor, records = run(tmp_path, "arkit_csv", "chan")
    assert sorted(executor.tracked) == ["changed", "own", "two"]
    assert {record.state for record in records.values()} == {ClipState.DONE}
    assert exported(tmp_path, "own") == ["arkit_json.json", "chan/README.txt", "chan/camera.chan"]
    folders = [f"chan{end}/{file}" for end in ("", "_2") for file in ("README.txt", "camera.chan")]
    assert exported(tmp_path, "two") == ["arkit_csv.csv", "arkit_csv_2.csv", *folders]
    assert exported(tmp_path, "changed") == [], "nothing that is half there"
    problem = records["changed"].problem
    assert (
        "The export “arkit_csv” could not be written: The head" in problem and " | The export “chan” could" in problem
    )
    with (tmp_path / "out" / "results.csv").open(newline="") as file:
        rows = {row["clip"]: row for row in csv.DictReader(file)}
    assert rows["changed"]["problem"] == problem and rows["own"]["problem"] == rows["two"]["problem"] == ""

    track = tmp_path / "out" / "changed" / "track.npz"
    save_track(replace(load_track(track), head_hash=performance("").head_hash), track)
    (tmp_path / "out" / "two" / "export" / "arkit_csv.csv").unlink()
    kept = tmp_path / "out" / "two" / "export" / "chan" / "camera.chan"
    kept.write_text("mine")
    executor, records = run(tmp_path, "arkit_csv", "chan", "csv")
    assert executor.tracked == [] and records["changed"].problem == ""
    assert exported(tmp_path, "changed") == ["arkit_csv.csv", "chan/README.txt", "chan/camera.chan", "csv.csv"]
    assert {"arkit_csv.csv", "csv.csv", "csv_2.csv"} <= {*exported(tmp_path, "two")} and kept.read_text() == "mine"
    assert (tmp_path / "out" / "two" / "export" / "csv.csv").read_text().count("\n") == 1 + FRAMES
    assert run(tmp_path)[1]["changed"].problem == "", "it is remembered that all is well"


def test_an_export_that_nobody_knows_is_told_before_the_work(tmp_path: Path) -> None:
    table = tmp_path / "clips.csv"
    (tmp_path / "a.mp4").write_bytes(b"x")
    table.write_text("footage,export\na.mp4,csv|dance\n")
    with pytest.raises(UserError, match=r"Line 2: There is no export “dance”; there is “csv”.*“alembic”") as caught:
        read_clips(table, TrackRequest((), tmp_path / "out"))
    assert caught.value.code == "bad_list"
