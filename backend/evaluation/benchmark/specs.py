"""The benchmark's sequences: people × performances, each drawn from a seed of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from backend.datasets.splits import PEOPLES, SPLITS, People, Split, identity_modes

PerformanceName = Literal["speech", "gaze", "extreme", "turns"]
PERFORMANCES: tuple[PerformanceName, ...] = ("speech", "gaze", "extreme", "turns")

VERSION = 1
"""Counts up whenever the same seed would give other pictures or another truth."""

DEFAULT_SEED = 20260
PEOPLE = 10
SHORTEST, LONGEST = 60, 120  # frames
SHORTEST_TURNS = 96  # a head needs time to turn to both sides, up and down
FRAME_RATE = 25.0
SIDE = 512

_QUICK_PEOPLE = 2
_QUICK_PERFORMANCES: tuple[PerformanceName, ...] = ("speech", "turns")
_QUICK_FRAMES = 30
_IDENTITY_BOUND = 2.0  # standard deviations; beyond, the first modes make caricatures


@dataclass(frozen=True)
class SequenceSpec:
    """One sequence of the benchmark, before it is rendered: ``side``² pixels, ``frame_count`` frames.

    Everything random about it follows from ``split``, ``seed``, ``person`` and ``performance``.
    """

    split: Split
    seed: int
    person: int
    performance: PerformanceName
    frame_count: int
    frame_rate: float = FRAME_RATE
    side: int = SIDE
    people: People = "ict"

    @property
    def name(self) -> str:
        size = "" if self.side == SIDE else f"_{self.side}px"
        people = "" if self.people == "ict" else f"{self.people}_"
        return f"{people}{self.split}_{self.person:02}_{self.performance}_{self.frame_count}{size}"

    def random(self, what: str, *, whole_person: bool = False) -> np.random.Generator:
        """A generator for one aspect of this sequence, or of this person in all their sequences."""
        words = [self.split, what, "" if whole_person else self.performance]
        words += [] if self.people == "ict" else [self.people]
        numbers = [byte for word in words for byte in (*word.encode(), 0)]
        return np.random.default_rng([self.seed, VERSION, self.person, *numbers])

    def identity(self, count: int) -> NDArray[np.float32]:
        """Identity coefficients (count,), which are zero on the modes that the split may not use."""
        coefficients = np.zeros(count, np.float32)
        if self.people == "makehuman":
            coefficients[person_mode(self.split, self.person)] = 1
            return coefficients
        modes = identity_modes(self.split, count)
        drawn = self.random("identity", whole_person=True).standard_normal(len(modes))
        coefficients[modes] = np.clip(drawn, -_IDENTITY_BOUND, _IDENTITY_BOUND)
        return coefficients


def person_mode(split: Split, person: int) -> int:
    """The identity mode of a MakeHuman person, who are one mode each: dev's ten, then test's ten."""
    return person % PEOPLE + (PEOPLE if split == "test" else 0)


def benchmark_sequences(
    split: Split = "test",
    quick: bool = False,
    seed: int = DEFAULT_SEED,
    peoples: Sequence[People] = PEOPLES,
    persons: int | None = None,
) -> list[SequenceSpec]:
    """The sequences of a split: 10 people × 4 performances of 60 to 120 frames, or for ``quick`` 2 × 2 of 30 frames.

    Of each of ``peoples``, or only of the first ``persons`` of each.
    """
    if split not in SPLITS:
        raise ValueError(f"there is no split {split!r}; there are {', '.join(SPLITS)}")
    people, performances = (_QUICK_PEOPLE, _QUICK_PERFORMANCES) if quick else (PEOPLE, PERFORMANCES)
    specs = []
    people = people if persons is None else min(people, persons)
    for kind, person, performance in product(peoples, range(people), performances):
        length = np.random.default_rng([seed, person, PERFORMANCES.index(performance)])
        frames = (
            _QUICK_FRAMES
            if quick
            else int(length.integers(SHORTEST_TURNS if performance == "turns" else SHORTEST, LONGEST + 1))
        )
        specs.append(SequenceSpec(split, seed, person, performance, frames, people=kind))
    return specs
