"""What a live session says survives the wire, and nothing else gets through."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.codec import ProtocolError
from protocol.live import (
    LiveCommand,
    LivePhase,
    LivePose,
    LiveRecording,
    LiveState,
    LiveVerb,
    pack_live,
    unpack_live,
)
from protocol.message import Message


def pose(expressions: int = 52) -> LivePose:
    numbers = np.linspace(-1, 1, expressions + 10, dtype=np.float32)
    return LivePose(
        7, 0.25, 0.031, True, numbers[:expressions], numbers[-4:].reshape(2, 2), numbers[-7:-4], numbers[-10:-7]
    )


def arrived(message: Message) -> Any:
    return unpack_live([bytes(frame) for frame in pack_live(message)])


@given(st.integers(0, 120))
def test_a_pose_arrives_as_it_was_sent(expressions: int) -> None:
    sent = pose(expressions)
    came = arrived(sent)
    assert (came.number, came.time, came.age, came.seen) == (7, 0.25, 0.031, True)
    for name in ("expression", "gaze", "head_rotation", "head_translation"):
        np.testing.assert_array_equal(getattr(came, name), getattr(sent, name))


@pytest.mark.parametrize(
    "message",
    [
        LiveState(LivePhase.CALIBRATING, "Look at the camera.", "Keep still.", 0.5, "Webcam 2", 29.5, 41.0, 3),
        LiveCommand(LiveVerb.STOP_RECORDING),
        LiveRecording(2.5, 75, "/somewhere/live.mp4", 74, 30.0, 0.04),
    ],
)
def test_the_others_arrive_as_they_were_sent(message: Message) -> None:
    assert arrived(message) == message


@pytest.mark.parametrize("field", ["expression", "gaze", "head_rotation", "head_translation"])
@pytest.mark.parametrize("value", [np.full(3, np.nan, np.float32), np.zeros((5, 5, 5), np.float32), np.zeros(3)])
def test_a_pose_of_other_numbers_is_refused_by_its_field(field: str, value: Any) -> None:
    sent = pose()
    object.__setattr__(sent, field, value)
    fields, arrays = sent.to_wire()
    arrays[field] = value
    with pytest.raises(ProtocolError, match=f"live_pose.{field}"):
        LivePose.from_wire(fields, arrays)


@given(st.lists(st.binary(max_size=40), max_size=4))
def test_whatever_the_bytes_nothing_but_a_sentence(frames: list[bytes]) -> None:
    with pytest.raises(ProtocolError):
        unpack_live(frames)
