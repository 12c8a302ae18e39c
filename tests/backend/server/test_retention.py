"""What is kept of jobs: bounds of size and age, and what they never touch."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backend.client.connection import Client
from backend.server.app import Server
from backend.server.jobs import JobStore
from backend.server.retention import Keeper, Retention
from backend.server.storage import prune
from protocol import messages as m
from tests.backend.server.conftest import running, spec
from tests.backend.server.test_jobs_survive import wait_until

BULK = 100_000


def job(store: JobStore, state: m.JobState, *, fetched: bool = False, days: int = 0, asked: m.Job | None = None) -> str:
    """A job of so many days ago in this state, that takes a little more than ``BULK`` bytes."""
    status = store.create(asked or spec("quick"))
    (store.folder(status.job_id) / "track.npz").write_bytes(bytes(BULK))
    store.save(replace(status, state=state, fetched=fetched))
    store.let_go(status.job_id)
    old = f"{datetime.now(UTC) - timedelta(days=days):%Y%m%d-%H%M%S}{status.job_id[15:]}"
    store.folder(status.job_id).rename(store.root / old)
    store.save(replace(status, job_id=old, state=state, fetched=fetched))
    return old


def tidy(store: JobStore, max_bytes: float | None, days: float | None = None) -> None:
    age = None if days is None else timedelta(days=days)
    Keeper(store, Retention(max_bytes, age), lambda: False).tidy()


def test_by_size_the_oldest_goes_that_somebody_fetched_or_that_has_no_result(tmp_path: Path) -> None:
    store = JobStore(tmp_path)
    unfetched = job(store, m.JobState.DONE, days=9)
    running_ = job(store, m.JobState.RUNNING, days=8)
    fetched, failed = job(store, m.JobState.DONE, fetched=True, days=7), job(store, m.JobState.FAILED, days=6)
    latest = job(store, m.JobState.DONE, fetched=True)
    tidy(store, 5.5 * BULK)
    assert store.names() == [unfetched, running_, fetched, failed, latest]
    tidy(store, 4.5 * BULK)
    assert store.names() == [unfetched, running_, failed, latest], "only as much as is needed"
    tidy(store, 0)
    assert store.names() == [unfetched, running_]


def test_by_age_all_that_is_over_goes(tmp_path: Path) -> None:
    store = JobStore(tmp_path)
    old, waiting = job(store, m.JobState.DONE, days=31), job(store, m.JobState.QUEUED, days=31)
    young = job(store, m.JobState.FAILED, days=29)
    tidy(store, None)
    assert store.names() == sorted([old, waiting, young])
    tidy(store, None, days=30)
    assert store.names() == sorted([waiting, young])


@pytest.mark.parametrize("by", ["age", "size", "request"])
def test_what_a_waiting_job_starts_from_is_kept(tmp_path: Path, by: str) -> None:
    store = JobStore(tmp_path)
    parent = job(store, m.JobState.DONE, fetched=True, days=31)
    child = job(store, m.JobState.QUEUED, days=1, asked=m.ExportJob(parent, "csv"))
    if by == "request":
        prune(store, 0)
    else:
        tidy(store, 0 if by == "size" else None, 30 if by == "age" else None)
    assert store.names() == [parent, child]


@pytest.mark.slow
@pytest.mark.usefixtures("start")
def test_a_backend_keeps_to_its_bounds_from_its_start_and_after_each_job(tmp_path: Path) -> None:
    store = JobStore(tmp_path)
    old = job(store, m.JobState.FAILED, days=31)
    server = Server(
        tmp_path, "tcp://127.0.0.1:*", runner="tests.backend.server.runners:run", retention=Retention.of(1e-6, 30)
    )
    with running(server), Client(server.endpoint) as client:
        wait_until(lambda: old not in store.names())
        failed = client.submit(spec("user-error")).job_id
        assert client.wait(failed).state is m.JobState.FAILED
        wait_until(lambda: failed not in store.names())
        done = client.submit(spec("quick")).job_id
        assert client.wait(done).bytes > 0
        assert client.status(done).state is m.JobState.DONE, "nobody has fetched it"
