"""Clips tracked by a backend of this machine."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.client.batch.clips import read_clips
from backend.client.batch.executors import Running
from backend.client.batch.ledger import ClipState, Ledger
from backend.client.batch.local import LocalBackend
from backend.client.batch.run import Batch, BatchRun
from backend.client.batch.terminal import batch_with_progress
from backend.client.connection import Client
from backend.client.request import TrackRequest
from backend.server.app import Server
from backend.track.io import load_track
from protocol.messages import JobState
from protocol.options import SolveOptions
from tests.backend.server.conftest import REPOSITORY, running
from tests.backend.server.conftest import start as start

PLAIN = SolveOptions(texture=False, personal_actions=False)


@pytest.mark.slow
def test_real_clips_are_tracked_and_the_next_run_tracks_only_what_is_left(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    clips, out = tmp_path / "clips", tmp_path / "out"
    clips.mkdir()
    (clips / "frown.mp4").symlink_to(shared_data / "clips" / "lp_d3_frown_gaze.mp4")
    (clips / "single.mp4").symlink_to(shared_data / "clips" / "pyfeat_single_face.mp4")
    (clips / "broken.mp4").write_bytes(b"no video at all")
    defaults = TrackRequest((), out, frames=(11, 14), options=PLAIN)
    with running(Server(tmp_path / "jobs", "tcp://127.0.0.1:*")) as server:
        batch = Batch(read_clips(clips, defaults), out)
        broken, frown, single = batch_with_progress(batch, LocalBackend(server.endpoint))
        assert (frown.state, single.state, broken.state) == (ClipState.DONE, ClipState.DONE, ClipState.FAILED)
        assert frown.frames_tracked == 4 and 0 < (frown.error_percent_iod or 0) < 4 and "broken.mp4" in broken.problem
        assert load_track(out / "single" / "track.npz").tracked.all() and not (out / "broken").exists()
        before = (out / "frown" / "track.npz").stat().st_ino
        again = batch_with_progress(batch, LocalBackend(server.endpoint))
        assert [record.attempts for record in again] == [2, 1, 1]
        with Client(server.endpoint) as client:
            assert len(client.jobs()) == 4, "done clips are not submitted again, the failed one is"
    assert (out / "frown" / "track.npz").stat().st_ino == before
    with (out / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["failed", "done", "done"]
    assert rows[1]["reprojection_error_percent_iod"] == f"{again[1].error_percent_iod:.4f}"
    assert "3 clips: 2 done, 1 failed" in capsys.readouterr().out


def test_ctrl_c_calls_off_what_runs_and_keeps_the_rest_for_the_next_run(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    listed = tmp_path / "clips.csv"
    (tmp_path / "until-cancelled.mp4").write_bytes(b"x")
    listed.write_text("name,footage\nruns,until-cancelled.mp4\nwaits,until-cancelled.mp4\n")
    clips = read_clips(listed, TrackRequest((), tmp_path / "out"))

    def on_running(news: Running) -> None:
        if news.stage == "working":
            raise KeyboardInterrupt

    server = start()
    with Ledger(tmp_path / "out") as ledger:
        run = BatchRun(Batch(clips, tmp_path / "out"), ledger, on_running)
        with pytest.raises(KeyboardInterrupt):
            run.track(LocalBackend(server.endpoint))
        assert {record.state for record in run.records.values()} == {ClipState.PENDING}
        runs = ledger.record("runs")
        assert runs is not None and runs.attempts == 1, "the next run's attempt is another, and so is its job"
        assert not any((tmp_path / "out" / clip.name).exists() for clip in clips)
    with Client(server.endpoint) as client:
        assert {job.state for job in client.jobs()} == {JobState.CANCELLED}
