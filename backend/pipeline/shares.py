"""A track job's progress: which part of its bar each of its steps takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from backend.progress import JobProgress, OnProgress

if TYPE_CHECKING:
    from backend.solving.solve import Step

ALIGN_SHARE = 0.35  # of the progress bar; the fit takes the rest (measured on CPU: a quarter to a half)
MATCH_SHARE = 0.3  # of the progress bar, where skin is matched
PERSONAL_SHARE = 0.13  # of the progress bar: a quarter of the fit
SOLVED = 0.98  # of the progress bar, where a head's skin is painted
PAINTED = 0.99  # of the progress bar, where its wrinkles are read


def aligning(on_progress: OnProgress) -> Callable[[str, int, int], None]:
    """Gets frames done and in all while footage is aligned, with words."""

    def report(words: str, done: int, total: int) -> None:
        on_progress(JobProgress(words, ALIGN_SHARE * min(done / max(total, 1), 1.0), done, total))

    return report


class Solving:
    """Gets the fraction of each step of solving, and takes the time of matching skin."""

    def __init__(self, on_progress: OnProgress, *, matching: bool) -> None:
        """``matching`` says that skin is matched between the first fit and the last."""
        from backend.solving.solve import Step

        personal_begins = SOLVED - PERSONAL_SHARE
        fit_ends = personal_begins - MATCH_SHARE * matching
        self._on_progress = on_progress
        self._shares = {
            Step.FITTING: (ALIGN_SHARE, fit_ends),
            Step.MATCHING: (fit_ends, personal_begins),
            Step.FOLLOWING: (fit_ends, personal_begins),
            Step.PERSONAL: (personal_begins, SOLVED),
        }
        self._matching = (Step.MATCHING, Step.FOLLOWING)
        self._began = 0.0
        self.matching_took = 0.0
        """Seconds so far; 0 where an earlier run of the job did it."""

    def __call__(self, step: Step, fraction: float) -> None:
        """A fraction of a step is done."""
        if step in self._matching:
            self._began = self._began or time.perf_counter()
            self.matching_took = time.perf_counter() - self._began
        begin, end = self._shares[step]
        self._on_progress(JobProgress(str(step), begin + (end - begin) * min(max(fraction, 0.0), 1.0)))
