"""Orders and events between a backend and its worker, and lines that are neither."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.server import worker_link as link
from protocol.codec import ProtocolError
from protocol.messages import Problem
from tests.backend.server.conftest import spec

ORDERS = [link.RunJob("/jobs/ä b", 3, 1), link.CancelJob("j")]
EVENTS = [
    link.Ready(1.25, "CPU"),
    link.Broken("ImportError: no module"),
    link.Alive(12.5),
    link.Progressed("j", "fitting the head\n", 0.5, 3, 9),
    link.PartialResult("j", "partial_track.npz"),
    link.Done("j", 4096),
    link.Failed("j", Problem("no_face", "No face.", "Choose other footage.")),
    link.Cancelled("j"),
    link.Exited(),
]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: type(order).__name__)
def test_orders_arrive_as_they_left(order):
    line = link.to_line(order)
    assert line.index(b"\n") == len(line) - 1 and link.read_order(line) == order


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_events_arrive_as_they_left(event):
    line = link.to_line(event)
    assert line.count(b"\n") == line.endswith(b"\n") and link.read_event(line) == event


def test_a_newer_workers_further_fields_are_ignored():
    assert link.read_event(b'{"type": "Done", "job": "j", "seconds": 3}') == link.Done("j")


@given(
    st.binary(max_size=80) | st.recursive(st.none() | st.text() | st.floats(), st.lists).map(json.dumps).map(str.encode)
)
def test_any_other_line_is_refused_and_nothing_else_is_raised(line):
    for read in (link.read_order, link.read_event):
        if line or read is link.read_order:
            with pytest.raises(ProtocolError):
                read(line)


@pytest.mark.parametrize("read", [link.read_order, link.read_event])
@pytest.mark.parametrize(
    "line",
    [
        b'{"type": "Exited"}\n',
        b'{"type": ["Done"], "job": "j"}\n',
        b'{"type": "Done"}\n',
        b'{"type": "Progressed", "job": "j", "stage": "s", "fraction": NaN, "frames_done": 1, "frames_total": 1}\n',
        b'{"type": "RunJob", "folder": 3}\n',
        b"[" * 100_000,
    ],
    ids=lambda line: line[:30],
)
def test_a_wrong_field_or_type_is_refused(read, line):
    with pytest.raises(ProtocolError):
        read(line)


@pytest.mark.parametrize("file", ["", ".", "track.npz", "../partial_track.npz", "/partial_track.npz", "partial_\0"])
def test_a_partial_result_lies_in_the_jobs_folder_under_a_name_of_its_own(file):
    with pytest.raises(ProtocolError):
        link.read_event(json.dumps({"type": "PartialResult", "job": "j", "file": file}).encode())


def test_a_worker_that_says_nonsense_ends_neither_the_backend_nor_its_job(client, caplog):
    job = client.submit(spec("rambling"))
    assert client.wait(job.job_id).finished
    assert sum("the worker said what cannot be read" in record.message for record in caplog.records) >= 11
    assert client.status(job.job_id).problem is None
    assert client.wait(client.submit(spec("quick")).job_id).problem is None


def test_a_backend_that_says_nonsense_does_not_end_its_worker(server, client):
    orders = server._scheduler.worker.process._process.stdin
    orders.write(b"\xff\n{\n" + b'{"type": "Dance"}\n{"type": "RunJob", "folder": null}\n')
    orders.flush()
    pid = server._scheduler.worker.pid
    assert client.wait(client.submit(spec("quick")).job_id).problem is None
    assert server._scheduler.worker.pid == pid
