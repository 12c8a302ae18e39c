"""Packets as Live Link Face sends them, packed by hand from the description of their layout."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

DEVICE = "D3AF0D1C-6E2A-4C8B-9F70-2B1E5A7C9D00"


def packed(
    values: Sequence[float] | None,
    *,
    frame: int = 0,
    part: float = 0.0,
    rate: tuple[int, int] = (60, 1),
    subject: str = "Phone",
    device: str = DEVICE,
) -> bytes:
    """A packet of version 6; without ``values`` that of a phone that sees no face."""
    head = b"\x06"
    for text in (device, subject):
        raw = text.encode()
        head += struct.pack(">i", len(raw)) + raw
    head += struct.pack(">ifii", frame, part, *rate)
    return head + (struct.pack(">B", 0) if values is None else struct.pack(f">B{len(values)}f", len(values), *values))


class Phone:
    """Sends packets to a port of this machine, counting frames at 60 a second."""

    def __init__(self, port: int, subject: str = "Phone") -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._to, self._subject = ("127.0.0.1", port), subject
        self.frame = 1000

    def send(self, values: Sequence[float] | None) -> None:
        """Send the next frame."""
        self.frame += 1
        self._socket.sendto(packed(values, frame=self.frame, subject=self._subject), self._to)

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()
