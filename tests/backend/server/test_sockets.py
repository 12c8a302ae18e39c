"""Peers of every kind at the backend's socket, and a client at sockets that are no backend."""

from __future__ import annotations

import contextlib
import socket
import threading

import msgpack
import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.client.connection import Client
from backend.client.handshake import authenticate
from backend.errors import UserError
from backend.server.app import Server
from backend.server.endpoint import loopback_endpoint
from backend.server.keys import KeyRing, keys_folder
from protocol import messages as m
from protocol.keys import own_access
from protocol.version import PROTOCOL_VERSION

from .curve import address, bare_backend

pytestmark = pytest.mark.slow


@pytest.fixture
def raw(server):
    """A bare DEALER at the server."""
    context = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    authenticate(dealer, own_access())
    dealer.connect(server.endpoint)
    yield dealer
    context.destroy(linger=0)


def answer(dealer):
    assert dealer.poll(10_000), "no answer"
    return m.unpack(dealer.recv_multipart(), client_name="test")


def still_answers(dealer):
    dealer.send_multipart(m.pack(m.Hello("test"), 2**40))
    while True:
        message, request = answer(dealer)
        if request == 2**40:
            assert isinstance(message, m.Welcome)
            return


def test_welcome_tells_who_answers(client):
    welcome = client.welcome
    assert welcome.pid and welcome.backend_version
    assert {"hello", "heads", "submit", "status", "result", "cancel", "jobs", "shutdown"} <= set(welcome.capabilities)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=60), min_size=1, max_size=4))
def test_garbage_frames_do_not_end_the_server(raw, frames):
    raw.send_multipart(frames)
    still_answers(raw)


def test_too_many_parts_and_a_huge_part_do_not_end_the_server(server, raw):
    raw.send_multipart([b""] * 5000)
    still_answers(raw)
    context = zmq.Context()
    rude = context.socket(zmq.DEALER)
    authenticate(rude, own_access())
    rude.connect(server.endpoint)
    rude.send(bytes(17 << 20))
    still_answers(raw)
    context.destroy(linger=0)


def test_unknown_types_and_replies_sent_as_requests_are_answered_by_an_error(raw):
    raw.send(msgpack.packb({"type": "preview", "protocol": PROTOCOL_VERSION, "request": 5}))
    message, request = answer(raw)
    assert request == 5 and message.code == "unknown_type" and "preview" in message.message
    raw.send_multipart(m.pack(m.Goodbye(), 6))
    assert answer(raw)[0].code == "unknown_type"


def test_a_wrong_field_is_answered_by_its_name(raw):
    raw.send(msgpack.packb({"type": "status", "protocol": PROTOCOL_VERSION, "request": 5, "job_id": 7}))
    message, request = answer(raw)
    assert request == 5 and message.code == "bad_field" and "status.job_id" in message.message


@pytest.mark.parametrize(
    ("options", "code", "word"),
    [({"focal": 3}, "unknown_option", "“focal”"), ({"focal_px": -1}, "bad_option", "“focal_px”")],
)
def test_what_is_no_option_is_answered_by_its_name(raw, options, code, word):
    fields, _ = m.Submit(m.TrackJob((m.ViewSpec("/a.mp4"),))).to_wire()
    fields["job"]["options"] = options
    raw.send(msgpack.packb({**fields, "type": "submit", "protocol": PROTOCOL_VERSION, "request": 5}))
    message, request = answer(raw)
    assert (request, message.code) == (5, code) and word in message.message


def test_the_backend_names_a_client_of_another_version(raw):
    newer = PROTOCOL_VERSION + 1
    raw.send(msgpack.packb({"type": "hello", "protocol": newer, "request": 1, "client": "add-on"}))
    message, _ = answer(raw)
    sentence = f"This add-on speaks protocol {newer}, the backend speaks {PROTOCOL_VERSION}: update the backend."
    assert (message.code, message.message) == ("wrong_protocol", sentence)


@pytest.fixture
def other_backend():
    """Answer every message at a ROUTER by what ``reply`` makes of it; gives the endpoint."""
    with contextlib.ExitStack() as stack:

        def begin(reply):
            router = stack.enter_context(bare_backend())
            stop = threading.Event()
            thread = threading.Thread(target=serve, args=(router, reply, stop))
            stack.callback(thread.join)
            stack.callback(stop.set)
            thread.start()
            return address(router)

        yield begin


def serve(router, reply, stop):
    while not stop.is_set():
        if router.poll(50):
            identity, head = router.recv_multipart()
            router.send_multipart([identity, msgpack.packb(reply(msgpack.unpackb(head)))])


def test_a_client_names_a_backend_of_another_version(other_backend):
    newer = PROTOCOL_VERSION + 1
    endpoint = other_backend(lambda asked: {"type": "welcome", "protocol": newer, "request": asked["request"]})
    with pytest.raises(UserError) as caught:
        Client(endpoint)
    sentence = (
        f"This command line speaks protocol {PROTOCOL_VERSION}, the backend speaks {newer}: update the command line."
    )
    assert (caught.value.code, caught.value.message) == ("wrong_protocol", sentence)


def test_a_client_shows_the_refusal_of_a_backend_of_another_version(other_backend):
    error = {"type": "error", "protocol": 99, "code": "wrong_protocol", "message": "Update the command line."}
    endpoint = other_backend(lambda asked: {**error, "request": asked["request"]})
    with pytest.raises(UserError, match=r"Update the command line\."):
        Client(endpoint)


def test_nothing_listening_is_said_at_once():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(UserError, match="flowface serve") as caught:
        Client(endpoint)
    assert caught.value.code == "no_backend"


def test_something_else_listening_is_told_from_a_backend():
    KeyRing(keys_folder())
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(UserError, match="not this user") as caught:
        Client(f"tcp://127.0.0.1:{other.getsockname()[1]}", timeout=0.5)
    assert caught.value.code == "no_backend"


def test_a_backend_that_goes_away_for_good_is_noticed(server):
    with Client(server.endpoint, patience=0.5) as client:
        server.stop()
        with pytest.raises(UserError) as caught:
            for _ in range(100):
                client.jobs()
    assert caught.value.code == "backend_gone"


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("tcp://127.0.0.1:5793", "tcp://127.0.0.1:5793"),
        ("tcp://localhost:*", "tcp://127.0.0.1:*"),
        ("tcp://127.8.9.1:1", "tcp://127.8.9.1:1"),
        ("tcp://[::1]:5793", "tcp://[::1]:5793"),
    ],
)
def test_loopback_addresses_are_taken(endpoint, expected):
    assert loopback_endpoint(endpoint) == expected


@pytest.mark.parametrize(
    ("endpoint", "code"),
    [
        ("tcp://0.0.0.0:5793", "not_loopback"),
        ("tcp://*:5793", "not_loopback"),
        ("tcp://192.168.1.5:5793", "not_loopback"),
        ("tcp://[::]:5793", "not_loopback"),
        ("tcp://eth0:5793", "not_loopback"),
        ("tcp://127.0.0.1:99999", "bad_endpoint"),
        ("tcp://127.0.0.1", "bad_endpoint"),
        ("ipc:///tmp/x", "bad_endpoint"),
        ("", "bad_endpoint"),
    ],
)
def test_other_addresses_are_refused(tmp_path, endpoint, code):
    with pytest.raises(UserError) as caught:
        Server(tmp_path, endpoint)
    assert caught.value.code == code


def test_a_taken_port_is_said(server, tmp_path):
    with pytest.raises(UserError, match="cannot listen") as caught:
        Server(tmp_path, server.endpoint)
    assert caught.value.code == "in_use"
