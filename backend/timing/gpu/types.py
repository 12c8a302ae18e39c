"""The answers of the GPU checks as plain values, for one JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

FORMAT = "flowface-gpu-1"


@dataclass(frozen=True)
class Difference:
    """By how much the device's result differs from the CPU's, and how much may be: ``why`` says where that is from.

    ``value`` NaN, which JSON writes as null, is a result that was no number.
    """

    what: str
    value: float
    tolerance: float
    unit: str
    why: str

    @property
    def passed(self) -> bool:
        """True where the difference is a number within its tolerance."""
        return self.value <= self.tolerance


@dataclass(frozen=True)
class Check:
    """One part of the work, done on both; ``error`` is what stopped it, where something did."""

    name: str
    differences: tuple[Difference, ...]
    seconds: float
    error: str | None = None

    @property
    def passed(self) -> bool:
        """True where it ran through and every difference is within its tolerance."""
        return self.error is None and bool(self.differences) and all(d.passed for d in self.differences)


@dataclass(frozen=True)
class Timing:
    """One time, in ``unit``; ``goal`` is what it should not exceed, where there is a goal."""

    name: str
    value: float | None
    unit: str
    goal: float | None = None
    details: dict[str, Any] | None = None
    error: str | None = None

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none."""
        return None if self.goal is None else self.value is not None and self.value <= self.goal


def check_record(check: Check) -> dict[str, Any]:
    """A check as plain values."""
    differences = [
        {**asdict(d), "value": d.value if d.value == d.value else None, "passed": d.passed} for d in check.differences
    ]
    return {**asdict(check), "differences": differences, "passed": check.passed}


def timing_record(timing: Timing, judged: bool) -> dict[str, Any]:
    """A time as plain values; ``judged`` False leaves out whether its goal was met."""
    return {**asdict(timing), "met": timing.met if judged else None}


def verdict(checks: Sequence[Check], timings: Sequence[Timing], judged: bool) -> dict[str, Any]:
    """Whether all is as it should be, and in a sentence what is not; times count where they are ``judged``."""
    wrong = [check.name for check in checks if not check.passed]
    slow = [timing.name for timing in timings if timing.met is False] if judged else []
    broken = [timing.name for timing in timings if timing.error]
    said = []
    if wrong:
        said.append(f"not as on the CPU: {', '.join(wrong)}")
    if broken:
        said.append(f"not timed: {', '.join(broken)}")
    if slow:
        said.append(f"slower than its goal: {', '.join(name for name in slow if name not in broken)}")
    passed = bool(checks) and not said
    return {"passed": passed, "sentence": "; ".join(said) if said else "all checks agree with the CPU"}
