"""Who gets through the backend's door, on this machine and from others, and how much of it anybody may have."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import sys
from functools import partial

import pytest
import zmq
from PIL import Image
from typer.testing import CliRunner
from zmq.utils.monitor import recv_monitor_message

from backend.client import jobs_cli
from backend.client.address import Address
from backend.client.connection import Client
from backend.client.handshake import authenticate
from backend.errors import UserError
from backend.server.app import Server
from backend.server.connections import MAX_CONNECTIONS
from backend.server.door import Door
from backend.server.endpoint import network_endpoint
from backend.server.keys import KeyRing, keys_folder, new_pair
from protocol import messages as m
from protocol.keys import Access, access_from_text, own_access

from .conftest import running
from .curve import address, bare_backend

pytestmark = pytest.mark.slow

WAIT_MS = 60_000
"""Only keeps a broken test from hanging."""
MIB = 1 << 20
LINUX_ONLY = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how many bytes a connection brought")


@pytest.fixture
def ring(tmp_path, monkeypatch):
    """Keys of this test alone."""
    monkeypatch.setenv("FLOWFACE_STATE_DIR", str(tmp_path / "state"))
    return KeyRing(keys_folder())


@pytest.fixture
def open_server(ring, tmp_path):  # noqa: ARG001 - it is the keys' folder
    """A backend that listens to the network, too, here at a loopback address."""
    server = Server(
        tmp_path / "jobs", "tcp://127.0.0.1:*", runner="tests.backend.server.runners:run", network="tcp://127.0.0.1:*"
    )
    with running(server):
        yield server


@pytest.fixture(params=["this machine", "network"])
def listener(request, open_server):
    """Each of its two addresses."""
    return open_server.endpoint if request.param == "this machine" else open_server.network_endpoint


@contextlib.contextmanager
def dealer(endpoint, access=None, **options):
    """A bare socket and the events of its connection."""
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.linger = 0
    for name, value in options.items():
        setattr(socket, name, value)
    if access is not None:
        authenticate(socket, access)
    monitor = socket.get_monitor_socket()
    socket.connect(endpoint)
    try:
        yield socket, monitor
    finally:
        context.destroy(linger=0)


def wait_for(monitor, *events):
    """The first of these events of a connection."""
    while monitor.poll(WAIT_MS):
        event = recv_monitor_message(monitor)["event"]
        if event in events:
            return event
    raise AssertionError("nothing happened")


def hello(socket):
    socket.send_multipart(m.pack(m.Hello("test"), 1))
    assert socket.poll(WAIT_MS), "no answer"
    return m.unpack(socket.recv_multipart())[0]


@pytest.mark.parametrize("kind", ["null", "plain", "another backend's key", "an unknown client's key"])
def test_without_the_right_keys_there_is_no_answer(ring, listener, kind):
    options = {"plain_username": b"root", "plain_password": b"root"} if kind == "plain" else {}
    access = {
        "another backend's key": Access(new_pair().public, ring.user.secret),
        "an unknown client's key": Access(ring.backend.public, new_pair().secret),
    }.get(kind)
    with dealer(listener, access, **options) as (peer, monitor):
        peer.send_multipart(m.pack(m.Hello("test"), 1))
        ended = wait_for(monitor, zmq.EVENT_DISCONNECTED, zmq.EVENT_HANDSHAKE_SUCCEEDED)
        assert ended == zmq.EVENT_DISCONNECTED
        assert not peer.poll(0)


def test_whoever_is_not_let_in_learns_no_version(listener):
    host, port = listener.removeprefix("tcp://").split(":")
    with socket.create_connection((host, int(port))) as bare:
        bare.sendall(b"GET / HTTP/1.1\r\n\r\n" + bytes(200))
        heard = b""
        with contextlib.suppress(ConnectionError):
            while piece := bare.recv(4096):
                heard += piece
    assert b"lowface" not in heard.lower() and len(heard) <= 64  # at most ZeroMQ's greeting


def test_each_key_counts_on_its_own_side_only(ring, open_server):
    guest = access_from_text(ring.new_client("Anna"))
    with Client(Address(open_server.network_endpoint, guest)) as client:
        assert client.jobs() == ()
        with pytest.raises(UserError) as caught:
            client.shutdown()
        assert caught.value.code == "not_allowed"
    for endpoint, access in ((open_server.endpoint, guest), (open_server.network_endpoint, own_access())):
        with pytest.raises(UserError) as caught:
            Client(endpoint, access=access)
        assert caught.value.code == "unknown_key"


def test_a_guest_learns_nothing_of_others_jobs_nor_of_folders(ring, open_server, tmp_path):
    guest = access_from_text(ring.new_client("Anna"))
    Image.new("RGB", (8, 8)).save(tmp_path / "quick.png")
    spec, seen = m.TrackJob((m.ViewSpec(str(tmp_path / "quick.png")),)), []
    with Client(open_server.endpoint) as own, Client(Address(open_server.network_endpoint, guest)) as client:
        theirs = own.wait(own.submit(spec).job_id).job_id
        following = [lambda: client.submit(m.ExportJob(theirs, "bvh")), lambda: client.submit(m.RefineJob(theirs))]
        for state in ("as it is", "damaged"):
            if state == "damaged":
                (tmp_path / "jobs" / theirs / "state.json").write_text("{")
            asks = (client.status, client.cancel, client.result, client.remove)
            following.extend(partial(ask, theirs) for ask in asks)
            for ask in following:
                with pytest.raises(UserError) as caught:
                    ask()
                assert caught.value.code == "unknown_job" and str(tmp_path) not in str(caught.value)
        job = client.submit(client.send_files(spec).job)
        client.wait(job.job_id, seen.append)
        seen += [job, client.cancel(job.job_id), *client.jobs()]
    assert not [status for status in seen if str(tmp_path) in repr(status)]


def test_the_list_of_jobs_from_another_machine(ring, open_server):
    arguments = ["--endpoint", open_server.network_endpoint, "--key", ring.new_client("Anna")]
    assert CliRunner().invoke(jobs_cli.app, arguments).output == "There are no jobs.\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows' sockets are no file descriptors")
def test_revoking_ends_the_running_connection_and_no_other(ring, open_server):
    anna, ben = (access_from_text(ring.new_client(name)) for name in ("Anna", "Ben"))
    endpoint = open_server.network_endpoint
    with dealer(endpoint, anna) as (revoked, events), dealer(endpoint, ben) as (other, other_events):
        assert isinstance(hello(revoked), m.Welcome) and isinstance(hello(other), m.Welcome)
        ring.revoke("Anna")
        wait_for(events, zmq.EVENT_DISCONNECTED)
        wait_for(events, zmq.EVENT_HANDSHAKE_FAILED_AUTH)  # it may not come again
        assert isinstance(hello(other), m.Welcome)
        seen = set()
        while other_events.poll(0):
            seen.add(recv_monitor_message(other_events)["event"])
        assert zmq.EVENT_DISCONNECTED not in seen


@LINUX_ONLY
@pytest.mark.parametrize("parts", [[bytes(MIB)] * 64, [b"x"] * 300_000], ids=["large parts", "small parts"])
def test_a_message_without_an_end_ends_its_connection(server, client, parts):
    with dealer(server.endpoint, own_access()) as (rude, events):
        wait_for(events, zmq.EVENT_HANDSHAKE_SUCCEEDED)
        rude.send_multipart(parts, copy=False)
        wait_for(events, zmq.EVENT_DISCONNECTED)
        assert client.jobs() == ()


def test_a_whole_message_of_more_than_a_request_is_dropped(server, client):
    with dealer(server.endpoint, own_access()) as (rude, events):
        wait_for(events, zmq.EVENT_HANDSHAKE_SUCCEEDED)
        rude.send_multipart([*m.pack(m.Hello("test"), 1), *[bytes(MIB)] * 5])
        rude.send_multipart(m.pack(m.Jobs(), 2))
        if sys.platform != "win32":
            wait_for(events, zmq.EVENT_DISCONNECTED)
        assert client.jobs() == ()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows' sockets are no file descriptors")
def test_a_flood_of_connections_keeps_nobody_out(server):
    place = ("127.0.0.1", int(server.endpoint.rsplit(":", 1)[1]))
    with contextlib.ExitStack() as stack:
        flood = {stack.enter_context(socket.create_connection(place)) for _ in range(MAX_CONNECTIONS + 50)}
        left = set(flood)
        while len(left) > MAX_CONNECTIONS:  # the oldest are ended
            ready, _, _ = select.select(left, [], [], WAIT_MS / 1000)
            assert ready, "nobody was ended"
            left -= {visitor for visitor in ready if not visitor.recv(64)}
        with Client(server.endpoint) as client:
            assert client.jobs() == ()


def test_a_client_that_does_not_read_is_let_go_alone(ring, monkeypatch):
    monkeypatch.setattr("backend.server.listener.MAX_UNTAKEN_BYTES", 16 * MIB)
    context = zmq.Context()
    door = Door(context, ring, "tcp://127.0.0.1:*")
    try:
        with (
            dealer(door.endpoint, own_access(), rcvhwm=1) as (slow, _),
            dealer(door.endpoint, own_access()) as (other, _),
        ):
            slow_peer, other_peer = (arrival(door, peer) for peer in (slow, other))
            assert door.send(slow_peer, [bytes(32 * MIB)]) and door.send(other_peer, [bytes(MIB)])
            assert other.poll(WAIT_MS) and other.recv(), "one answer may be larger than the bound"
            sent = 0
            while door.send(slow_peer, [bytes(MIB)]):
                sent += 1
                assert sent < 1000
            assert sent >= 16
            assert door.send(other_peer, [bytes(MIB)]) and other.poll(WAIT_MS)
    finally:
        door.close()
        context.destroy(linger=0)


def arrival(door, peer):
    """Who a bare socket is to the door."""
    peer.send(b"here")
    assert door.sockets[0].poll(WAIT_MS)
    return door.receive(door.sockets[0]).peer


@pytest.mark.usefixtures("ring")
def test_an_impostor_is_refused(tmp_path):
    with bare_backend(keys=KeyRing(tmp_path / "impostor")) as other, pytest.raises(UserError, match="not this user"):
        Client(address(other))
    context = zmq.Context()
    listening = context.socket(zmq.ROUTER)
    port = listening.bind_to_random_port("tcp://127.0.0.1")
    with pytest.raises(UserError, match="not this user"):
        Client(f"tcp://127.0.0.1:{port}")
    context.destroy(linger=0)


AS_ANOTHER_USER = """
import encodings.idna, os, sys
from pathlib import Path
import zmq
from zmq.utils.monitor import recv_monitor_message
from backend.client.connection import Client
from backend.errors import UserError
from backend.server.keys import keys_folder, new_pair
from protocol import messages as m
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
for name in ("user.key", "backend.key", "trusted.json"):
    try:
        (keys_folder() / name).read_bytes()
        print("read", name)
    except PermissionError:
        pass
for endpoint in sys.argv[1:]:
    try:
        Client(endpoint)
        print("client")
    except UserError as error:
        assert error.code == "bad_key", error.code
    for curve in (False, True):
        dealer = zmq.Context.instance().socket(zmq.DEALER)
        if curve:
            own = new_pair()
            dealer.curve_serverkey = new_pair().public.encode()
            dealer.curve_publickey, dealer.curve_secretkey = own.public.encode(), own.secret.encode()
        monitor = dealer.get_monitor_socket(zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED)
        dealer.connect(endpoint)
        dealer.send_multipart(m.pack(m.Hello("test"), 1))
        if not monitor.poll(60_000) or recv_monitor_message(monitor)["event"] != zmq.EVENT_DISCONNECTED:
            print("connected")
        if dealer.poll(0):
            print("answer", dealer.recv_multipart())
print("tried")
"""


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can be somebody else")
def test_another_user_of_this_machine_gets_no_answer(ring, open_server, tmp_path, repo_root):
    ring.new_client("Anna")
    (tmp_path / "state").chmod(0o755)  # as a home folder may be: only the folder of the keys is closed
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o001 == 0 and folder.is_relative_to(tmp_path.parents[1]):
            folder.chmod(0o711)
    done = subprocess.run(
        [sys.executable, "-c", AS_ANOTHER_USER, open_server.endpoint, open_server.network_endpoint],
        env={**os.environ, "PYTHONPATH": str(repo_root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "tried\n"), done.stderr


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("tcp://0.0.0.0:5794", "tcp://0.0.0.0:5794"),
        ("tcp://*:*", "tcp://0.0.0.0:*"),
        ("tcp://[::]:5794", "tcp://[::]:5794"),
        ("tcp://localhost:5794", "tcp://127.0.0.1:5794"),
    ],
)
def test_addresses_of_the_network_are_taken(endpoint, expected):
    assert network_endpoint(endpoint) == expected


@pytest.mark.parametrize("endpoint", ["tcp://studio:5794", "tcp://0.0.0.0", "tcp://0.0.0.0:70000", "ipc:///tmp/x", ""])
def test_what_is_no_address_of_the_network_is_a_sentence(endpoint):
    with pytest.raises(UserError) as caught:
        network_endpoint(endpoint)
    assert caught.value.code == "bad_endpoint"
