"""The two ends of a session in tests: pictures that come, and somebody who listens."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

import numpy as np

from backend.errors import ErrorCode, UserError
from backend.live.types import LivePicture
from protocol.live import LiveCommand, LivePose, LiveVerb
from protocol.message import Message


class Pictures:
    """A source that gives the pictures with these numbers, one each time that somebody looks; None is a camera that
    breaks down."""

    name = "made"

    def __init__(self, pictures: Sequence[np.ndarray | None], numbers: Sequence[int], rate: float) -> None:
        self._all = list(zip(pictures, numbers, strict=True))
        self._left = deque(self._all)
        self._rate = rate
        self.closed = False

    def latest(self, after: int, patience: float) -> LivePicture | None:  # noqa: ARG002
        if not self._left:
            return None
        picture, number = self._left.popleft()
        if picture is None:
            raise UserError(ErrorCode.CAMERA_UNREADABLE, "The camera “made” gives no pictures.")
        return LivePicture(number, (number - 1) / self._rate, time.perf_counter(), picture)

    @property
    def ended(self) -> bool:
        return not self._left

    def again(self) -> int | None:
        return None

    def close(self) -> None:
        self.closed = True


class Played(Pictures):
    """Pictures of a video, which can begin anew."""

    rounds = 1

    def again(self) -> int:
        last = self._left[0][1] - 1 if self._left else self._all[-1][1]
        self._all = [(picture, last + 1 + place) for place, (picture, _) in enumerate(self._all)]
        self._left = deque(self._all)
        self.rounds += 1
        return last


class Listener:
    """An outlet that keeps all it is sent, and asks for things once so many poses were sent."""

    def __init__(self, wishes: dict[float, LiveVerb] | None = None) -> None:
        self.sent: list[Message] = []
        self._wishes = dict(wishes or {})

    def send(self, message: Message) -> None:
        self.sent.append(message)

    def command(self) -> LiveCommand | None:
        poses = len(self.of(LivePose))
        wished = next((at for at in self._wishes if at <= poses), None)
        return None if wished is None else LiveCommand(self._wishes.pop(wished))

    def of(self, kind: type[Message]) -> list:
        return [message for message in self.sent if isinstance(message, kind)]
