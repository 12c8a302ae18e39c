"""Where a take stands on the timeline, and how fast it plays. A run counts frames as its footage does."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from ..vendor import take as contract
from . import span

TIMING = "flowface_timing"
"""The collection's property: ``Timing``'s numbers; none while the scene counts frames as the footage does."""


@dataclass(frozen=True)
class Timing:
    """The footage's frame ``first`` is on the scene's frame ``start``; ``speed`` frames of it pass in one of those."""

    first: float
    start: float
    speed: float = 1.0

    def at(self, frames: Any) -> Any:
        """Scene frames of the footage's."""
        return self.start + (frames - self.first) / self.speed

    def home(self, frames: Any) -> Any:
        """The footage's frames of the scene's."""
        return self.first + (frames - self.start) * self.speed

    @property
    def plain(self) -> bool:
        """True where the scene counts as the footage does."""
        return self.start == self.first and self.speed == 1.0


def timing_of(collection: Any) -> Timing:
    """The timing of a take."""
    numbers = collection.get(TIMING)
    if numbers is not None:
        return Timing(*(float(number) for number in numbers))
    there = span.span_of(collection)
    first = there[0] if there is not None else 1.0
    return Timing(first, first)


def retimed(take: contract.TakeResult, timing: Timing) -> contract.TakeResult:
    """A run on the scene's frames."""
    if timing.plain:
        return take
    return dataclasses.replace(take, scene_frames=timing.at(take.scene_frames))


def scene_span(collection: Any) -> tuple[float, float] | None:
    """First and last frame of a take in the scene."""
    there, timing = span.span_of(collection), timing_of(collection)
    return (float(timing.at(there[0])), float(timing.at(there[1]))) if there is not None else None
