"""``flowface jobs``: the same words for jobs of a backend that runs and for those in a folder."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from backend.cli import app
from backend.errors import UserError
from backend.files import write_npz
from backend.server.app import Server
from backend.server.jobs import JobStore
from backend.track.io import load_track, save_track
from protocol import messages as m
from tests.backend.server.conftest import REPOSITORY, running, spec
from tests.backend.server.runners import _track as smile

FRAMES = 4


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    """A folder with a job that is done and, newer, one that failed and one that waits."""
    store = JobStore(tmp_path / "jobs")
    for name, state in (("done", m.JobState.DONE), ("failed", m.JobState.FAILED), ("waits", m.JobState.QUEUED)):
        job = store.create(spec("quick", name))
        problem = m.Problem("no_face", "No face was found.", "Look.") if state is m.JobState.FAILED else None
        if state is m.JobState.DONE:
            folder = store.folder(job.job_id)
            save_track(smile(spec("quick"), FRAMES), folder / "track.npz")
            write_npz(folder / "alignments.npz", {"none": np.zeros(1)})
            (folder / "report.json").write_text('{"frames": 4}')
        store.save(dataclasses.replace(job, state=state, problem=problem))
    store.close()
    return store.root


def told(*words: object, answer: str = "", fails: type[BaseException] | None = None) -> Result:
    """What ``flowface jobs`` does and says."""
    result = CliRunner().invoke(app, ["jobs", *map(str, words)], input=answer)
    if fails is None:
        assert result.exit_code == 0, (result.output, result.exception)
    else:
        assert isinstance(result.exception, fails), (result.output, result.exception)
    return result


def listed(*where: object) -> dict[str, dict[str, object]]:
    lines = told("list", "--json", *where).stdout.splitlines()
    return {str(job["name"]): job for job in map(json.loads, lines)}


def test_a_folder_of_jobs_can_be_looked_through(jobs: Path) -> None:
    where = ("--jobs-dir", jobs)
    found = listed(*where)
    assert list(found) == ["waits", "failed", "done"] and found["done"]["bytes"] > 1000
    table = told(*where).stdout
    assert all(str(job["job_id"]) in table for job in found.values()) and "done, new" in table
    shown = told("show", found["failed"]["job_id"], *where).stdout
    assert "No face was found." in shown and "Look." in shown
    assert json.loads(told("show", "last", "--json", *where).stdout)["name"] == "waits"


def test_a_job_is_found_by_a_beginning_that_only_it_has(jobs: Path) -> None:
    ids = sorted(path.name for path in jobs.iterdir())
    common = next(n for n in range(len(ids[0])) if len({name[: n + 1] for name in ids}) > 1)
    own = next(n for n in range(common, len(ids[0])) if sum(name.startswith(ids[0][:n]) for name in ids) == 1)
    assert ids[0] in told("show", ids[0][:own], "--jobs-dir", jobs).stdout
    several = told("show", ids[0][:common], "--jobs-dir", jobs, fails=UserError).exception
    assert str(several).startswith("3 jobs begin with") and ids[2] in str(several)
    for nothing in ("", "2", "x" * 1000, "../jobs"):
        if nothing != "2":
            told("show", nothing, "--jobs-dir", jobs, fails=UserError)


def test_a_result_is_fetched_over_that_of_another(jobs: Path, tmp_path: Path) -> None:
    where, out = ("--jobs-dir", jobs), tmp_path / "out"
    out.mkdir()
    for name in ("track.npz", "track_2.npz", "notes.txt"):  # of an earlier take, and the user's own
        (out / name).touch()
    done = listed(*where)["done"]["job_id"]
    told("fetch", done, "--out", out, "--no-blend", "--no-overlay", *where)
    names = {path.name for path in out.iterdir()}
    assert names == {"track.npz", "alignments.npz", "report.json", "notes.txt"}
    assert len(load_track(out / "track.npz").frames) == FRAMES and listed(*where)["done"]["fetched"]
    failed = told("fetch", listed(*where)["failed"]["job_id"], "--out", out, *where, fails=UserError)
    assert "No face was found." in str(failed.exception)


def test_jobs_are_removed_after_a_question_and_one_that_waits_is_cancelled_first(jobs: Path) -> None:
    where = ("--jobs-dir", jobs)
    ids = {name: job["job_id"] for name, job in listed(*where).items()}
    told("remove", ids["done"], ids["failed"], *where, answer="n\n", fails=SystemExit)
    assert "cancel" in str(told("remove", ids["failed"], ids["waits"], "-y", *where, fails=UserError).exception).lower()
    assert len(listed(*where)) == 3
    told("remove", ids["done"], ids["failed"], *where, answer="y\n")
    assert told("cancel", "last", *where).stdout.endswith("is cancelled\n")
    told("remove", "last", "--yes", *where)
    assert listed(*where) == {} and "no jobs" in told(*where).stdout


@pytest.mark.slow
def test_a_backends_jobs_are_followed_fetched_and_removed(
    jobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    with running(Server(jobs, "tcp://127.0.0.1:*", runner="tests.backend.server.runners:run")) as server:
        where = ("--endpoint", server.endpoint)
        assert told("follow", "last", *where).stdout.endswith("is done\n")
        ids = {name: job["job_id"] for name, job in listed(*where).items()}
        assert told("follow", ids["failed"], *where, fails=UserError).exception.code == "no_face"
        told("fetch", ids["done"], "--out", tmp_path / "out", "--no-blend", "--no-overlay", *where)
        assert (tmp_path / "out" / "track.npz").read_bytes() == (jobs / str(ids["done"]) / "track.npz").read_bytes()
        told("remove", *ids.values(), "--yes", *where)
        assert listed(*where) == {}
