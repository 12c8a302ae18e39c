"""Live Link Face's packets: what was sent is read, anything else is refused in words and never by an exception."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.live.live_link import PACKET_ACTIONS, Packet, read_packet
from tests.backend.live.packets import packed

VALUES = [index / 100 for index in range(61)]
names = st.text(st.characters(categories=("L", "N"), max_codepoint=0xFFFF), max_size=40)
floats = st.floats(width=32, allow_nan=True, allow_infinity=True)


def read(data: bytes) -> Packet:
    packet = read_packet(data)
    assert isinstance(packet, Packet), packet
    return packet


@settings(max_examples=50)
@given(names, names, st.integers(0, 2**32 - 1), st.integers(0, 5_184_000))
def test_what_was_sent_is_read(device: str, subject: str, seed: int, frame: int) -> None:
    values = np.random.default_rng(seed).random(61, np.float32).tolist()
    packet = read(packed(values, frame=frame, part=0.25, rate=(60000, 1001), subject=subject, device=device))
    assert (packet.device, packet.subject) == (device, subject)
    assert packet.time == pytest.approx((frame + 0.25) * 1001 / 60000)
    np.testing.assert_allclose(packet.weights, values[:52])
    np.testing.assert_allclose(packet.head, values[52:55])
    np.testing.assert_allclose(packet.eyes, np.reshape(values[55:], (2, 3)))


def test_values_lie_where_unreal_has_them() -> None:
    """By Unreal's EARFaceBlendShape, whose left and right of jaw and mouth are the other way round in the app's CSV."""
    places = {"eyeBlinkLeft": 0, "eyeWideRight": 13, "jawForward": 14, "jawLeft": 15, "jawRight": 16, "jawOpen": 17}
    places |= {"mouthLeft": 21, "mouthRight": 22, "mouthSmileLeft": 23, "browInnerUp": 43, "tongueOut": 51}
    assert {name: PACKET_ACTIONS.index(name) for name in places} == places
    assert len(set(PACKET_ACTIONS)) == 52


@settings(max_examples=60)
@given(st.binary(max_size=600))
def test_no_bytes_raise_anything(data: bytes) -> None:
    read_packet(data)
    read_packet(b"\x06" + data)


@settings(max_examples=60)
@given(st.integers(0, 400), st.integers(0, 400), st.binary(min_size=1, max_size=8))
def test_a_damaged_packet_raises_nothing(cut: int, at: int, noise: bytes) -> None:
    whole = packed(VALUES)
    read_packet(whole[:cut])
    read_packet(whole[:at] + noise + whole[at + len(noise) :])


@settings(max_examples=60)
@given(st.dictionaries(st.integers(0, 60), floats, max_size=4))
def test_weights_are_weights_and_angles_are_finite(strange: dict[int, float]) -> None:
    values = [strange.get(index, value) for index, value in enumerate(VALUES)]
    packet = read_packet(packed(values))
    if isinstance(packet, Packet):
        assert packet.weights is not None and packet.head is not None
        assert ((packet.weights >= 0) & (packet.weights <= 1)).all() and np.isfinite(packet.head).all()
    else:
        angles = np.array(values[52:])
        assert not np.isfinite(values).all() or np.abs(angles).max() > 4 * np.pi


def test_a_phone_that_sees_no_face_says_so() -> None:
    assert read(packed(None)).weights is None
    assert read(packed(VALUES)[: 1 + 40 + 9]).weights is None, "the names alone"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty or too large"),
        (packed(VALUES) + bytes(4000), "empty or too large"),
        (b"\x07" + packed(VALUES)[1:], "capture mode"),
        (b"\x06" + struct.pack(">i", -5) + bytes(300), "break off in a name"),
        (b"\x06" + struct.pack(">i", 1 << 30) + bytes(300), "break off in a name"),
        (packed(VALUES)[:-1], "break off"),
        (packed([0.5] * 52), "52 values and not 61"),
        (packed([float("nan"), *VALUES[1:]]), "no face has"),
    ],
)
def test_anything_else_is_refused_in_words(data: bytes, why: str) -> None:
    assert why in str(read_packet(data))


def test_a_clock_without_a_rate_is_none() -> None:
    assert read(packed(VALUES, rate=(0, 0))).time is None
    assert read(packed(VALUES, rate=(60, -1))).time is None
