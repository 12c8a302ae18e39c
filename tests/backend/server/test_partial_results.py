"""The take of a running job as far as it is known, through real sockets and a real worker process."""

from __future__ import annotations

import pytest

from backend.client.connection import Client
from backend.errors import UserError
from protocol.states import JobState
from tests.backend.server.conftest import spec
from tests.backend.server.runners import FIRST_SHOWN

pytestmark = pytest.mark.slow


@pytest.fixture
def job(client):
    """A job that shows partial takes and then waits to be told to go on."""
    return client.submit(spec("partial", "smile"))


def wait_for_partial(client, job, count):
    """Follow a job until its status says that there are so many partial takes."""
    while (status := client._next_progress(job.job_id) or client.status(job.job_id)).partial < count:
        assert not status.finished, status
    return status


def test_a_running_jobs_partial_takes_can_be_asked_for_and_its_result_replaces_them(client, job, tmp_path):
    folder = tmp_path / "jobs" / job.job_id
    assert job.partial == 0
    status = wait_for_partial(client, job, 1)
    assert (status.state, status.partial) == (JobState.RUNNING, 1)
    first = client.result(job.job_id, partial=True)
    assert first.job.state is JobState.RUNNING and first.job.partial == 1 and first.take.name == "smile"
    assert first.take.expression.shape[0] == FIRST_SHOWN and first.take.expression[-1].min() == 1.0
    assert first.take.head.neutral.shape[0] > 1000 and not first.files

    (folder / "second").touch()
    wait_for_partial(client, job, 2)
    assert client.result(job.job_id, partial=True).take.expression.shape[0] == 2 * FIRST_SHOWN

    (folder / "end").touch()
    final = client.wait(job.job_id)
    assert final.state is JobState.DONE and final.partial == 0
    for whole in (client.result(job.job_id, partial=True), client.result(job.job_id)):
        assert whole.job.state is JobState.DONE and whole.take.report == {"whole": True}
        assert whole.take.expression.shape[0] == 3 * FIRST_SHOWN
    assert not list(folder.glob("partial_*"))


def test_a_client_that_comes_later_is_told_of_the_partial_take(server, client, job):
    wait_for_partial(client, job, 1)
    with Client(server.endpoint) as other:
        assert other.status(job.job_id).partial == 1
        assert other.result(job.job_id, partial=True).take.tracked.all()
    client.cancel(job.job_id)
    client.wait(job.job_id)


def test_without_asking_for_it_a_running_job_has_no_result(client, job):
    wait_for_partial(client, job, 1)
    with pytest.raises(UserError) as caught:
        client.result(job.job_id)
    assert caught.value.code == "no_result"
    client.cancel(job.job_id)
    client.wait(job.job_id)


def test_a_cancelled_job_has_no_partial_take_any_more(client, job):
    wait_for_partial(client, job, 1)
    client.cancel(job.job_id)
    final = client.wait(job.job_id)
    assert final.state is JobState.CANCELLED and final.partial == 0
    with pytest.raises(UserError, match="“smile” is cancelled") as caught:
        client.result(job.job_id, partial=True)
    assert caught.value.code == "no_result"


def test_a_job_that_has_nothing_to_show_yet_says_so(client):
    job = client.submit(spec("until-cancelled"))
    with pytest.raises(UserError) as caught:
        client.result(job.job_id, partial=True)
    assert caught.value.code == "no_result"
    client.cancel(job.job_id)
    client.wait(job.job_id)


def test_a_partial_file_that_is_damaged_is_one_sentence(client, job, tmp_path):
    wait_for_partial(client, job, 1)
    (tmp_path / "jobs" / job.job_id / "partial_track.npz").write_bytes(b"nothing")
    with pytest.raises(UserError, match="not a track file") as caught:
        client.result(job.job_id, partial=True)
    assert caught.value.code == "bad_file"
    client.cancel(job.job_id)
    client.wait(job.job_id)
