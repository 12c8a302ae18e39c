"""A live session's door: for one client and no other, never in its session's way, and shut when nobody is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import zmq

from backend.errors import ErrorCode, UserError
from backend.live import door as door_module
from backend.live.door import WAITING, Door, serve
from backend.live.types import Outlet
from protocol import keys
from protocol.live import LiveCommand, LivePhase, LivePose, LiveState, LiveVerb, pack_live, unpack_live

WAIT = 20.0


def pair() -> keys.KeyPair:
    public, secret = (key.decode() for key in zmq.curve_keypair())
    return keys.KeyPair(public, secret)


class Caller:
    """A client with a pair of keys, as zmq has it."""

    def __init__(self, ready_line: str, own: keys.KeyPair) -> None:
        ready = json.loads(ready_line)
        self.context: zmq.Context[Any] = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.curve_serverkey = keys.public_from_text(ready["key"]).encode()
        self.socket.curve_publickey, self.socket.curve_secretkey = own.public.encode(), own.secret.encode()
        self.socket.rcvhwm = 10
        self.socket.connect(ready["live"])

    def receive(self, seconds: float = WAIT) -> Any:
        assert self.socket.poll(int(1000 * seconds)), "nothing came"
        return unpack_live(self.socket.recv_multipart())

    def close(self) -> None:
        self.context.destroy(linger=0)


@pytest.fixture
def own() -> keys.KeyPair:
    return pair()


@pytest.fixture
def door(own: keys.KeyPair) -> Iterator[Door]:
    opened = Door(keys.public_text(own.public))
    yield opened
    opened.close()


def wait_for(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WAIT
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return value


def pose(number: int, size: int = 52) -> LivePose:
    zero = np.zeros(3, np.float32)
    return LivePose(
        number, number / 30, 0.01, True, np.zeros(size, np.float32), np.zeros((2, 2), np.float32), zero, zero
    )


def state(sentence: str) -> LiveState:
    return LiveState(LivePhase.RUNNING, sentence)


def test_both_sides_hear_each_other(door: Door, own: keys.KeyPair) -> None:
    door.send(state("before anybody is there"))
    door.send(pose(1))
    client = Caller(door.ready_line, own)
    wait_for(lambda: door.command() is None and client.socket.poll(10))
    assert client.receive() == state("before anybody is there"), "a state is never dropped, a pose is"
    door.send(pose(2))
    assert client.receive().number == 2
    client.socket.send_multipart(pack_live(LiveCommand(LiveVerb.RECORD)))
    client.socket.send_multipart([b"no message"])
    client.socket.send_multipart(pack_live(LiveCommand(LiveVerb.CALIBRATE)))
    assert wait_for(door.command).verb is LiveVerb.RECORD
    assert wait_for(door.command).verb is LiveVerb.CALIBRATE
    client.close()


def test_nobody_else_is_let_in(door: Door, own: keys.KeyPair) -> None:
    stranger, client = Caller(door.ready_line, pair()), Caller(door.ready_line, own)
    stranger.socket.send_multipart(pack_live(LiveCommand(LiveVerb.END)))
    client.socket.send_multipart(pack_live(LiveCommand(LiveVerb.RECORD)))
    door.send(state("for one"))
    assert wait_for(door.command).verb is LiveVerb.RECORD
    door.send(state("for one"))
    assert client.receive() == state("for one")
    time.sleep(0.3)
    assert door.command() is None and not stranger.socket.poll(0)
    stranger.close()
    client.close()


def test_poses_drop_and_states_wait_where_the_client_does_not_read(door: Door, own: keys.KeyPair) -> None:
    client = Caller(door.ready_line, own)
    door.send(state("hello"))
    wait_for(lambda: door.command() is None and client.socket.poll(10))
    started, count = time.monotonic(), 20 * WAITING
    for number in range(1, count):
        door.send(pose(number, 4000))
    door.send(LiveState(LivePhase.RECORDING, "recording"))
    door.send(pose(count))
    assert time.monotonic() - started < 10, "nothing waits"
    seen = []
    while not isinstance(message := client.receive(), LiveState) or message.phase is not LivePhase.RECORDING:
        seen.append(message)
        door.command()
    numbers = [message.number for message in seen if isinstance(message, LivePose)]
    assert numbers == sorted(numbers) and 0 < len(numbers) < count / 2, "what finds no room is dropped"
    door.send(pose(count + 1))
    assert client.receive().number == count + 1
    client.close()


def test_a_session_without_a_client_ends(own: keys.KeyPair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "AWAY_SECONDS", 0.5)
    monkeypatch.setattr(door_module, "FIRST_SECONDS", 20.0)
    door = Door(keys.public_text(own.public))
    client = Caller(door.ready_line, own)
    door.send(state("hello"))
    wait_for(lambda: door.command() is None and client.socket.poll(10))
    time.sleep(0.7)
    assert door.command() is None, "it is there"
    client.close()
    assert wait_for(door.command).verb is LiveVerb.END
    door.close()


def test_a_session_without_the_process_that_started_it_ends(own: keys.KeyPair) -> None:
    parent = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    door = Door(keys.public_text(own.public), parent.pid)
    assert door.command() is None
    parent.communicate(b"\n")
    assert wait_for(door.command).verb is LiveVerb.END
    door.close()


def test_what_is_no_key_is_refused() -> None:
    with pytest.raises(UserError) as refused:
        Door("flowface1-nothing")
    assert refused.value.code == ErrorCode.BAD_KEYS


class NoCamera:
    """A session whose source is not there."""

    def run(self, outlet: Outlet) -> None:  # noqa: ARG002 - what a session has
        raise UserError(ErrorCode.FILE_MISSING, "There is no camera “Studio”.", "There is “Webcam”.")


def test_a_session_that_cannot_run_says_why(own: keys.KeyPair, capsys: pytest.CaptureFixture[str]) -> None:
    """Through the whole of ``serve``, with a client that comes when the session has failed already."""
    done: list[int] = []
    thread = threading.Thread(target=lambda: done.append(serve(keys.public_text(own.public), os.getpid(), NoCamera)))
    lines: list[str] = []

    def printed() -> bool:
        lines.extend(capsys.readouterr().out.splitlines())
        return bool(lines)

    thread.start()
    wait_for(printed)
    ready = json.loads(lines[0])
    assert ready["live"].startswith("tcp://127.0.0.1:") and ready["pid"] == os.getpid()
    client = Caller(lines[0], own)
    assert client.receive() == LiveState(LivePhase.FAILED, "There is no camera “Studio”.", "There is “Webcam”.")
    thread.join(WAIT)
    assert done == [2]
    client.close()
