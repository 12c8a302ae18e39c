"""What the parts of a live session hand each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from protocol.live import LiveCommand
from protocol.message import Message


@dataclass(frozen=True, eq=False)
class LivePicture:
    """A picture (H,W,3) RGB of a source, upright.

    ``number`` counts all of the source from 1 on, those that nobody took included; ``time`` is its moment in seconds
    since the first, by the source's clock; ``arrived`` is ``time.perf_counter()`` when it was there.
    """

    number: int
    time: float
    arrived: float
    picture: NDArray[np.uint8]


class PictureSource(Protocol):
    """A camera, or a video that plays as if it were one: it goes on whether anybody looks or not."""

    name: str
    """As the user knows it."""

    def latest(self, after: int, patience: float) -> LivePicture | None:
        """The newest picture whose number is above ``after``; waits ``patience`` seconds at most, None without one.

        Raises:
            UserError: it broke down; says what to do.
        """

    @property
    def ended(self) -> bool:
        """True where no further picture will come."""

    def again(self) -> int | None:
        """Begin anew with the first picture, even behind the last, where that can be: None of a camera.

        Gives the number of the last picture before; numbers and times go on from there.
        """

    def close(self) -> None:
        """Let go of the camera or file."""


class Outlet(Protocol):
    """Where a session's messages go and its commands come from. Nothing here waits."""

    def send(self, message: Message) -> None:
        """Send a message; a ``LivePose`` that finds no room is dropped."""

    def command(self) -> LiveCommand | None:
        """The next thing that the client asks for, None where it asks for nothing."""


class Session(Protocol):
    """What drives a head: it runs until its source ends or the client asks it to, and tells all that in states."""

    def run(self, outlet: Outlet) -> None:
        """Go on until the end.

        Raises:
            UserError: the source cannot be opened or broke down.
        """
