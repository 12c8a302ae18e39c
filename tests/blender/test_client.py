"""The add-on's connection, against real backends and against peers that are none."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

from backend.server.app import Server
from backend.server.keys import KeyRing, keys_folder
from blender_addon.asking import RequestFailed, ask
from blender_addon.backend_places import Launch
from blender_addon.backend_process import BackendProcess
from blender_addon.client import (
    NOT_RUNNING,
    Client,
    Connection,
    ConnectionEvent,
    Event,
    MessageEvent,
)
from protocol import codec, messages
from protocol.messages import (
    Cancel,
    Error,
    Heads,
    JobState,
    Progress,
    StatusReply,
    Submit,
    Submitted,
    TrackJob,
    ViewSpec,
)
from tests.backend.server.conftest import REPOSITORY
from tests.backend.server.curve import address, bare_backend

from .conftest import WAIT

pytestmark = pytest.mark.slow


def job(deed: str) -> Submit:
    return Submit(TrackJob((ViewSpec(f"/{deed}.mp4"),)))


@contextlib.contextmanager
def connected(endpoint: str) -> Iterator[Client]:
    client = Client(endpoint, version="test")
    client.start()
    try:
        yield client
    finally:
        client.close()


def collect(client: Client, enough: Callable[[list[Event]], bool]) -> list[Event]:
    """Everything that arrives until it is enough."""
    events: list[Event] = []
    deadline = time.monotonic() + WAIT
    while not enough(events):
        assert time.monotonic() < deadline, f"only {events} arrived"
        events += client.poll()
        time.sleep(0.002)
    return events


def states(events: list[Event]) -> list[Connection]:
    return [event.state for event in events if isinstance(event, ConnectionEvent)]


def replies(events: list[Event], request: int) -> list[messages.Message]:
    return [event.message for event in events if isinstance(event, MessageEvent) and event.request == request]


def is_half_done(answers: list[messages.Message]) -> bool:
    return any(isinstance(answer, Progress) and answer.job.fraction == 0.5 for answer in answers)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_job_is_followed_and_cancelled(start_server: Callable[..., Server]) -> None:
    with connected(start_server().endpoint) as client:
        collect(client, lambda events: Connection.CONNECTED in states(events))
        request = client.send(job("until-cancelled"))
        seen = replies(collect(client, lambda events: is_half_done(replies(events, request))), request)
        assert isinstance(seen[0], Submitted)
        cancel = client.send(Cancel(seen[0].job.job_id))
        events = collect(
            client,
            lambda e: (
                any(isinstance(m, Progress) and m.job.finished for m in replies(e, request))
                and bool(replies(e, cancel))
            ),
        )
        assert isinstance(replies(events, cancel)[0], StatusReply)
        assert replies(events, request)[-1].job.state is JobState.CANCELLED


def test_a_backend_is_found_by_its_machines_name(start_server: Callable[..., Server]) -> None:
    with connected(start_server().endpoint.replace("127.0.0.1", "localhost")) as client:
        collect(client, lambda events: Connection.CONNECTED in states(events))


def test_without_a_backend_a_request_is_answered_at_once() -> None:
    with connected(f"tcp://127.0.0.1:{free_port()}") as client:
        request = client.send(Heads())
        events = collect(client, lambda events: bool(events))
        assert replies(events, request) == [NOT_RUNNING]


def test_backend_that_comes_later_and_comes_back_is_found(start_server: Callable[..., Server]) -> None:
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    with connected(endpoint) as client:
        first = start_server(endpoint)
        collect(client, lambda events: Connection.CONNECTED in states(events))
        first.stop()
        events = collect(client, lambda events: Connection.LOST in states(events))
        assert "lost" in next(e.sentence for e in events if isinstance(e, ConnectionEvent))
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            with contextlib.suppress(Exception):
                start_server(endpoint)
                break
            time.sleep(0.05)
        collect(client, lambda events: Connection.CONNECTED in states(events))


def test_request_under_way_fails_when_the_connection_is_lost() -> None:
    """A peer that says welcome, takes a request and then goes."""
    with bare_backend() as peer, connected(address(peer)) as client:
        sender, *_ = peer.recv_multipart()
        peer.send_multipart([sender, *messages.pack(messages.Welcome("test", 1), 0)])
        collect(client, lambda events: Connection.CONNECTED in states(events))
        request = client.send(Heads())
        peer.recv_multipart()
        peer.close(linger=0)
        events = collect(client, lambda events: bool(replies(events, request)))
        (answer,) = replies(events, request)
        assert isinstance(answer, Error) and answer.code == "connection_lost"


@pytest.mark.parametrize("answered_by", ["welcome of another version", "error"])
def test_wrong_version_is_named(answered_by: str) -> None:
    with bare_backend() as peer, connected(address(peer)) as client:
        sender, *_ = peer.recv_multipart()
        if answered_by == "error":
            sentence = "This add-on speaks protocol 3, the backend speaks 9: update the add-on."
            reply = messages.pack(Error("wrong_protocol", sentence), 0)
        else:
            header = {"type": "welcome", "protocol": 9, "request": 0, "backend_version": "9.0", "pid": 1}
            reply = codec.encode(header)
        peer.send_multipart([sender, *reply])
        events = collect(client, lambda events: Connection.REFUSED in states(events))
        (refusal,) = [e for e in events if isinstance(e, ConnectionEvent)]
        assert refusal.sentence.startswith("This add-on speaks protocol 3, the backend speaks 9: update the add-on")
        request = client.send(Heads())
        answer = replies(collect(client, lambda e: bool(replies(e, request))), request)[0]
        assert isinstance(answer, Error) and "update the add-on" in answer.message


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal that freezes a process")
def test_frozen_backend_is_noticed_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection breaks when a backend freezes; only its silence tells, here after three seconds instead of ten."""
    monkeypatch.setattr("blender_addon.client.SILENCE_SECONDS", 3.0)
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    options = ["--endpoint", endpoint, "--private", "--jobs-dir", str(tmp_path)]
    backend = BackendProcess(Launch((sys.executable, "-m", "backend.server"), REPOSITORY), options)
    try:
        with connected(endpoint) as client:
            collect(client, lambda events: Connection.CONNECTED in states(events))
            os.kill(backend.pid, signal.SIGSTOP)
            collect(client, lambda events: Connection.LOST in states(events))
            os.kill(backend.pid, signal.SIGCONT)
            collect(client, lambda events: Connection.CONNECTED in states(events))
    finally:
        os.kill(backend.pid, signal.SIGCONT)
        backend.stop()


def test_something_else_on_the_port_is_refused() -> None:
    """A web server, say."""
    KeyRing(keys_folder())
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                visitor, _ = listener.accept()
                visitor.recv(64)
                visitor.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"x" * 64)
                visitor.close()

    threading.Thread(target=serve, daemon=True).start()
    try:
        with connected(f"tcp://127.0.0.1:{listener.getsockname()[1]}") as client:
            events = collect(client, lambda events: Connection.REFUSED in states(events))
            assert "Something other than this user's FlowFace backend" in events[-1].sentence
    finally:
        listener.close()


@pytest.mark.parametrize("kind", ["another key", "no keys", "silence"])
def test_an_impostor_is_refused_and_left_when_the_backend_comes(
    kind: str, tmp_path: Path, start_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blender_addon.client.HANDSHAKE_MS", 500)
    KeyRing(keys_folder())
    port = free_port()
    endpoint = f"tcp://127.0.0.1:{port}"
    with connected(endpoint) as client:
        with contextlib.ExitStack() as stack:
            if kind == "another key":
                stack.enter_context(bare_backend(endpoint, KeyRing(tmp_path / "keys")))
            elif kind == "no keys":
                context = stack.enter_context(zmq.Context())
                stack.enter_context(context.socket(zmq.ROUTER)).bind(endpoint)
            else:
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            refused = collect(client, lambda events: Connection.REFUSED in states(events))
            assert any(
                isinstance(e, ConnectionEvent) and "Something other than this user's" in e.sentence for e in refused
            )
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:  # the port may not be free at once
            with contextlib.suppress(Exception):
                start_server(endpoint)
                break
            time.sleep(0.05)
        collect(client, lambda events: Connection.CONNECTED in states(events))


def test_bad_endpoint_is_a_sentence() -> None:
    client = Client("tcp://nowhere")
    with pytest.raises(ValueError, match="“tcp://nowhere” is not an address like tcp://127"):
        client.start()
    client.close()


def test_a_parked_client_stands_still_and_then_goes_on(start_server: Callable[..., Server]) -> None:
    with connected(start_server().endpoint) as client:
        collect(client, lambda events: Connection.CONNECTED in states(events))
        parked = False
        while not parked:  # on a busy machine its thread may not come to it in time
            with client.parked() as parked:
                request = client.send(messages.Heads())
                time.sleep(0.3)
                assert not parked or not replies(client.poll(), request)
        assert collect(client, lambda events: bool(replies(events, request)))


def test_ask_returns_the_answer_or_says_why_not(start_server: Callable[..., Server]) -> None:
    with connected(start_server().endpoint) as client, pytest.raises(RequestFailed, match="no job"):
        ask(client, messages.Result("0" * 12), timeout=WAIT)
    nobody = connected(f"tcp://127.0.0.1:{free_port()}")
    with nobody as client, pytest.raises(RequestFailed, match="Nobody answers at tcp://127"):
        ask(client, Heads(), timeout=0.2)


def test_poll_keeps_to_its_budget_however_much_has_arrived() -> None:
    """The budget bounds what one poll takes out, and nothing is lost or reordered."""
    client = Client()
    for index in range(20_000):
        client._events.put(MessageEvent(index, Heads()))
    assert client.poll(budget=0.0) == []
    taken: list[Event] = []
    rounds = 0
    while len(taken) < 20_000:
        taken += client.poll(budget=0.001)
        rounds += 1
    assert rounds > 1
    assert [event.request for event in taken if isinstance(event, MessageEvent)] == list(range(20_000))
    client.close()


def test_poll_with_a_job_in_flight(start_server: Callable[..., Server], capsys: pytest.CaptureFixture[str]) -> None:
    """Polled as Blender does while a backend works; the longest poll is printed, not asserted (DESIGN §8: 20 ms)."""
    with connected(start_server().endpoint) as client:
        collect(client, lambda events: Connection.CONNECTED in states(events))
        request = client.send(job("until-cancelled"))
        longest, polls, events = 0.0, 0, []
        while polls < 500 or not is_half_done(replies(events, request)):
            started = time.perf_counter()
            events += client.poll()
            longest = max(longest, time.perf_counter() - started)
            polls += 1
            time.sleep(0.001)
        client.send(Cancel(replies(events, request)[0].job.job_id))
    with capsys.disabled():
        print(f"\nlongest of {polls} polls with a job in flight: {longest * 1000:.2f} ms")
