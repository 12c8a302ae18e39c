"""Jobs from submit to their end, through real sockets and a real worker process."""

from __future__ import annotations

import json
import time

import pytest

from backend.client.connection import Client
from backend.errors import UserError
from backend.server.jobs import JobStore, read_spec
from protocol import messages as m
from protocol.states import JobState
from tests.backend.server.conftest import spec

pytestmark = pytest.mark.slow


def wait_until(condition, seconds=30):
    """Poll a condition that must come true; the bound only keeps a broken test from hanging."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_a_job_runs_to_its_end_and_tells_its_progress(client):
    seen = []
    job = client.submit(spec("quick", "first"))
    final = client.wait(job.job_id, seen.append)
    assert (final.state, final.fraction, final.problem) == (JobState.DONE, 1.0, None)
    assert [s.state for s in seen][-1] is JobState.DONE
    assert {"counting"} <= {s.stage for s in seen}
    assert [s.fraction for s in seen] == sorted(s.fraction for s in seen)
    last = [s for s in seen if s.stage == "counting"][-1]
    assert (last.frames_done, last.frames_total) == (3, 3)
    assert last.seconds_elapsed > 0


def test_jobs_run_one_at_a_time_in_the_order_they_came(client, tmp_path):
    first = client.submit(spec("until-cancelled", "first"))
    second = client.submit(spec("quick", "second"))
    third = client.submit(spec("quick", "third"))
    wait_until(lambda: client.status(first.job_id).state is JobState.RUNNING)
    assert [client.status(j.job_id).state for j in (second, third)] == [JobState.QUEUED] * 2
    assert [client.status(j.job_id).queue_position for j in (second, third)] == [1, 2]
    client.cancel(first.job_id)
    assert client.wait(third.job_id).state is JobState.DONE
    assert client.status(first.job_id).state is JobState.CANCELLED
    assert (tmp_path / "jobs" / "order.txt").read_text().split() == ["second", "third"]


def test_a_queued_job_can_be_cancelled(client, tmp_path):
    first = client.submit(spec("until-cancelled"))
    second = client.submit(spec("quick", "never"))
    assert client.cancel(second.job_id).state is JobState.CANCELLED
    client.cancel(first.job_id)
    client.wait(first.job_id)
    assert client.wait(client.submit(spec("quick", "after")).job_id).state is JobState.DONE
    assert (tmp_path / "jobs" / "order.txt").read_text().split() == ["after"]


def test_cancel_stops_work_that_does_not_listen_and_the_next_job_runs(client):
    job = client.submit(spec("deaf"))
    wait_until(lambda: client.status(job.job_id).stage == "not listening")
    client.cancel(job.job_id)
    assert client.wait(job.job_id).state is JobState.CANCELLED
    assert client.wait(client.submit(spec("quick")).job_id).state is JobState.DONE


def test_ctrl_c_while_following_cancels_the_job(client):
    def interrupt(status):
        if status.stage == "working":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.track(spec("until-cancelled"), interrupt)
    assert client.jobs()[0].state is JobState.CANCELLED


def test_cancelling_a_finished_job_changes_nothing(client):
    job = client.submit(spec("quick"))
    client.wait(job.job_id)
    assert client.cancel(job.job_id).state is JobState.DONE


@pytest.mark.parametrize(
    ("deed", "code", "words"),
    [
        ("user-error", "no_face", "No face was found in /user-error.mp4. Choose footage"),
        ("bug", "internal", "IndexError"),
        ("memory", "out_of_memory", "ran out of memory while tracking. It was tried with less 2 times."),
    ],
)
def test_work_that_fails_ends_in_a_sentence_and_the_server_lives_on(client, deed, code, words):
    with pytest.raises(UserError) as caught:
        client.track(spec(deed))
    assert caught.value.code == code
    assert words in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert client.wait(client.submit(spec("quick")).job_id).state is JobState.DONE


def test_a_bug_leaves_its_traceback_in_the_job_folder(client, tmp_path):
    job = client.submit(spec("bug"))
    client.wait(job.job_id)
    assert "IndexError" in (tmp_path / "jobs" / job.job_id / "log.txt").read_text()


def test_what_libraries_print_does_not_reach_the_server(client):
    assert client.wait(client.submit(spec("noisy")).job_id).state is JobState.DONE


def test_a_worker_that_cannot_start_says_why_and_every_queued_job_ends(start):
    with Client(start("tests.backend.server.no_such_module:run").endpoint) as client:
        jobs = [client.submit(spec("quick")) for _ in range(2)]
        for job in jobs:
            final = client.wait(job.job_id)
            assert final.state is JobState.FAILED and final.problem.code == "worker_broken"
            assert "no_such_module" in final.problem.message


def test_a_job_outlives_the_client_that_asked_for_it(server):
    with Client(server.endpoint) as first:
        first.submit(spec("until-cancelled", "orphan"))
    with Client(server.endpoint) as second:
        (found,) = second.jobs()
        assert found.name == "orphan" and not found.finished
        second.cancel(found.job_id)
        assert second.wait(found.job_id).state is JobState.CANCELLED


def test_two_clients_follow_one_job(server, client):
    job = client.submit(spec("until-cancelled"))
    with Client(server.endpoint) as other:
        assert not other.status(job.job_id, subscribe=True).finished
        client.cancel(job.job_id)
        assert other.wait(job.job_id).state is client.wait(job.job_id).state is JobState.CANCELLED


def test_another_server_on_the_same_folder_leaves_running_jobs_alone(start, client):
    job = client.submit(spec("until-cancelled"))
    with Client(start().endpoint) as other:
        assert not other.status(job.job_id).finished
        with pytest.raises(UserError) as caught:
            other.cancel(job.job_id)
        assert caught.value.code == "not_mine"
    client.cancel(job.job_id)
    assert client.wait(job.job_id).state is JobState.CANCELLED


def test_a_result_of_an_unfinished_job_is_refused(client):
    job = client.submit(spec("until-cancelled", "slow"))
    with pytest.raises(UserError, match="“slow” is") as caught:
        client.result(job.job_id)
    assert caught.value.code == "no_result"


@pytest.mark.parametrize("job_id", ["", "nope", "../../etc", "20260101-000000-abcdef01"])
def test_unknown_jobs_are_refused(client, job_id):
    for ask in (client.status, client.cancel, client.result):
        with pytest.raises(UserError) as caught:
            ask(job_id)
        assert caught.value.code == "unknown_job"


def test_footage_must_be_a_full_path(client):
    with pytest.raises(UserError, match=r"clip\.mp4") as caught:
        client.submit(m.TrackJob((m.ViewSpec("clip.mp4"),)))
    assert caught.value.code == "footage_relative"


def test_a_jobs_kind_is_kept_and_one_written_before_there_were_kinds_is_read(client, tmp_path):
    job = client.submit(spec("quick", "first"))
    path = tmp_path / "jobs" / job.job_id / "spec.json"
    kept = json.loads(path.read_bytes())
    assert kept.pop("kind") == "track" == client.wait(job.job_id).kind
    path.write_text(json.dumps(kept))
    assert read_spec(path.parent) == spec("quick", "first")


def test_jobs_of_one_second_are_listed_newest_first(tmp_path):
    store = JobStore(tmp_path / "jobs")
    made = [store.create(spec("quick", str(number))).job_id for number in range(20)]
    assert [job.job_id for job in store.latest(20)] == made[::-1]


def test_a_job_that_follows_another_needs_a_finished_one(client):
    going = client.submit(spec("until-cancelled"))
    for parent, code in ((going.job_id, "no_result"), ("../" + going.job_id, "unknown_job"), ("x", "unknown_job")):
        with pytest.raises(UserError) as caught:
            client.submit(m.ExportJob(parent, "csv"))
        assert caught.value.code == code
    assert [job.job_id for job in client.jobs()] == [going.job_id], "what is refused leaves no job"
    client.cancel(going.job_id)
    assert client.wait(going.job_id).state is m.JobState.CANCELLED
