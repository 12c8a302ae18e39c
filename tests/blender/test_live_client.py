"""The add-on's side of a live session's connection, before a real door."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import zmq

from backend.live.door import Door
from blender_addon import live_client
from blender_addon.live_client import LiveClient, Recorded
from protocol import keys
from protocol.live import LivePhase, LivePose, LiveRecording, LiveState, LiveVerb

from .conftest import wait_until


@pytest.fixture
def ends() -> Iterator[tuple[Door, LiveClient]]:
    """Both ends of a connection."""
    own = keys.KeyPair(*(key.decode() for key in zmq.curve_keypair()))
    door = Door(keys.public_text(own.public))
    ready = json.loads(door.ready_line)
    client = LiveClient(ready["live"], ready["key"], own)
    door.send(LiveState(LivePhase.OPENING))
    wait_until(lambda: door.command() is None and bool(client.events()), lambda: None)
    yield door, client
    client.close()
    door.close()


def pose(number: int) -> LivePose:
    zero = np.zeros(3, np.float32)
    return LivePose(number, number / 30, 0.0, True, np.zeros(52, np.float32), np.zeros((2, 2), np.float32), zero, zero)


def events(client: LiveClient, kind: type[Any]) -> list[Any]:
    found: list[Any] = []
    wait_until(lambda: any(isinstance(event, kind) for event in found), lambda: found.extend(client.events()))
    return found


def test_of_poses_only_the_newest_is_there(ends: tuple[Door, LiveClient]) -> None:
    door, client = ends
    for number in range(1, 101):
        door.send(pose(number))
    door.send(LiveState(LivePhase.RUNNING, "after them"))
    assert [event.sentence for event in events(client, LiveState)] == ["after them"]
    newest = client.newest()
    assert newest is not None and newest.number == 100 and client.newest() is None
    client.send(LiveVerb.RECORD)
    client.send(LiveVerb.CALIBRATE)
    asked: list[LiveVerb] = []
    wait_until(lambda: len(asked) == 2, lambda: asked.extend(c.verb for c in [door.command()] if c is not None))
    assert asked == [LiveVerb.RECORD, LiveVerb.CALIBRATE]


def test_a_recording_has_all_that_came_meanwhile_up_to_a_bound(
    ends: tuple[Door, LiveClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    door, client = ends
    monkeypatch.setattr(live_client, "MAX_KEPT", 5)
    for count in (4, 7):
        door.send(pose(1))
        door.send(LiveState(LivePhase.RECORDING))
        for number in range(2, 2 + count):
            door.send(pose(number))
        door.send(LiveState(LivePhase.RECORDING, "still"))
        door.send(LiveRecording(1.0, count))
        door.send(pose(99))
        (recorded,) = [event for event in events(client, Recorded) if isinstance(event, Recorded)]
        assert [one.number for one in recorded.poses] == list(range(2, 2 + min(count, 5)))
        assert recorded.full == (count > 5)


def test_a_recording_whose_session_broke_off_is_not_lost(ends: tuple[Door, LiveClient]) -> None:
    door, client = ends
    door.send(LiveState(LivePhase.RECORDING))
    for number in (30, 45, 60):
        door.send(pose(number))
    wait_until(lambda: client.kept == 3, lambda: None)
    (recorded,) = [event for event in client.rest() if isinstance(event, Recorded)]
    assert [one.number for one in recorded.poses] == [30, 45, 60]
    assert recorded.told == LiveRecording(1.0, 3, first_time=1.0)


def test_it_stands_still_while_it_is_parked(ends: tuple[Door, LiveClient]) -> None:
    door, client = ends
    with client.parked() as still:
        assert still
        door.send(pose(1))
        for _ in range(20):
            assert client.newest() is None
    wait_until(lambda: client.newest() is not None, lambda: None)
