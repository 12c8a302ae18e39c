"""Clients and backends of the version before and the one after, made by hand, at each side of this one.

The old ones know one version only, as releases before version 3 did: they refuse every other.
"""

from __future__ import annotations

import contextlib
import threading

import msgpack
import pytest
import zmq

from backend.client.connection import Client
from backend.client.handshake import authenticate
from backend.errors import UserError
from blender_addon.asking import RequestFailed, ask
from blender_addon.client import Client as AddonClient
from protocol import messages as m
from protocol.keys import own_access
from protocol.states import JobState
from protocol.version import OLDEST_VERSION, PROTOCOL_VERSION, mismatch_sentence
from tests.backend.server.conftest import spec
from tests.backend.server.curve import address, bare_backend

pytestmark = pytest.mark.slow

BEFORE, AFTER = PROTOCOL_VERSION - 1, PROTOCOL_VERSION + 1
JOB = m.JobStatus("20260101-000000-00000000", "a", JobState.QUEUED)


@pytest.fixture
def client_of(server):
    """Ask the backend as a client that stamps every message with ``version``; gives the headers of what comes back."""
    context = zmq.Context()

    def begin(version):
        dealer = context.socket(zmq.DEALER)
        authenticate(dealer, own_access())
        dealer.connect(server.endpoint)

        def request(message, until):
            fields, _ = message.to_wire()
            dealer.send(msgpack.packb({**fields, "type": message.TYPE, "protocol": version, "request": 7}))
            headers = []
            while not headers or not until(headers[-1]):
                assert dealer.poll(20_000), "no answer"
                headers.append(msgpack.unpackb(dealer.recv_multipart()[0]))
            return headers

        return request

    yield begin
    context.destroy(linger=0)


def test_the_backend_serves_the_version_before_in_its_own_words_pushed_ones_as_well(client_of):
    request = client_of(BEFORE)
    (welcome,) = request(m.Hello("add-on"), lambda _: True)
    assert (welcome["type"], welcome["protocol"]) == ("welcome", BEFORE)
    told = request(m.Submit(spec("quick")), lambda header: header["job"]["state"] == "done")
    assert {header["type"] for header in told} == {"submitted", "progress"}
    assert {header["protocol"] for header in told} == {BEFORE}


@pytest.mark.parametrize(("version", "side"), [(AFTER, "backend"), (OLDEST_VERSION - 1, "add-on")])
def test_the_backend_says_who_is_to_be_updated_in_a_version_that_a_newer_client_can_adapt_to(client_of, version, side):
    (refusal,) = client_of(version)(m.Hello("add-on"), lambda _: True)
    assert (refusal["type"], refusal["code"], refusal["protocol"]) == ("error", "wrong_protocol", PROTOCOL_VERSION)
    assert refusal["message"].endswith(f"update the {side}.")


class Release:
    """A backend that speaks one version, and keeps what it was asked in it."""

    def __init__(self, version, *, deaf_to=()):
        self.version, self.deaf_to, self.asked = version, deaf_to, []

    def answer(self, header):
        """The header of an answer; None to leave the question unanswered."""
        about = {"protocol": self.version, "request": header["request"]}
        if header["protocol"] != self.version:
            sentence = mismatch_sentence(header.get("client", "client"), header["protocol"], self.version)
            return {**about, "type": "error", "code": "wrong_protocol", "message": sentence}
        self.asked.append(header["type"])
        if header["type"] in self.deaf_to:
            return None
        if header["type"] == "hello":
            return {**about, "type": "welcome", "backend_version": "other", "pid": 1, "unheard_of": {"a": [1]}}
        return {**about, "type": "job_list", "jobs": [{**m.to_plain(JOB), "unheard_of": 3}]}


@contextlib.contextmanager
def released(release):
    """The address of a backend of another release."""
    stop = threading.Event()
    with bare_backend() as router:

        def serve():
            while not stop.is_set():
                if router.poll(50):
                    identity, head = router.recv_multipart()
                    if (reply := release.answer(msgpack.unpackb(head))) is not None:
                        router.send_multipart([identity, msgpack.packb(reply)])

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield address(router)
        finally:
            stop.set()
            thread.join()


@contextlib.contextmanager
def addon(endpoint):
    """The add-on's client, connecting."""
    client = AddonClient(endpoint)
    client.start()
    try:
        yield client
    finally:
        client.close()


def test_the_command_line_is_served_by_the_version_before():
    with released(Release(BEFORE)) as endpoint, Client(endpoint) as client:
        assert client.jobs() == (JOB,)


def test_the_addon_is_served_by_the_version_before():
    with released(Release(BEFORE)) as endpoint, addon(endpoint) as client:
        assert ask(client, m.Jobs(), timeout=20) == m.JobList((JOB,))


def test_a_backend_that_may_make_two_jobs_of_one_submit_is_asked_once():
    release = Release(BEFORE, deaf_to=("submit",))
    with released(release) as endpoint, Client(endpoint, timeout=1.0) as client, pytest.raises(UserError) as caught:
        client.submit(spec("quick"))
    assert caught.value.code == "backend_gone"
    assert release.asked.count("submit") == 1


def test_the_command_line_says_that_it_is_older_than_the_version_after():
    with released(Release(AFTER)) as endpoint, pytest.raises(UserError) as caught:
        Client(endpoint)
    assert caught.value.code == "wrong_protocol"
    assert caught.value.message.endswith("update the command line.")


def test_the_addon_says_that_it_is_older_than_the_version_after():
    with released(Release(AFTER)) as endpoint, addon(endpoint) as client, pytest.raises(RequestFailed) as caught:
        ask(client, m.Jobs(), timeout=20)
    assert "update the add-on." in str(caught.value)
