"""Where Live Link Face's packets arrive: a UDP socket, the subjects that send, and the clock of the followed one.

UDP has no sender that could be known: whoever reaches the port can move the head. It listens on this machine alone
unless it is told otherwise, and takes nothing but numbers of a face.
"""

from __future__ import annotations

import contextlib
import ipaddress
import select
import socket
import time
from dataclasses import dataclass

from backend.errors import ErrorCode, UserError
from backend.live.live_link import LOOPBACK, MAX_PACKET_BYTES, PORT, Packet, Refusal, read_packet

EVERYWHERE = "0.0.0.0"
MAX_AT_ONCE = 512
"""Packets that are taken in one go: eight seconds of a phone's."""
MAX_SUBJECTS = 32
AHEAD = 1.0
"""Seconds by which a phone's clock may advance more than this machine's between two packets: beyond it was set, or the
day is over."""


@dataclass(frozen=True, eq=False)
class Arrived:
    """A packet of the subject that is followed: its number from 1 on, its moment and when it arrived.

    ``time`` is seconds since the first one, by the phone's clock as long as that goes on; ``arrived`` is
    ``time.perf_counter()``.
    """

    packet: Packet
    number: int
    time: float
    arrived: float


class LiveLinkReceiver:
    """A bound UDP socket. Not for several threads at once."""

    def __init__(self, port: int = PORT, bind: str = LOOPBACK, subject: str = "") -> None:
        """Listen at a port (0: any free one) of an address of this machine; follow a subject by name, "" for the first.

        Raises:
            UserError: ``bad_option`` for what is no address, ``in_use`` where the port cannot be had.
        """
        self.subject = subject
        self.others: list[str] = []
        """Names of further subjects that send, in the order in which they came."""
        self.refused = ""
        """The last reason for which something that came was no packet."""
        self._number = 0
        self._clock = _Clock()
        family = socket.AF_INET6 if _address(bind).version == 6 else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.bind((bind, port))
        except (OSError, OverflowError) as error:
            self._socket.close()
            why = error.strerror if isinstance(error, OSError) else "there is no such port"
            raise UserError(
                ErrorCode.IN_USE,
                f"Live Link Face cannot be listened to at {bind}, port {port}: {why}.",
                "Another program (Unreal, another Blender) may have the port: end it, or choose another one here and "
                "in the app.",
            ) from error
        self._socket.setblocking(False)
        self.port = int(self._socket.getsockname()[1])
        self.everywhere = _address(bind).is_unspecified

    def take(self, patience: float) -> list[Arrived]:
        """All packets of the subject that have come, the newest last; waits ``patience`` seconds at most for one."""
        select.select([self._socket], [], [], patience)
        taken = []
        for _ in range(MAX_AT_ONCE):
            data = self._receive()
            if data is None:
                break
            if not data:
                continue
            packet = read_packet(data)
            if not isinstance(packet, Packet):
                self.refused = Refusal(packet)
            elif self._is_followed(packet.subject):
                self._number += 1
                now = time.perf_counter()
                taken.append(Arrived(packet, self._number, self._clock.at(packet.time, now), now))
        return taken

    def close(self) -> None:
        """Let go of the port."""
        self._socket.close()

    def _receive(self) -> bytes | None:
        """The bytes that came, b"" where the system tells of a trouble with others; None where there are none."""
        try:
            return self._socket.recv(MAX_PACKET_BYTES + 1)
        except BlockingIOError:
            return None
        except OSError:  # such as Windows' of a packet that is larger
            return b""

    def _is_followed(self, subject: str) -> bool:
        self.subject = self.subject or subject
        if subject != self.subject and subject not in self.others and len(self.others) < MAX_SUBJECTS:
            self.others.append(subject)
        return subject == self.subject


class _Clock:
    """Seconds since the first packet, by the phone's clock as long as that can be believed, else by arrival."""

    def __init__(self) -> None:
        self._time = 0.0
        self._last: tuple[float | None, float] | None = None

    def at(self, told: float | None, arrived: float) -> float:
        """The moment of a packet whose phone ``told`` a time, and that ``arrived`` by ``time.perf_counter``."""
        if self._last is not None:
            before, arrived_before = self._last
            passed = arrived - arrived_before
            by_phone = told - before if told is not None and before is not None else -1.0
            self._time += by_phone if 0.0 < by_phone < passed + AHEAD else passed
        self._last = told, arrived
        return self._time


def own_addresses() -> list[str]:
    """Addresses at which another machine may reach this one, the likeliest first; none where there is no network."""
    found: dict[str, None] = {}
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # nothing is sent: the system only says by which way it would go
        found[str(probe.getsockname()[0])] = None
    with contextlib.suppress(OSError):
        for entry in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET):
            found[str(entry[4][0])] = None
    return [address for address in found if not ipaddress.ip_address(address).is_loopback]


def _address(bind: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(bind)
    except ValueError:
        raise UserError(
            ErrorCode.BAD_OPTION,
            f"“{bind[:80]}” is not an address of this machine, such as {LOOPBACK}.",
            f"Leave it out, or give {EVERYWHERE} to listen to a phone in your network.",
        ) from None
