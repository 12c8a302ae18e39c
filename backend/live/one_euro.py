"""The One-Euro filter: steady where a signal rests, quick where it moves.

Casiez, Roussel and Vogel, "1 € Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive Systems",
CHI 2012, eqs. 1 to 6: a low-pass filter whose cutoff frequency grows with the signal's speed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class OneEuro:
    """``least`` is the cutoff of a signal at rest, hertz; ``slope`` what it grows by per unit and second of speed;
    ``speed`` the cutoff of the speed itself (the paper's 1 Hz)."""

    least: float
    slope: float
    speed: float = 1.0


class OneEuroFilter:
    """Filters a vector (n,), each number by itself; times in seconds may come unevenly."""

    def __init__(self, how: OneEuro) -> None:
        self._how = how
        self._time = 0.0
        self._value: F64 | None = None
        self._speed: F64 | None = None

    def __call__(self, value: F64, time: float) -> F64:
        """The filtered value; the first one, and one that is not newer than the last, as it is."""
        if self._value is None or self._speed is None or time <= self._time:
            self._value, self._speed, self._time = value.copy(), np.zeros_like(value), time
            return value
        elapsed, self._time = time - self._time, time
        raw = (value - self._value) / elapsed
        self._speed = self._speed + smoothing(self._how.speed, elapsed) * (raw - self._speed)
        cutoff = self._how.least + self._how.slope * np.abs(self._speed)
        self._value = self._value + smoothing(cutoff, elapsed) * (value - self._value)
        return self._value.copy()

    def forget(self) -> None:
        """Begin anew with the next value."""
        self._value = self._speed = None


def smoothing(cutoff: F64 | float, elapsed: float) -> F64:
    """α = 1/(1 + τ/T), τ = 1/(2π·cutoff): the share of a new value after ``elapsed`` seconds T (eqs. 4 and 5)."""
    return np.asarray(1 / (1 + 1 / (2 * np.pi * np.asarray(cutoff) * elapsed)), np.float64)
