"""Live Link Face's stream: the packets that Epic's app for the iPhone sends over UDP, read from whatever bytes come.

Epic describes how the app is set up, not its packets; their layout is that of Unreal's receiver
(``FAppleARKitLiveLinkSource``, packet version 6), as the programs that read it agree (JimWest/PyLiveLinkFace,
Jules-NC/GodotARKit). All numbers are big-endian:

- a byte 6, the version;
- the device's id and the subject's name, each an int32 length and as many bytes of UTF-8;
- the frame's time: int32 frame, float32 part of a frame, int32 numerator and denominator of frames a second;
- a byte 61 and as many float32: ARKit's 52 actions, then yaw, pitch and roll of head, left and right eye, in radians.

While the app sees no face it sends the first part alone, or a count of 0. Unreal's order of the actions differs from
the app's own CSV: jawLeft comes before jawRight, mouthLeft before mouthRight. Angles have the CSV's signs
(``protocol.live_link``), as both come from the same values.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NewType

import numpy as np
from numpy.typing import NDArray

from protocol.live_link import ACTIONS

F64 = NDArray[np.float64]

LOOPBACK = "127.0.0.1"
PORT = 11111
"""Where the app sends to unless it is told otherwise."""
VERSION = 6
VALUES = 61
MAX_PACKET_BYTES = 2048
"""The app's have about 330; Unreal takes names of 255 letters."""
MAX_NAME_BYTES = 512
MAX_ANGLE = 4 * np.pi
"""Radians: no head or eye turns further."""
MAX_RATE = 1000.0
_TIME = struct.Struct(">ifii")
_SWAPPED = {"jawRight": "jawLeft", "jawLeft": "jawRight", "mouthRight": "mouthLeft", "mouthLeft": "mouthRight"}
PACKET_ACTIONS = tuple(_SWAPPED.get(name, name) for name in ACTIONS)
"""The 52 actions in the order of a packet."""

Refusal = NewType("Refusal", str)
"""Why bytes are no packet of the app's: the end of a sentence that begins with “Packets come that …”."""


@dataclass(frozen=True, eq=False)
class Packet:
    """A face at one moment as the app sends it; ``weights`` None where it sees no face.

    ``weights (52,)`` in the order of ``PACKET_ACTIONS``, 0 to 1; ``head (3,)`` and ``eyes (2,3)`` yaw, pitch, roll in
    radians, with the signs of ``protocol.live_link``. ``time`` in seconds by the phone's clock, or None.
    """

    device: str
    subject: str
    time: float | None = None
    weights: F64 | None = None
    head: F64 | None = None
    eyes: F64 | None = None


def read_packet(data: bytes) -> Packet | Refusal:
    """The packet that some bytes are, or why they are none. Raises nothing, whatever the bytes."""
    if not data or len(data) > MAX_PACKET_BYTES:
        return Refusal("are empty or too large")
    if data[0] != VERSION:
        return Refusal("are not those of Live Link Face: choose “Live Link (ARKit)” as the app's capture mode")
    device, at = _text(data, 1)
    subject, at = _text(data, at)
    if device is None or subject is None:
        return Refusal("break off in a name")
    if at + _TIME.size > len(data):
        return Packet(device, subject)
    time = _seconds(*_TIME.unpack_from(data, at))
    at += _TIME.size
    count = data[at] if at < len(data) else 0
    if count == 0:
        return Packet(device, subject, time)
    if count != VALUES or len(data) - at - 1 < 4 * VALUES:
        return Refusal(f"hold {count} values and not {VALUES}, or break off")
    values = np.frombuffer(data, ">f4", VALUES, at + 1).astype(np.float64)
    if not np.isfinite(values).all() or np.abs(values[len(ACTIONS) :]).max() > MAX_ANGLE:
        return Refusal("hold numbers that no face has")
    weights, angles = values[: len(ACTIONS)], values[len(ACTIONS) :].reshape(3, 3)
    return Packet(device, subject, time, np.clip(weights, 0.0, 1.0), angles[0], angles[1:])


def _text(data: bytes, at: int) -> tuple[str | None, int]:
    """A text with its length before it, and where it ends; None where there is none."""
    if at + 4 > len(data):
        return None, at
    length = int.from_bytes(data[at : at + 4], "big", signed=True)
    end = at + 4 + length
    if not 0 <= length <= MAX_NAME_BYTES or end > len(data):
        return None, at
    text = data[at + 4 : end].decode("utf-8", "replace").rstrip("\0")
    return "".join(letter if letter.isprintable() else "?" for letter in text), end


def _seconds(frame: int, part: float, numerator: int, denominator: int) -> float | None:
    if numerator <= 0 or denominator <= 0 or numerator / denominator > MAX_RATE:
        return None
    return (frame + (part if 0.0 <= part < 1.0 else 0.0)) * denominator / numerator
