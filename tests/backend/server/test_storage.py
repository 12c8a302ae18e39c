"""The room that jobs take: told, and made by deleting the oldest that nobody needs any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.client.connection import Client
from backend.errors import UserError
from backend.server.app import Server
from backend.server.jobs import JobStore
from backend.server.storage import prune, storage
from protocol import messages as m
from protocol.codec import ProtocolError
from tests.backend.server.conftest import spec

BULK = 100_000


def job(store: JobStore, state: m.JobState, *, fetched: bool = False) -> str:
    """A job in this state that takes a little more than ``BULK`` bytes."""
    status = store.create(spec("quick"))
    (store.folder(status.job_id) / "proxy").mkdir()
    (store.folder(status.job_id) / "proxy" / "camera.mp4").write_bytes(bytes(BULK))
    status = m.JobStatus(status.job_id, status.name, state)
    store.save(status)
    if fetched:
        store.mark_fetched(status)
    return status.job_id


def test_the_oldest_that_was_fetched_or_failed_goes_first(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs")
    fetched, failed, waiting, running = (
        job(store, m.JobState.DONE, fetched=True),
        job(store, m.JobState.FAILED),
        job(store, m.JobState.DONE),
        job(store, m.JobState.RUNNING),
    )
    (tmp_path / "jobs" / "keep me.txt").touch()
    before = storage(store)
    assert before.jobs == 4 and 4 * BULK < before.bytes < 5 * BULK and before.bytes_free > 0
    assert prune(store, before.bytes).deleted == 0
    once = prune(store, before.bytes - 1)
    assert (once.deleted, once.jobs) == (1, 3) and not (store.root / fetched).exists()
    left = prune(store, 0)
    assert (left.deleted, left.jobs) == (1, 2) and not (store.root / failed).exists()
    assert (store.root / waiting).is_dir() and (store.root / running).is_dir()
    assert (store.root / "keep me.txt").is_file()


def test_a_damaged_job_is_left_alone(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs")
    damaged = job(store, m.JobState.FAILED)
    (store.root / damaged / "state.json").write_bytes(b"{")
    assert prune(store, 0).deleted == 0 and (store.root / damaged).is_dir()


def test_less_than_nothing_is_refused() -> None:
    with pytest.raises(ProtocolError, match="below 0"):
        m.Prune(-1)


@pytest.mark.slow
def test_over_the_socket_a_result_must_be_fetched_before_it_may_go(client: Client, tmp_path: Path) -> None:
    submitted = client.submit(spec("partial"))
    for name in ("second", "end"):
        (tmp_path / "jobs" / submitted.job_id / name).touch()
    status = client.wait(submitted.job_id)
    assert status.state is m.JobState.DONE and not status.fetched
    assert client._ask(m.Prune(0), m.StorageReply).deleted == 0
    client.result(status.job_id)
    assert client.jobs()[0].fetched
    reply = client._ask(m.Prune(0), m.StorageReply)
    assert (reply.deleted, reply.jobs, reply.folder) == (1, 0, str(tmp_path / "jobs"))
    assert client._ask(m.Storage(), m.StorageReply).bytes == 0


def test_a_device_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no device “gpu”"):
        Server(tmp_path / "jobs", "tcp://127.0.0.1:*", device="gpu")
