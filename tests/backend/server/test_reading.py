"""What is read in other processes: no file, however bad, keeps the serving loop or another client's list waiting."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil  # type: ignore[import-untyped]
import pytest
import zmq

from backend.client.connection import Client
from backend.errors import UserError
from backend.head_model import library
from backend.head_model.io import save_head
from backend.server import process, reading
from backend.server.app import Server
from backend.server.door import Peer
from backend.server.jobs import JobStore
from backend.server.lists import MAX_LISTED, JobLists, bounded
from backend.server.reading import Reading
from backend.server.reading_link import ReadHeads, ReadJobs, ReadResult, ReadStorage
from backend.server.removal import remove_job
from protocol import messages as m
from protocol.codec import MAX_HEADER_BYTES
from protocol.fields import to_plain
from tests.backend.heads import small_head
from tests.backend.server.conftest import REPOSITORY, spec

HONEST, OTHER = Peer(b"honest", "me"), Peer(b"other", "guest", network=True)


@pytest.fixture
def heads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of the user's heads."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    folder = library.user_heads_dir()
    folder.mkdir(parents=True)
    return folder


class Answers:
    """A ``Reading`` and what it has sent, in order."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], jobs: Path) -> None:
        self.sent: list[tuple[Peer, m.Message]] = []
        self.reading = Reading(context, jobs, self._send)

    def _send(self, peer: Peer, frames: object) -> zmq.MessageTracker:
        self.sent.append((peer, m.unpack(frames)[0]))  # type: ignore[arg-type]
        return zmq.MessageTracker()

    def serve(self, until: Callable[[], bool], seconds: float = 120) -> None:
        """Serve until something is true; the bound only keeps a broken test from hanging."""
        deadline = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < deadline, "waited in vain"
            if self.reading.answers.poll(10):
                self.reading.handle_answers()
            self.reading.tick()

    def wait(self, count: int) -> list[m.Message]:
        """Serve until so many answers were sent; all of them."""
        self.serve(lambda: len(self.sent) >= count)
        return [message for _, message in self.sent]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Answers]]:
    """Make ``Answers``, which end with the test."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    made: list[Answers] = []

    def make() -> Answers:
        made.append(Answers(context, tmp_path / "jobs"))
        return made[-1]

    yield make
    for answers in made:
        answers.reading.close()
    context.destroy(linger=0)


def names(heads: m.HeadList) -> list[str]:
    return [head.id for head in heads.heads]


@pytest.mark.slow
def test_bad_heads_of_every_kind_are_left_out_of_the_list(heads: Path, begin: Callable[..., Answers]) -> None:
    (heads / "damaged.npz").write_bytes(os.urandom(5000))
    os.mkfifo(heads / "pipe.npz")
    (heads / "dangling.npz").symlink_to(heads / "nowhere")
    nested = np.frombuffer(b"[" * 100_000, np.uint8)
    np.savez_compressed(heads / "nested.npz", header=nested)
    answers = begin()
    for _ in range(2):
        answers.reading.ask(HONEST, 1, ReadHeads())
    for found in answers.wait(2):
        assert isinstance(found, m.HeadList) and names(found) == list(library.BUILT_IN)


@pytest.mark.slow
def test_a_file_that_stops_its_reader_is_left_out_until_it_changes(heads: Path, begin: Callable[..., Answers]) -> None:
    """As one on a disk that does not answer: the process stops where it reads it."""
    slow = heads / "slow.npz"
    save_head(dataclasses.replace(small_head(), id="slow"), slow)
    with np.load(slow) as arrays:
        np.savez(slow, **arrays, ballast=np.frombuffer(os.urandom(100 << 20), np.uint8))
    answers = begin()
    for tries in range(1, 20):  # it may be faster than we are
        os.utime(slow, (tries, tries))
        answers.reading.ask(OTHER, 1, ReadHeads())
        answers.serve(lambda tries=tries: answers.reading.reads("files") == str(slow) or len(answers.sent) == tries)
        os.kill(answers.reading.pids["files"], signal.SIGSTOP)
        answers.reading.handle_answers()
        if len(answers.sent) < tries:
            break
        os.kill(answers.reading.pids["files"], signal.SIGCONT)
    answers.reading.ask(HONEST, 2, ReadJobs(10))
    assert isinstance(answers.wait(tries)[-1], m.JobList), "a list waits for no head"
    answers.reading.patience = 0.0
    answers.reading.tick()
    answers.reading.patience = 60.0
    assert names(answers.wait(tries + 1)[-1]) == list(library.BUILT_IN)
    os.utime(slow, (100, 100))
    answers.reading.ask(OTHER, 3, ReadHeads())
    assert names(answers.wait(tries + 2)[-1]) == [*library.BUILT_IN, "slow"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has priorities, no niceness")
def test_what_looks_through_the_folder_steps_back_behind_what_somebody_waits_for(begin: Callable[..., Answers]) -> None:
    answers = begin()
    answers.reading.ask(HONEST, 1, ReadHeads())
    answers.reading.ask(HONEST, 2, ReadStorage())
    answers.wait(2)
    nice = {name: psutil.Process(pid).nice() for name, pid in answers.reading.pids.items()}
    assert nice["room"] > nice["files"] == psutil.Process().nice()
    shares = [Path(f"/proc/{answers.reading.pids[name]}/autogroup") for name in ("files", "room")]
    if all(share.exists() for share in shares):  # Linux, of sessions
        assert [share.read_text().split()[-1] for share in shares] == ["0", str(process.BACKGROUND_NICENESS)]


@pytest.mark.slow
def test_clients_take_turns_and_none_may_have_too_many_waiting(tmp_path: Path, begin: Callable[..., Answers]) -> None:
    store = JobStore(tmp_path / "jobs")
    done = dataclasses.replace(store.create(spec("quick")), state=m.JobState.DONE)
    store.save(done)
    answers = begin()
    for request in range(reading.MAX_ORDERS_OF_A_PEER + 1):  # the first is under way
        answers.reading.ask(OTHER, request, ReadResult(done))
    with pytest.raises(UserError, match="Too many requests"):
        answers.reading.ask(OTHER, 99, ReadResult(done))
    answers.reading.ask(HONEST, 1, ReadHeads())
    answers.wait(3)
    assert [peer for peer, _ in answers.sent[:3]].index(HONEST) <= 2
    answers.reading.forget(OTHER)
    assert len(answers.sent) < reading.MAX_ORDERS_OF_A_PEER


@pytest.mark.slow
def test_a_client_is_greeted_while_a_file_keeps_the_reader_from_answering_another(server: Server) -> None:
    with Client(server.endpoint) as other:
        other.heads()
        os.kill(server._reading.pids["files"], signal.SIGSTOP)
        other._link.send(m.Heads(), 99)
        with Client(server.endpoint) as honest:
            assert honest.welcome.pid == os.getpid() and honest.jobs() == ()
        os.kill(server._reading.pids["files"], signal.SIGKILL)
        received = other._link.receive(time.monotonic() + 60)
        assert received is not None and received[1] == 99 and isinstance(received[0], m.Error)
        assert names(other.heads()) == list(library.BUILT_IN)


def old_jobs(store: JobStore, count: int, **texts: str) -> None:
    """Finished jobs, as quick as they can be made."""
    for number in range(count):
        folder = store.root / f"20260101-000000-{number:08x}"
        folder.mkdir()
        status = m.JobStatus(folder.name, state=m.JobState.DONE, **({"name": str(number), "bytes": 1} | texts))
        (folder / "state.json").write_text(json.dumps(to_plain(status)))


def test_a_list_reads_as_many_states_as_it_shows_and_none_twice(tmp_path: Path) -> None:
    store, read = JobStore(tmp_path / "jobs"), []
    old_jobs(store, 120)
    lists = JobLists(store, read.append)
    assert [job.name for job in lists.latest(50)] == [str(number) for number in range(119, 69, -1)]
    assert len(read) == 50 and lists.latest(50) == lists.latest(50) and len(read) == 50
    live = m.JobStatus(lists.latest(1)[0].job_id, "live", m.JobState.RUNNING)
    assert lists.latest(2, [live]) == (live, lists.latest(2)[1])


def test_the_longest_list_fits_into_a_message(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs")
    long = "ä€😀" * 50_000
    problem = m.Problem(long, long, long)
    old_jobs(store, 3, name=long)
    texts = dict.fromkeys(("name", "stage", "footage", "created", "kind", "owner"), long)
    live = [
        m.JobStatus(f"20260102-000000-{n:08x}", state=m.JobState.FAILED, problem=problem, **texts) for n in range(197)
    ]
    found = JobLists(store, lambda _: None).latest(MAX_LISTED, live)
    assert len(found) == MAX_LISTED and len(m.pack(m.JobList(found), 1)[0]) < MAX_HEADER_BYTES
    assert bounded(found[0]) == found[0] and found[0].name.startswith("ä€😀") and found[0].name.endswith("…")


def test_a_guest_is_told_of_its_own_jobs_without_their_folders(tmp_path: Path) -> None:
    lists = JobLists(JobStore(tmp_path / "jobs"), lambda _: None)
    mine = m.JobStatus("20260101-000000-00000001", "mine", m.JobState.RUNNING, footage="/a/b.mp4", owner="guest")
    theirs = dataclasses.replace(mine, job_id="20260101-000000-00000002", owner="")
    assert lists.latest(50, [mine, theirs], "guest") == (dataclasses.replace(mine, footage="b.mp4"),)


def test_a_job_is_removed_with_all_that_is_in_it_and_nothing_else(tmp_path: Path) -> None:
    store, beside = JobStore(tmp_path / "jobs"), tmp_path / "beside"
    beside.mkdir()
    (beside / "precious").touch()
    old_jobs(store, 2)
    first, second = store.names()
    (store.root / first / "proxy").symlink_to(beside)
    (store.root / second).rename(tmp_path / "elsewhere")
    (store.root / second).symlink_to(tmp_path / "elsewhere")
    left = store.root / ".removed-20260101-000000-0000000f"  # of a deletion that was broken off
    left.mkdir()
    (left / "part").touch()
    remove_job(store, first)
    remove_job(store, second)
    assert list(store.root.iterdir()) == []
    assert (beside / "precious").exists() and (tmp_path / "elsewhere" / "state.json").exists()


@pytest.mark.parametrize(
    ("job_id", "code"), [("../beside", "unknown_job"), ("", "unknown_job"), (".removed-x", "unknown_job")]
)
def test_what_is_no_job_is_not_removed(tmp_path: Path, job_id: str, code: str) -> None:
    (tmp_path / "beside").mkdir()
    with pytest.raises(UserError) as caught:
        remove_job(JobStore(tmp_path / "jobs"), job_id)
    assert caught.value.code == code and (tmp_path / "beside").is_dir()


@pytest.mark.slow
def test_a_running_job_must_be_cancelled_before_it_is_removed(client: Client, tmp_path: Path) -> None:
    job = client.submit(spec("until-cancelled"))
    with pytest.raises(UserError, match="Cancel it first") as caught:
        client.remove(job.job_id)
    assert caught.value.code == "not_over"
    client.cancel(job.job_id)
    client.wait(job.job_id)
    client.remove(job.job_id)
    assert client.jobs() == () and not (tmp_path / "jobs" / job.job_id).exists()
    with pytest.raises(UserError, match="no job"):
        client.remove(job.job_id)
