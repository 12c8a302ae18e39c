"""A network that fails between client and backend: the client goes on without its user."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from backend.client import link
from backend.client.connection import Client
from backend.server.uploads import Uploads
from protocol import messages as m
from tests.backend.client.proxy import network
from tests.backend.server.conftest import server as server
from tests.backend.server.conftest import spec
from tests.backend.server.conftest import start as start

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """A dead connection is found in a second, not in ten."""
    monkeypatch.setattr(link, "HEARTBEAT_MS", (100, 1000))


def follow_through(endpoint, server, fault):
    """Follow a job through a network; once it works, let ``fault`` happen, and then call the job off from elsewhere."""
    working, stages = threading.Event(), []

    def watch(status):
        stages.append(status.stage)
        if status.stage == "working" and not working.is_set():
            working.set()

    def disturb(job_id):
        working.wait(60)
        fault()
        with Client(server.endpoint) as other:
            other.cancel(job_id)

    with Client(endpoint) as client:
        job = client.submit(spec("until-cancelled"))
        disturber = threading.Thread(target=disturb, args=(job.job_id,))
        disturber.start()
        status = client.wait(job.job_id, watch)
        disturber.join()
    return status


@pytest.mark.parametrize("fault", ["cut", "freeze"])
def test_a_job_is_followed_to_its_end_through_a_connection_that_dies(server, fault):
    with network(server.endpoint) as between:
        status = follow_through(between.endpoint, server, getattr(between, fault))
    assert status.state is m.JobState.CANCELLED


def test_a_slow_network_only_takes_longer(server):
    with network(server.endpoint) as between:
        between.delay = 0.02
        with Client(between.endpoint) as client:
            assert client.wait(client.submit(spec("quick")).job_id).state is m.JobState.DONE
            assert len(client.jobs()) == 1


def test_a_submit_whose_answer_was_lost_makes_one_job(server):
    with network(server.endpoint) as between, Client(between.endpoint) as client:
        between.cut_after = between.passed + 1
        client.submit(spec("quick", "once"))
        assert between.cut_after is None
        assert [job.name for job in client.jobs()] == ["once"]


def test_an_upload_goes_on_after_the_connection_was_cut_in_its_middle(server, tmp_path):
    mesh = tmp_path / "mesh.npz"
    mesh.write_bytes(np.random.default_rng(1).bytes(5_000_000))
    with network(server.endpoint) as between, Client(between.endpoint) as client:
        between.cut_after = between.passed + 2_500_000
        sent = client.send_files(m.TransferJob(str(mesh)))
        assert between.cut_after is None
    placed = Uploads(server._store.root).placed("", sent.job)
    assert Path(placed.mesh).read_bytes() == mesh.read_bytes()


def test_a_client_that_does_not_read_keeps_nobody_waiting(server):
    with network(server.endpoint) as between, Client(between.endpoint) as deaf, Client(server.endpoint) as other:
        job = deaf.submit(spec("until-cancelled"))
        between.delay = 5.0
        for _ in range(20):
            deaf._link.send(m.Heads(), 1000)
        assert other.heads().heads
        other.cancel(job.job_id)
        assert other.wait(job.job_id).state is m.JobState.CANCELLED
        between.cut()
